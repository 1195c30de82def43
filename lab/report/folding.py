"""Steps that repeat, folded: a loop of twelve statements is one line and not twelve."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lab.model.trace import ActionKind, Step, Trace

__all__ = ["Lines", "folded"]

FEWEST = 3
"""Rounds that are worth folding."""
LONGEST = 4
"""Steps of a round."""
TIMES = "×"  # noqa: RUF001 - as people write it


@dataclass(frozen=True, slots=True)
class Lines:
    """A step that has a line of its own, and what the line says of the steps that have none."""

    step: Step
    note: str = ""


def folded(trace: Trace, apart: Collection[int] = ()) -> Iterator[Lines]:
    """The steps; of rounds that follow each other only the first. Those `apart` are spoken of, so they stay."""
    steps, at = trace.steps, 0
    while at < len(steps):
        length, rounds = _repeated(steps, at, apart)
        if rounds < FEWEST:
            yield Lines(steps[at])
            at += 1
            continue
        yield from (Lines(step) for step in steps[at : at + length - 1])
        last = steps[at + length - 1]
        yield Lines(last, _note(steps[at : at + length * rounds], length, rounds))
        at += length * rounds


def _repeated(steps: tuple[Step, ...], at: int, apart: Collection[int]) -> tuple[int, int]:
    """How long the round is that begins here, and how often it comes; the round that covers most steps."""
    found = ((length, _rounds(steps, at, length, apart)) for length in range(1, LONGEST + 1))
    worth = [(length, rounds) for length, rounds in found if rounds >= FEWEST]
    return max(worth, key=lambda each: each[0] * each[1], default=(1, 1))


def _rounds(steps: tuple[Step, ...], at: int, length: int, apart: Collection[int]) -> int:
    number = at + length
    while number < len(steps) and _alike(steps[number - length], steps[number]) and number + 1 not in apart:
        number += 1
    whole = all(_plain(step, steps[at]) for step in steps[at + 1 : at + length]) and _plain(steps[at], steps[at])
    return (number - at) // length if whole else 1


def _alike(one: Step, other: Step) -> bool:
    """Whether the other one repeats it: the same actor does the same, without anything to be said of it."""
    same = (one.action.kind, one.action.text, one.action.database) == (
        other.action.kind,
        other.action.text,
        other.action.database,
    )
    return same and _plain(other, one) and not other.preempted and _error(one) == _error(other)


def _plain(step: Step, like: Step) -> bool:
    """Whether it is of the same actor, and nothing but an action and its answer."""
    return not step.is_fault and step.actor == like.actor and not step.woken and step.wait is None


def _error(step: Step) -> str:
    return step.result.error if step.result is not None else ""


def _note(steps: tuple[Step, ...], length: int, rounds: int) -> str:
    """How many rounds there are and where they end; of a round of several steps also which they are."""
    first, last = steps[0].number, steps[-1].number
    of = "" if length == 1 else f"#{first} to #{first + length - 1} "
    return f"({of}{TIMES} {rounds}, to #{last}{'' if _same_values(steps, length) else ', with other values'})"


def _same_values(steps: tuple[Step, ...], length: int) -> bool:
    return all(
        (one.action.parameters, one.result) == (other.action.parameters, other.result)
        for one, other in zip(steps, steps[length:], strict=False)
        if one.action.kind is ActionKind.STATEMENT
    )
