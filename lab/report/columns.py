"""Long lists of columns, cut to those that a story is about: keys, and what a statement of it sets or compares.

An ORM names every column of a table in every SELECT. Which of them matter is read off the statements themselves: a
column that stands anywhere but in such a list is set, compared or sorted by.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lab.report.inserts import split

__all__ = ["ALL", "Columns"]

MANY = 5
"""A list of so many columns is long."""
LEFT_OUT = "…"

_NAME = r"(?:\"[^\"]+\"|\w+)"
_COLUMN = rf"(?:{_NAME}\.)?{_NAME}(?: AS {_NAME})?"
_LIST = rf"{_COLUMN}(?:, {_COLUMN})+"
_SELECTED = re.compile(rf"(?<=SELECT )({_LIST})(?= FROM )")  # noqa: S608 - is read, never sent
_RETURNED = re.compile(rf"(?<= RETURNING )({_LIST})$")
_INSERTED = re.compile(
    rf"(?<=^INSERT INTO )({_NAME}(?:\.{_NAME})?) \(({_LIST})\) VALUES (\(.*?\))(?= RETURNING | ON CONFLICT |$)"  # noqa: S608
)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that are shown of a long list; None for all."""

    names: frozenset[str] | None = None

    @classmethod
    def of(cls, statements: Iterable[str], keys: Collection[str] = ()) -> Columns:
        """The keys, and whatever statements (as `lab.report.sql.one_line` has them) name outside of their lists."""
        return cls(frozenset(keys).union(*({*_WORD.findall(_without_lists(each))} for each in set(statements))))

    def cut(self, statement: str) -> str:
        """A statement with its lists cut; the values of an INSERT as well."""
        if self.names is None:
            return statement
        statement = _INSERTED.sub(self._insert, statement, count=1)
        for where in (_SELECTED, _RETURNED):
            statement = where.sub(lambda found: _joined(*self._kept(found[0])), statement)
        return statement

    def row(self, statement: str, values: Sequence[str]) -> tuple[str, ...]:
        """The values of a row of the answer, cut as the list is that asks for them."""
        found = _RETURNED.search(statement) or _SELECTED.match(statement, len("SELECT "))
        if self.names is None or found is None:
            return tuple(values)
        columns = found[0].split(", ")
        kept, whole = self._kept(found[0])
        if whole or len(columns) != len(values):
            return tuple(values)
        return (*(value for column, value in zip(columns, values, strict=True) if column in kept), LEFT_OUT)

    def _insert(self, found: re.Match[str]) -> str:
        columns, rows = found[2].split(", "), [split(row[1:-1]) for row in split(found[3])]
        kept, whole = self._kept(found[2])
        if whole or any(len(row) != len(columns) for row in rows):
            return found[0]
        cut = (
            _joined([value for column, value in zip(columns, row, strict=True) if column in kept], whole)
            for row in rows
        )
        return f"{found[1]} ({_joined(kept, whole)}) VALUES {', '.join(f'({row})' for row in cut)}"

    def _kept(self, columns: str) -> tuple[list[str], bool]:
        """Those of a list that are shown, and whether these are all. Where none matters, it is the first."""
        listed = columns.split(", ")
        kept = [each for each in listed if _bare(each) in (self.names or ())] or listed[:1]
        whole = len(listed) < MANY or len(kept) > len(listed) - 2
        return (listed, True) if whole else (kept, False)


ALL = Columns()
"""Nothing is cut."""


def _bare(column: str) -> str:
    """The name without its table, its alias and quotes."""
    return column.partition(" AS ")[0].rpartition(".")[2].strip('"')


def _joined(texts: Sequence[str], whole: bool) -> str:  # noqa: FBT001 - goes with the list
    return ", ".join(texts if whole else (*texts, LEFT_OUT))


def _without_lists(statement: str) -> str:
    """What is left: where a column stands that is set or compared, beside words that name none."""
    for where in (_SELECTED, _RETURNED):
        statement = where.sub("", statement)
    return _INSERTED.sub("", statement, count=1)
