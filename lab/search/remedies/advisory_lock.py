"""Advice to hold an advisory lock until the commit, or to take one where there is no row to lock."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.remedy import Tried
from lab.model.trace import ActionKind
from lab.search.remedies.kind import CODE, READ_COMMITTED, Kind, listed, looked_then_inserted

__all__ = ["KIND"]

_SESSION = re.compile(r"\bpg_(?:try_)?advisory_lock", re.IGNORECASE)
_WRITES = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_UNLOCK = re.compile(r"\bpg_advisory_unlock", re.IGNORECASE)
_TRANSACTION = re.compile(r"\bpg_(?:try_)?advisory_xact_lock", re.IGNORECASE)


def _advice(facts: Facts) -> Iterator[Tried]:
    if READ_COMMITTED not in facts.levels:  # above it, the snapshot is older than the wait for the lock
        return
    if _given_back_early(facts):
        yield Tried("pg_advisory_xact_lock, which is held until the commit", reason=CODE)
    none = not any(_SESSION.search(text) or _TRANSACTION.search(text) for text in facts.texts)
    fits = facts.anomaly in (None, "PMP", "G2-item", "G2")
    if none and fits and (looked := listed(looked_then_inserted(facts))):
        yield Tried(f"pg_advisory_xact_lock before looking at {looked}", reason=CODE)


def _given_back_early(facts: Facts) -> bool:
    """Whether an actor unlocks after it wrote and before it commits: others then lock, and do not see what it wrote."""
    wrote: set[str] = set()
    for step in facts.record.trace:
        action = step.action
        if action.kind in (ActionKind.COMMIT, ActionKind.ROLLBACK):
            wrote.discard(step.actor)
        elif action.kind is ActionKind.STATEMENT and not step.woken:
            if _UNLOCK.search(action.text) and step.actor in wrote:
                return True
            if _WRITES.match(action.text):
                wrote.add(step.actor)
    return False


KIND = Kind("advisory lock", advises=_advice)
