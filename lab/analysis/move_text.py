"""Footprints and moves as plain values, for another process: what says which steps depend on each other."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from lab.analysis.dependence import Move
from lab.model.footprint import Access, Footprint, Lock, Rows
from lab.model.trace import ActionKind

__all__ = ["footprint_of", "footprint_text", "move_of", "move_values"]

KEPT = 4096
"""Most steps of a search touch what others touched before."""


@lru_cache(KEPT)
def footprint_text(footprint: Footprint | None) -> str:
    """A footprint as one line; `footprint_of` reads it. "" for one that is not known."""
    if footprint is None:
        return ""
    accesses, held = (list(map(_access_values, each)) for each in (footprint.accesses, footprint.held))
    return json.dumps([accesses, held, footprint.level, footprint.snapshot, footprint.everything])


@lru_cache(KEPT)
def footprint_of(text: str) -> Footprint | None:
    """The footprint that `footprint_text` wrote."""
    if not text:
        return None
    accesses, held, level, snapshot, everything = json.loads(text)
    own, before = (tuple(map(_access, each)) for each in (accesses, held))
    return Footprint(own, before, level=level, snapshot=snapshot, everything=everything)


def move_values(move: Move) -> list[Any]:
    """A move as values that JSON can hold."""
    return [move.actor, move.kind.value, footprint_text(move.footprint), move.waited, move.failed]


def move_of(values: list[Any]) -> Move:
    """From what `move_values` gave, as JSON has it."""
    actor, kind, footprint, waited, failed = values
    found = footprint_of(footprint)
    assert found is not None, "each move has a footprint"
    return Move(actor, ActionKind(kind), found, waited=waited, failed=failed)


def _access_values(access: Access) -> list[Any]:
    key = [[column, sorted(values)] for column, values in access.rows.key]
    return [access.rows.table, key, int(access.lock), access.reads, access.writes, access.scans, access.enters]


def _access(values: list[Any]) -> Access:
    table, key, lock, *rest = values
    rows = Rows(table, tuple((column, frozenset(has)) for column, has in key))
    return Access(rows, Lock(lock), *rest)
