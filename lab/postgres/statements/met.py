"""Rows that a statement was seen to write: between two of them the same statement can be paused another time.

That is for statements whose construct does not say which rows they will meet: text SQL, a multi-row INSERT, an
`executemany`, a COPY, functions and triggers. One that looks at others before it writes its first row can be paused
before that one, too: what it saw may be old by then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lab.model.text import key_text

__all__ = ["Met", "MetRow", "MetRows", "notices_pauses"]

Values = tuple[Any, ...]

_NOTICES = re.compile(r"\b(?:NOWAIT|SKIP\s+LOCKED|lock_timeout|statement_timeout)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MetRow:
    """A row of a table. `quoted`, `key` (the primary key's columns) and `columns` are for SQL, `name` for people.

    `values` is the whole row as a JSON object, `names` are the key's columns in it.
    """

    quoted: str
    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    values: str
    names: tuple[str, ...]

    @property
    def text(self) -> str:
        """The key, for people."""
        values = json.loads(self.values)
        return ", ".join(f"{name}={key_text(values[name])}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Met:
    """A statement with its rows, in the order in which it wrote them."""

    rows: tuple[MetRow, ...]
    looks: bool = False
    """It looks at rows before it writes the first of these."""

    @property
    def can_pause(self) -> bool:
        """Whether there is a row before which a pause makes a difference."""
        return len(self.rows) > (0 if self.looks else 1)


Case = tuple[Values, MetRow]
"""The parameters, and a row that was written with them."""


class MetRows:
    """What was seen of statements, and from it the rows of the same statements with other parameters."""

    def __init__(self, seen: Iterable[tuple[str, object, Met]] = ()) -> None:
        self._by_text: dict[str, dict[str, tuple[object, Met]]] = {}
        for text, parameters, met in seen:
            self._by_text.setdefault(text, {}).setdefault(repr(parameters or ()), (parameters, met))

    @property
    def texts(self) -> Collection[str]:
        """The statements."""
        return self._by_text.keys()

    def is_several(self, text: str) -> bool:
        """Whether a statement was seen to write two rows or more."""
        return any(len(met.rows) > 1 for _, met in self._by_text.get(text, {}).values())

    def rows_of(self, text: str, parameters: object) -> Met | None:
        """The rows that a statement writes, if that is known.

        With parameters that were not seen, each row must be where the parameters place it: each value of its key was
        a parameter, the same one each time, or was the same whatever the parameters were. A row that is placed wrongly
        does no harm: it is held for a step, and the statement never comes to it.
        """
        known = self._by_text.get(text)
        if known is None:
            return None
        found = known.get(repr(parameters or ()))
        met = _placed(tuple(known.values()), parameters) if found is None else found[1]
        return met if met.can_pause else None


def notices_pauses(text: str) -> bool:
    """Whether a statement, or the source of a function, would notice that it waits between two rows."""
    return bool(_NOTICES.search(text))


def _placed(seen: Sequence[tuple[object, Met]], parameters: object) -> Met:
    """The rows for these parameters, as far as they are known."""
    rows = tuple(row for cases, own in _cases(seen, _sets(parameters)) if (row := _row(cases, own)) is not None)
    return Met(rows, looks=all(met.looks for _, met in seen))


def _cases(seen: Sequence[tuple[object, Met]], own: Sequence[Values]) -> Iterator[tuple[Sequence[Case], Values]]:
    """For each row of the statement: such rows as they were seen, and the parameters of this one."""
    shown = [(_sets(parameters), met.rows) for parameters, met in seen]
    if all(len(sets) == len(rows) for sets, rows in shown):  # executed for each row
        cases = [case for sets, rows in shown for case in zip(sets, rows, strict=True)]
        yield from ((cases, each) for each in own)
    elif len(own) == 1 and all((len(sets), len(rows)) == (1, len(shown[0][1])) for sets, rows in shown):
        for number in range(len(shown[0][1])):
            yield [(sets[0], rows[number]) for sets, rows in shown], own[0]


def _row(cases: Sequence[Case], own: Values) -> MetRow | None:
    """A row with its values where the parameters place them, None where that does not say which row it is."""
    row = cases[-1][1]
    if any(each.quoted != row.quoted or len(parameters) != len(own) for parameters, each in cases):
        return None
    every = [json.loads(each.values) for _, each in cases]
    values = every[-1]
    for name in values:
        shown = [key_text(each[name]) for each in every]
        places = set[int].intersection(
            *(_at(parameters, text) for (parameters, _), text in zip(cases, shown, strict=True))
        )
        found = {key_text(own[place]): own[place] for place in places}
        if len(found) == 1:
            (values[name],) = found.values()
        elif name in row.names and (found or len(shown) == 1 or len(set(shown)) > 1):
            return None
    return replace(row, values=json.dumps(values, default=key_text))


def _at(parameters: Values, text: str) -> set[int]:
    return {place for place, value in enumerate(parameters) if key_text(value) == text}


def _sets(parameters: Any) -> Sequence[Values]:
    """The sets of parameters of a statement; one of them but for `executemany`."""
    if isinstance(parameters, list) and parameters and isinstance(parameters[0], (tuple, list)):
        return [tuple(each) for each in parameters]
    return [tuple(parameters or ())]
