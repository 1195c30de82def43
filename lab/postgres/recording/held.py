"""Since which of its statements a transaction holds what another one waits for; said only where it is certain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

from lab.model.footprint import Footprint
from lab.model.stall import Held, Stall
from lab.model.trace import ActionKind, Step

__all__ = ["held_since", "with_rows"]


def with_rows(stalls: Sequence[Stall], steps: Sequence[Step], sessions: Mapping[int, str]) -> tuple[Stall, ...]:
    """Actors that cannot go on, with what they hold in PostgreSQL of what others of them wait for."""
    held: dict[str, list[Held]] = {}
    for stall in stalls:
        waiting = next((each for each in reversed(steps) if not each.is_fault and each.actor == stall.actor), None)
        if stall.lock is None or waiting is None or waiting.wait is None:
            continue
        for holder in stall.lock.holders:
            own = (session for session, name in sessions.items() if name == holder)
            since = next(filter(None, (held_since(steps, waiting, holder, each) for each in own)), 0)
            held.setdefault(holder, []).append(Held(stall.lock.target or "a lock", step=since))
    names = {each.actor for each in stalls}
    found = {name if name in names else name.partition("/")[0]: what for name, what in held.items()}
    return tuple(replace(each, holds=(*each.holds, *dict.fromkeys(found.get(each.actor, ())))) for each in stalls)


def held_since(steps: Sequence[Step], waiting: Step, holder: str, session: int) -> int:
    """The number of the step whose statement took a row for which another session waits; 0 where several may have.

    `waiting` is the step that began the wait for the transaction of the `holder`, an actor whose server process has the
    id `session`. Footprints may say too much, never too little: if only one statement can have taken it, that one did.
    """
    if waiting.wait is not None and holder not in waiting.wait.holders:
        return 0  # it waited for somebody else first, so the holder may have come later
    before = [step for step in steps if step.number < waiting.number and not step.is_fault]
    if any(step.action.kind is ActionKind.FETCH and step.actor == holder for step in before):
        return 0  # its rows are locked one after the other, as they are fetched
    theirs = [step for step in before if step.action.touches is not None and step.action.touches.session == session]
    if not theirs:
        return 0
    last = theirs[-1].action.touches
    assert last is not None
    statements = {step.action.touches: step for step in reversed(theirs)}
    asked = waiting.action.footprint
    own = [statements[each] for each in last.transaction if each in statements]
    able = [step for step in own if _may_hold(step.action.footprint, asked)]
    return able[0].number if len(able) == 1 else 0


def _may_hold(held: Footprint | None, asked: Footprint | None) -> bool:
    """Whether a statement may have locked what another one asks for."""
    if held is None or asked is None or held.everything or asked.everything:
        return True
    pairs = product(held.accesses, asked.accesses)
    return any(mine.lock.clashes(other.lock) and mine.rows.meet(other.rows) for mine, other in pairs)
