"""From the journal of an execution: which rows each statement wrote, whoever wrote them for it, and in which order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lab.postgres.connections.journal import Journal, Sent
from lab.postgres.statements.beyond import NOTHING_BEYOND, Beyond
from lab.postgres.statements.met import Met, MetRow, MetRows, notices_pauses

__all__ = ["met_in"]

Keys = Mapping[str, tuple[str, ...]]
Quoted = Mapping[str, tuple[str, Sequence[str]]]


def met_in(
    journal: Journal, relations: Mapping[int, str], keys: Keys, quoted: Quoted, beyond: Beyond = NOTHING_BEYOND
) -> MetRows:
    """The statements that wrote several rows, or looked at others before they wrote one.

    `keys`: table -> primary key. `quoted`: table -> its name and those of the columns that can be given, for SQL.
    """
    found: list[tuple[str, object, Met]] = []
    for session in journal.sessions:
        for event in session.events:
            if not isinstance(event, Sent) or not event.written:
                continue
            looks = beyond.looks_before_it_writes(event.text)
            if not (looks or beyond.looking or len(event.written) > 1):
                continue
            try:
                written = [json.loads(detail) for detail in event.written]
                tables = [relations.get(relation, "") for _, relation, _, _ in written]
            except ValueError:  # a number of more digits than Python reads, or what an actor itself reported
                written, tables = [], []
            rows: dict[tuple[str, str], MetRow] = {}
            for table, (_, _, old, new) in zip(tables, written, strict=True):
                looks |= beyond.whole(table) in beyond.looking
                if (row := _row(table, quoted.get(table), keys.get(table, ()), old or new)) is not None:
                    rows.setdefault((table, row.text), row)
            if notices_pauses(event.text):
                rows.clear()  # a row that is held would be skipped or refused
            # Without a key there is no row to hold, and with such values none that can be named: that has to be said.
            if looks or len(rows) > 1 or not written:
                found.append((event.text, event.parameters, Met(tuple(rows.values()), looks)))
    return MetRows(found)


def _row(
    table: str, quoted: tuple[str, Sequence[str]] | None, key: tuple[str, ...], values: Mapping[str, Any]
) -> MetRow | None:
    if quoted is None or not key or any(values.get(column) is None for column in key):
        return None
    name, columns = quoted
    return MetRow(name, table, tuple(map(_quoted, key)), tuple(columns), json.dumps(values), key)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
