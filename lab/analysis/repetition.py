"""What repeats at the end of an execution that does not end: the loop of a retry, or a livelock of several actors.

Each actor is looked at by itself: how their loops are interleaved differs from round to round.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.model.text import clipped
from lab.model.trace import ActionKind, Step, Trace

__all__ = ["repeating"]

FEWEST = 3
"""Rounds that make a repetition."""
LONGEST = 200
"""Steps of a round."""
SHOWN = 6
"""Steps of a round that are named."""


def repeating(trace: Trace) -> str:
    """What each actor repeats at the end of its steps, at least three times, the shortest round; "" if nobody does."""
    steps: dict[str, list[Step]] = {}
    for step in trace:
        if not step.is_fault:
            steps.setdefault(step.actor, []).append(step)
    return "; ".join(filter(None, (_repeats(actor, own) for actor, own in steps.items())))


def _repeats(actor: str, steps: Sequence[Step]) -> str:
    keys = [_said(step) for step in steps]
    for length in range(1, min(LONGEST, len(keys) // FEWEST) + 1):
        if (rounds := _rounds(keys, length)) >= FEWEST:
            first = steps[len(keys) - rounds * length]
            said = ", ".join(keys[-length:][:SHOWN])
            more = f", {length - SHOWN} more" if length > SHOWN else ""
            return f"{actor} repeats {rounds} times, from step #{first.number} on: {said}{more}"
    return ""


def _rounds(keys: Sequence[str], length: int) -> int:
    """How often the last so many steps came, one after the other, until the end."""
    number = len(keys) - length
    while number > 0 and keys[number - 1] == keys[number - 1 + length]:
        number -= 1
    return (len(keys) - number) // length


def _said(step: Step) -> str:
    """What is the same in each round. Bound values may differ, and the names of savepoints do."""
    kind, text = step.action.kind, " ".join(step.action.text.split())
    named = kind in (ActionKind.SAVEPOINT, ActionKind.RELEASE, ActionKind.ROLLBACK_TO)
    what = clipped(text) if kind is ActionKind.STATEMENT else kind.value if named else f"{kind.value} {text}".strip()
    return f"{what} → {step.result.error}" if step.result is not None and step.result.error else what
