"""The versions of rows that an execution made, and which of them a read saw.

A read that returned values is matched with the version that holds them. Where several do, or where the values never
reached the client (an aggregate), the version is the one that the statement's snapshot shows: what was committed when
it was sent, or at a level with one snapshot when the transaction's first statement was, and the transaction's own
writes.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any

from lab.model.history import INITIAL, Version

__all__ = ["Item", "RowVersion", "Values", "parsed"]

Values = Mapping[str, Any]


class RowVersion:
    """A version of a row. `values` are None where it says that there is no row."""

    __slots__ = ("document", "undone", "values", "version", "writer")

    def __init__(self, version: Version, values: Values | None, writer: object = None) -> None:
        self.version = version
        self.values = values
        self.writer = writer
        """The transaction that made it; None for the initial one."""
        self.undone: int | None = None
        """The step at which a savepoint's rollback took it back."""
        self.document = "" if values is None else json.dumps(values, default=str)
        """The row as JSON."""


class Item:
    """A row in all its versions, from its insert to its delete.

    A row that is inserted under the key of a deleted one is another item (Adya, "Weak Consistency", section 2.1.3): a
    reader of the first has not seen the second.
    """

    def __init__(self, table: str, key: tuple[str, ...], number: int) -> None:
        self.table = table
        self._number = number
        named = f"{table} {key[0] if len(key) == 1 else '(' + ', '.join(key) + ')'}"
        self.name = ("", "new ")[number > 1] + named + ("", f" ({number})")[number > 2]  # noqa: PLR2004 - the third
        self.initial = RowVersion(INITIAL, None)
        self.versions: list[RowVersion] = []
        """Those that transactions made, in order; the initial one comes before them."""
        self.installed: list[tuple[int, RowVersion]] = []
        """Those that were committed: (time, version)."""

    def all_versions(self) -> Iterator[RowVersion]:
        """The initial version and all others."""
        yield self.initial
        yield from self.versions

    def add(self, writer: object, name: str, values: Values | None) -> RowVersion:
        """A transaction, called `name`, writes the row, or deletes it."""
        number = 1 + sum(each.writer is writer for each in self.versions)
        made = RowVersion(Version(name, number), values, writer)
        self.versions.append(made)
        return made

    def own(self, writer: object) -> RowVersion | None:
        """The version of a transaction's own that stands."""
        return next((each for each in reversed(self.versions) if each.writer is writer and each.undone is None), None)

    def visible(self, time: int, reader: object) -> RowVersion:
        """The version that a snapshot taken at a time shows to a transaction."""
        own = self.own(reader)
        if own is not None:
            return own
        return next((each for committed, each in reversed(self.installed) if committed <= time), self.initial)

    @property
    def is_only_looked_for(self) -> bool:
        """Whether it stands for the time after a deleted row, and nobody inserted it."""
        return self._number > 1 and not self.versions


class Row:
    """What was found under one key: an item, and when that was deleted the next."""

    def __init__(self, table: str, key: tuple[str, ...]) -> None:
        self.items: list[Item] = []
        self._table = table
        self._key = key
        self._next()

    def _next(self) -> Item:
        self.items.append(Item(self._table, self._key, len(self.items) + 1))
        return self.items[-1]

    def seen(
        self, values: Values, time: int, reader: object, taken: AbstractSet[Item] = frozenset()
    ) -> tuple[Item, RowVersion]:
        """The version that holds the values which a client saw: the one that the snapshot shows, else the latest.

        A snapshot can show two rows of one key: one that somebody has deleted since, and what the transaction itself
        inserted in its place. Of equal ones, the first that is not `taken` is returned.
        """
        shown = [(item, item.visible(time, reader)) for item in reversed(self.items)]
        there = [each for each in shown if each[1].values is not None]
        agreeing = [each for each in there if _agree(values, each[1].values or {})]
        if agreeing:
            return next((each for each in agreeing if each[0] not in taken), agreeing[0])
        every = [(item, row) for item in self.items for row in item.all_versions()]
        held = [each for each in every if each[1].values is not None and _agree(values, each[1].values)]
        return held[-1] if held else (there or shown)[0]

    def missed(self, time: int, reader: object) -> list[tuple[Item, RowVersion]]:
        """The versions that fit a read that found no row: the deleted version and the one not inserted yet."""
        found: list[tuple[Item, RowVersion]] = []
        for item in self.items:
            row = item.visible(time, reader)
            if row.values is None:
                found = [*found[-1:], (item, row)] if row is item.initial else [(item, row)]
        if found and found[-1][1] is not found[-1][0].initial:
            following = self._next()
            found.append((following, following.initial))
        return found

    def inserted(self, writer: object, time: int) -> Item:
        """The item that an INSERT makes."""
        last = self.items[-1]
        return last if last.visible(time, writer) is last.initial else self._next()


def parsed(text: str) -> Any:
    """JSON as PostgreSQL writes it, numbers exactly."""
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:  # an integer of more digits than Python reads
        return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def _agree(seen: Values, held: Values) -> bool:
    return all(_same(value, held[name]) for name, value in seen.items() if name in held)


def _same(value: object, held: object) -> bool:
    """Whether a value that asyncpg gave is what JSON says. Values that cannot be compared count as equal."""
    if value is None or held is None:
        return value is held
    if isinstance(value, (bool, int, Decimal)) or (isinstance(value, str) and isinstance(held, str)):
        return value == held
    if isinstance(value, float):
        return not isinstance(held, (int, Decimal)) or value == float(held)
    if isinstance(value, (dt.datetime, dt.date, dt.time)) and isinstance(held, str):
        return _same_moment(value, held)
    return not isinstance(value, uuid.UUID) or str(value) == held


def _same_moment(value: dt.date | dt.time, held: str) -> bool:
    try:
        return value == type(value).fromisoformat(held)
    except (TypeError, ValueError):  # a time zone in one of them only, or a date that Python does not have
        return True
