"""Advice to those who write in several transactions: write in one."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.remedy import Tried
from lab.model.trace import ActionKind
from lab.search.remedies.kind import CODE, Kind, listed

__all__ = ["KIND"]


def _advice(facts: Facts) -> Iterator[Tried]:
    steps = (step for step in facts.record.trace if not step.woken)
    ends = [step.actor for step in steps if step.action.kind is ActionKind.COMMIT]
    if split := listed(actor for actor in facts.writers if ends.count(actor) > 1):
        yield Tried(f"one transaction for all writes of {split}", reason=CODE)


KIND = Kind("one transaction", advises=_advice)
