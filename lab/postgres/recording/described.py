"""What an actor returned, as a text that can be compared between two executions.

`repr` alone would not do: that of an ORM object is its address, or whatever its class makes of it, perhaps with a load
in mid-air. A mapped object is described by what it had loaded, also if it has expired since; other objects by their own
`repr` where they have one, or else by their attributes. A value that none of these ways can describe is named in the
report, so that it is not silently ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Row, inspect
from sqlalchemy.orm import InstanceState

from lab.postgres.recording.loads import loaded_by

__all__ = ["described"]

DEEPEST = 20
"""Levels of values in values; beyond, only the type is compared."""


def described(value: object, missed: Callable[[str], object]) -> str:
    """A text for a value; `missed` is called with the name of each type whose values could not be described."""
    return _Description(missed).of(value, ())


class _Description:
    def __init__(self, missed: Callable[[str], object]) -> None:
        self._missed = missed

    def of(self, value: object, around: tuple[int, ...]) -> str:
        """The text of a value; `around` are the identities of the values that hold it."""
        kind = type(value)
        if kind in (type(None), bool, int, float, str, bytes):
            return repr(value)
        if id(value) in around or len(around) > DEEPEST:
            return f"<{kind.__name__} …>"
        return self._holder(value, (*around, id(value)))

    def _holder(self, value: Any, around: tuple[int, ...]) -> str:
        """The text of a value that may hold others."""
        match value:
            case list() if type(value) is list:
                text = f"[{self._listed(value, around)}]"
            case tuple() | Row() if type(value) is tuple or isinstance(value, Row):
                text = f"({self._listed(value, around)}{',' if len(value) == 1 else ''})"
            case set() | frozenset():
                text = f"{{{', '.join(sorted(self.of(each, around) for each in value))}}}"
            case dict() if type(value) is dict:
                text = f"{{{', '.join(f'{self.of(k, around)}: {self.of(v, around)}' for k, v in value.items())}}}"
            case _:
                text = self._object_or_repr(value, around)
        return text

    def _object_or_repr(self, value: Any, around: tuple[int, ...]) -> str:
        state = inspect(value, raiseerr=False)
        if not isinstance(state, InstanceState):
            return self._by_itself(value, around)
        return self._object(type(value), loaded_by(state), around)

    def _listed(self, values: Any, around: tuple[int, ...]) -> str:
        return ", ".join(self.of(each, around) for each in values)

    def _object(self, kind: type, attributes: Mapping[str, object], around: tuple[int, ...]) -> str:
        return f"{kind.__name__}({', '.join(f'{name}={self.of(each, around)}' for name, each in attributes.items())})"

    def _by_itself(self, value: object, around: tuple[int, ...]) -> str:
        kind = type(value)
        try:
            text = repr(value)
            if " at 0x" not in text:
                return text
            if (attributes := getattr(value, "__dict__", None)) and not callable(value):
                return self._object(kind, attributes, around)
        except BaseException:  # noqa: BLE001 - user code; its failure is reported
            text = ""
        self._missed(kind.__name__)
        return f"<{kind.__name__}>"
