"""From the journal of an execution: which rows each statement wrote, whoever wrote them for it, and in which order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lab.postgres.connections.journal import Journal, Sent
from lab.postgres.statements.met import Met, MetRow, MetRows, notices_pauses

__all__ = ["met_in"]

Keys = Mapping[str, tuple[str, ...]]
Quoted = Mapping[str, tuple[str, Sequence[str]]]


def met_in(journal: Journal, relations: Mapping[int, str], keys: Keys, quoted: Quoted) -> MetRows:
    """The statements that wrote several rows.

    `keys`: table -> primary key. `quoted`: table -> its name and those of the columns that can be given, for SQL.
    """
    found: list[tuple[str, object, Met]] = []
    for session in journal.sessions:
        for event in session.events:
            if not isinstance(event, Sent) or len(event.written) < 2 or notices_pauses(event.text):  # noqa: PLR2004
                continue
            rows: dict[tuple[str, str], MetRow] = {}
            for detail in event.written:
                _, relation, old, new = json.loads(detail)
                table = relations.get(relation, "")
                if (row := _row(table, quoted.get(table), keys.get(table, ()), old or new)) is not None:
                    rows.setdefault((table, row.text), row)
            if len(rows) > 1:
                found.append((event.text, event.parameters, Met(tuple(rows.values()))))
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
