"""Advice to those whose work is spread over several transactions: do it in one."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.remedy import Tried
from lab.model.trace import ActionKind, Step
from lab.search.remedies.kind import CODE, Kind, listed

__all__ = ["KIND"]

_ENDS = (ActionKind.COMMIT, ActionKind.ROLLBACK)


def _advice(facts: Facts) -> Iterator[Tried]:
    steps = [step for step in facts.record.trace if not step.woken]
    ends = [step.actor for step in steps if step.action.kind is ActionKind.COMMIT]
    if split := listed(
        {actor for actor in facts.writers if ends.count(actor) > 1 and _writes_in_several(steps, actor)}
    ):
        yield Tried(f"one transaction for all writes of {split}", reason=CODE)
    if split := listed(_check_apart(steps)):
        yield Tried(f"check and write of {split} in one transaction", reason=CODE)


def _writes_in_several(steps: list[Step], actor: str) -> bool:
    return len({part for part, each in _by_transaction(steps, actor) if _tables(each, writes=True)}) > 1


def _check_apart(steps: list[Step]) -> set[str]:
    """Actors that read a table in one transaction and write it in a later one, in which they did not read it."""
    found = set()
    for actor in {step.actor for step in steps}:
        reads: dict[str, set[int]] = {}
        for part, step in _by_transaction(steps, actor):
            for table in _tables(step, writes=False):
                reads.setdefault(table, set()).add(part)
            for table in _tables(step, writes=True):
                if reads.get(table) and part not in reads[table]:
                    found.add(actor)
    return found


def _by_transaction(steps: list[Step], actor: str) -> Iterator[tuple[int, Step]]:
    """The steps of an actor, each with the number of its transaction."""
    part = 0
    for step in steps:
        if step.actor == actor:
            yield part, step
            part += step.action.kind in _ENDS


def _tables(step: Step, *, writes: bool) -> set[str]:
    """The tables that a statement writes, or those that a SELECT reads."""
    touches = step.action.touches
    if step.action.kind is not ActionKind.STATEMENT or touches is None:
        return set()
    if not writes and step.action.text.lstrip()[:6].upper() != "SELECT":
        return set()
    return {each.rows.table for each in touches.own or () if (each.writes if writes else each.reads)}


KIND = Kind("one transaction", advises=_advice)
