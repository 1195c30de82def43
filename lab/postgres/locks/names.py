"""Says what a lock is on: PostgreSQL's messages name tables, databases and advisory locks by number.

A number of a table differs from server to server, so it would make two traces of one schedule differ; and it means
nothing to a reader. The same is true of places of rows in the catalog, which everything that ever changed it has moved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lab.model.trace import LockWait

__all__ = ["readable", "wait_of"]

_STILL_WAITING = re.compile(r"still waiting for (\w+) on (.+?)(?: after [\d.]+ ms)?$")
_PLACE = re.compile(r'(index )?tuple (\(\d+,\d+\)) in relation "([^"]+)"')
_TUPLE = re.compile(r"tuple (\(\d+,\d+\)) of relation (\d{1,19}) of database \d+")
_RELATION = re.compile(r"relation (\d{1,19}) of database \d+")
_ADVISORY = re.compile(r"advisory lock \[\d+,(\d{1,19}),(\d{1,19}),(\d)\]")
_CATALOG = {
    "pg_class": "table",
    "pg_type": "type",
    "pg_proc": "function",
    "pg_namespace": "schema",
    "pg_extension": "extension",
    "pg_constraint": "constraint",
    "pg_trigger": "trigger",
    "pg_enum": "value of an enum",
    "pg_attribute": "column",
}
"""What the rows of a catalog stand for; an index of it begins with its name."""
_TRANSACTION = re.compile(r"(?:speculative token \d+ of |virtual )?transaction [\d/]+")


def readable(text: str, relations: Mapping[int, str]) -> str:
    """The text with names for what it names by number (`relations`, by object id), and without transaction ids."""

    def name(number: str) -> str:
        return relations.get(int(number), "that an actor made")

    text = _TUPLE.sub(lambda found: _in_catalog(name(found[2])) or f"row {found[1]} of {name(found[2])}", text)
    text = _RELATION.sub(lambda found: f"table {name(found[1])}", text)
    text = _ADVISORY.sub(lambda found: f"advisory lock {_key(int(found[1]), int(found[2]), found[3])}", text)
    return _TRANSACTION.sub("transaction", text)


def wait_of(message: str, context: str, relations: Mapping[int, str]) -> LockWait:
    """The lock mode and target that a "still waiting" message names."""
    found = _STILL_WAITING.search(message)
    if found is None:
        return LockWait(())
    mode, target = found[1], readable(found[2], relations)
    if target == "transaction" and (place := _PLACE.search(context)):
        target = _in_catalog(place[3]) or (f"key of {place[3]}" if place[1] else f"row {place[2]} of {place[3]}")
    return LockWait((), mode, target)


def _in_catalog(relation: str) -> str:
    """The name of something in the catalog, for a catalog or an index of one; "" for a user's own."""
    return next((f"name of a {made} ({each})" for each, made in _CATALOG.items() if relation.startswith(each)), "")


def _key(high: int, low: int, kind: str) -> str:
    """An advisory lock's key as it was given: kind 1 is one number of 64 bits, 2 are two of 32."""
    if kind == "1":
        return str(_signed((high << 32) | low, 64))
    return f"({_signed(high, 32)}, {_signed(low, 32)})"


def _signed(number: int, bits: int) -> int:
    return number - (1 << bits) if number >> (bits - 1) else number
