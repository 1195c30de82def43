"""Faults: what an actor did that was struck, so that more was broken than the fault itself.

A fault is no cause in the code. What is named is what the code assumed of it, as far as the trace shows it: what was
done again, left out or committed behind it. Where no rule knows that, none is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from lab.checkers.causes.grammar import locks, written_table
from lab.checkers.causes.observed import Observed, Sent
from lab.model.decision import Strike
from lab.model.outcome import ResultKind
from lab.model.trace import ActionKind, Step

__all__ = ["CRASH", "Hit", "hits", "is_twin", "locked", "same_again", "wrote"]

CRASH = "crash"
_ENDS = (ActionKind.COMMIT, ActionKind.ROLLBACK)


@dataclass(frozen=True)
class Hit:
    """A fault and one actor that it struck: all of them where the server itself fell."""

    seen: Observed
    step: Step
    fault: str
    victim: str

    @property
    def number(self) -> int:
        """The step of the fault."""
        return self.step.number

    @cached_property
    def sent(self) -> tuple[Sent, ...]:
        """The statements of the actor, in order."""
        return tuple(each for _, each in self.seen.of(self.victim))

    @cached_property
    def ends(self) -> tuple[Step, ...]:
        """Each COMMIT and ROLLBACK of the actor."""
        return tuple(s for s in self.seen.record.trace if s.actor == self.victim and s.action.kind in _ENDS)

    @property
    def returned(self) -> bool:
        """Whether the actor returned without an error."""
        result = self.seen.record.outcome.results.get(self.victim)
        return result is not None and result.kind is ResultKind.RETURNED

    @property
    def finished(self) -> bool:
        """Whether it had nothing more to do when the fault struck, as far as that is known."""
        return self.returned and not any(
            step.actor == self.victim and step.number > self.number for step in self.seen.record.trace
        )

    @cached_property
    def written_before(self) -> tuple[Sent, ...]:
        """What it wrote in the transaction that was open when the fault struck."""
        began = max((step.number for step in self.ends if step.number < self.number), default=0)
        return tuple(each for each in self.sent if began < each.number < self.number and wrote(each))

    @cached_property
    def later(self) -> tuple[Sent, ...]:
        """What it sent behind the fault and that was not refused."""
        return tuple(
            each for each in self.sent if each.number > self.number and each.result is not None and not each.error
        )

    def commit_after(self, number: int) -> Step | None:
        """Its first COMMIT behind a step, if that was answered without an error."""
        found = next((each for each in self.ends if each.number > number), None)
        good = found is not None and found.action.kind is ActionKind.COMMIT
        return found if good and not (found.result is not None and found.result.error) else None  # type: ignore[union-attr]

    def broken_commit(self) -> Step | None:
        """Its first COMMIT behind the fault, if that ended with an error."""
        found = next((each for each in self.ends if each.number > self.number), None)
        bad = found is not None and found.action.kind is ActionKind.COMMIT and found.result is not None
        return found if bad and found.result.error else None  # type: ignore[union-attr]


def hits(seen: Observed, *faults: str) -> Iterator[Hit]:
    """Each time that one of these faults struck an actor, in order; of any fault where none is named."""
    for step in seen.record.trace:
        if isinstance(step.chosen, Strike) and (not faults or step.chosen.fault in faults):
            everybody = step.chosen.fault == CRASH
            for name in seen.record.trace.actors if everybody else (step.chosen.actor,):
                yield Hit(seen, step, step.chosen.fault, name)


def wrote(each: Sent) -> bool:
    """Whether a statement changed anything, as its command tag says."""
    done = each.result is not None and not each.error
    return each.verb in ("INSERT", "UPDATE", "DELETE") and done and not (each.result and each.result.tag.endswith(" 0"))


def is_twin(one: Sent, other: Sent) -> bool:
    """The same statement with the same values."""
    return (one.text, one.values) == (other.text, other.values)


def same_again(one: Sent, other: Sent) -> bool:
    """The same kind of change of the same table; values may differ."""
    return one.verb == other.verb and written_table(one.text) == written_table(other.text)


def locked(each: Sent) -> bool:
    """Whether a statement left rows locked."""
    return wrote(each) or (bool(locks(each.text)) and each.result is not None and not each.result.error)
