"""Advice to take locks in one order, where the lab cannot do it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, Kind

__all__ = ["KIND"]

_ADVISORY = re.compile(r"\bpg_(?:try_)?advisory_(?:xact_)?lock", re.IGNORECASE)


def _advice(facts: Facts) -> Iterator[Tried]:
    if not facts.deadlocked:
        return
    if _several_advisory(facts):
        yield Tried("advisory locks taken in the order of their keys", reason=CODE)
    elif facts.rows_to_lock is None and not any(map(_ADVISORY.search, facts.texts)):
        yield Tried("all rows locked in one order", reason="the lab does not know which rows the statements lock")


def _several_advisory(facts: Facts) -> bool:
    """Whether an actor takes more than one: a single lock has no order."""
    taken: dict[str, set[tuple[str, str]]] = {}
    for step in facts.record.trace:
        if not step.woken and _ADVISORY.search(step.action.text):
            taken.setdefault(step.actor, set()).add((step.action.text, repr(step.action.parameters)))
    return any(len(locks) > 1 for locks in taken.values())


KIND = Kind("order by hand", advises=_advice)
