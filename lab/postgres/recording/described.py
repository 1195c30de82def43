"""What an actor returned, as a text that can be compared between two executions.

`repr` alone would not do: that of an ORM object is its address, or whatever its class makes of it, perhaps with a load
in mid-air. A mapped object is described by what it had loaded, also if it has expired since; other objects by their own
`repr` where they have one, or else by their attributes. A value that none of these ways can describe is named in the
report, so that it is not silently ignored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Row, inspect
from sqlalchemy.orm import InstanceState

from lab.model.answer import Answer
from lab.model.nature import Path
from lab.postgres.recording.loads import loaded_by

__all__ = ["described"]

DEEPEST = 20
"""Levels of values in values; beyond, only the type is compared."""

Place = Callable[[Path, str], str]


def described(value: object, missed: Callable[[str], object], place: Place | None = None) -> str:
    """A text for a value; `missed` is called with the name of each type whose values could not be described.

    `place` gets each plain value's path (`[0]` in a list, `(0)` in a tuple, names of attributes and keys) and text, and
    returns the text that stands there; then objects that are made of fields are taken apart as well.
    """
    return _Description(missed, place).of(value, (), ())


class _Description:
    def __init__(self, missed: Callable[[str], object], place: Place | None) -> None:
        self._missed = missed
        self._place = place

    def of(self, value: object, around: tuple[int, ...], path: Path) -> str:
        """The text of a value; `around` are the identities of the values that hold it."""
        kind = type(value)
        if kind in (type(None), bool, int, float, str, bytes):
            return self._plain(repr(value), path)
        if id(value) in around or len(around) > DEEPEST:
            return f"<{kind.__name__} …>"
        return self._holder(value, (*around, id(value)), path)

    def _plain(self, text: str, path: Path) -> str:
        return text if self._place is None else self._place(path, text)

    def _holder(self, value: Any, around: tuple[int, ...], path: Path) -> str:
        """The text of a value that may hold others."""
        match value:
            case Answer():
                text = value.described(lambda within, leaf: self._plain(leaf, (*path, *within)))
            case list() if type(value) is list:
                text = f"[{self._listed(value, around, path, '[{}]')}]"
            case tuple() | Row() if type(value) is tuple or isinstance(value, Row):
                text = f"({self._listed(value, around, path, '({})')}{',' if len(value) == 1 else ''})"
            case set() | frozenset():
                inside = (*path, "{}")
                text = f"{{{', '.join(sorted(self.of(each, around, inside) for each in value))}}}"
            case dict() if type(value) is dict:
                items = ((self.of(k, around, (*path, "key")), k, v) for k, v in value.items())
                text = f"{{{', '.join(f'{key}: {self.of(v, around, (*path, str(k)))}' for key, k, v in items)}}}"
            case _:
                text = self._object_or_repr(value, around, path)
        return text

    def _object_or_repr(self, value: Any, around: tuple[int, ...], path: Path) -> str:
        state = inspect(value, raiseerr=False)
        if not isinstance(state, InstanceState):
            return self._by_itself(value, around, path)
        return self._object(type(value), loaded_by(state), around, path)

    def _listed(self, values: Any, around: tuple[int, ...], path: Path, index: str) -> str:
        return ", ".join(self.of(each, around, (*path, index.format(n))) for n, each in enumerate(values))

    def _object(self, kind: type, attributes: Mapping[str, object], around: tuple[int, ...], path: Path) -> str:
        parts = (f"{name}={self.of(each, around, (*path, name))}" for name, each in attributes.items())
        return f"{kind.__name__}({', '.join(parts)})"

    def _by_itself(self, value: object, around: tuple[int, ...], path: Path) -> str:
        kind = type(value)
        try:
            if self._place is not None and (fields := _fields_of(value)):
                return self._object(kind, fields, around, path)
            text = repr(value)
            if " at 0x" not in text:
                return self._plain(text, path)
            if (attributes := getattr(value, "__dict__", None)) and not callable(value):
                return self._object(kind, attributes, around, path)
        except BaseException:  # noqa: BLE001 - user code; its failure is reported
            text = ""
        self._missed(kind.__name__)
        return f"<{kind.__name__}>"


def _fields_of(value: Any) -> Mapping[str, object]:
    """What a dataclass, a named tuple or a model of pydantic is made of; empty for any other object."""
    if isinstance(value, type):
        return {}
    if dataclasses.is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if each.repr}
    if isinstance(value, tuple) and (names := getattr(value, "__match_args__", None)):
        return dict(zip(names, value, strict=True))
    names = getattr(type(value), "model_fields", None)
    return {name: getattr(value, name) for name in names} if isinstance(names, dict) else {}
