"""Causes: which known pattern of the user's code explains a violation, by what was observed in its execution.

One file for each family of rules; each rule is a function that names a cause or returns None. A cause is named where
each part of it was observed, and never guessed: a wrong one would be worse than none. At most one is named, that of the
first rule that knows the pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.checkers.causes.lock_cycles import deadlocked, retried_in_part, swallowed
from lab.checkers.causes.lost_sessions import half_again, in_doubt, lost_guard, not_durable
from lab.checkers.causes.missed import cursor_over_ids, released_before_commit, unheard
from lab.checkers.causes.no_row import duplicate_key, inserted_twice, parent_deleted, parent_referenced
from lab.checkers.causes.observed import Observed
from lab.checkers.causes.process import in_the_process
from lab.checkers.causes.same_row import overtaken
from lab.checkers.causes.snapshots import (
    half_done,
    older_than_the_lock,
    rechecked,
    rechecked_in_text,
    skewed,
    two_moments,
)
from lab.checkers.causes.stalled import in_a_circle, never_given_back, nobody_left
from lab.checkers.causes.went_on import committed_half, done_again, left_half_done, no_answer, not_retried
from lab.model.cause import Cause
from lab.model.record import ExecutionRecord

__all__ = ["cause_of"]

Rule = Callable[[Observed], Cause | None]

OF_AN_ERROR: tuple[Rule, ...] = (duplicate_key, parent_deleted, parent_referenced)
"""For an actor that ended with an error of the server."""
OF_A_BROKEN_INVARIANT: tuple[Rule, ...] = (
    retried_in_part,
    swallowed,
    deadlocked,
    unheard,
    released_before_commit,
    rechecked,
    rechecked_in_text,
    older_than_the_lock,
    overtaken,
    inserted_twice,
    skewed,
    cursor_over_ids,
    half_done,
    two_moments,
    in_the_process,
)
"""The more special first: a write skew is also what an advisory lock that is released too early leads to."""

OF_A_STALL: tuple[Rule, ...] = (unheard, in_a_circle, never_given_back, nobody_left)
"""For an execution in which nobody could go on."""
OF_A_FAULT: tuple[Rule, ...] = (
    in_doubt,
    half_again,
    lost_guard,
    not_durable,
    committed_half,
    done_again,
    no_answer,
    left_half_done,
)
"""For an invariant that is broken where a fault struck: what the code made of the fault."""

RULES: Mapping[str, tuple[Rule, ...]] = {
    "result": OF_AN_ERROR,
    "stall": OF_A_STALL,
    "deadlock": (deadlocked,),
    "invariant": OF_A_BROKEN_INVARIANT,
    "serial": OF_A_BROKEN_INVARIANT,
}
"""By the checker that objects. A promise that the database broke has no cause in the code."""
STRUCK: Mapping[str, tuple[Rule, ...]] = {
    "stall": OF_A_STALL,
    "invariant": OF_A_FAULT,
    "serial": OF_A_FAULT,
    "survival": (not_retried,),
}
"""The same where a fault struck: no rule that knows nothing of faults is asked, since the fault may be what matters."""


def cause_of(record: ExecutionRecord) -> Cause | None:
    """The cause of what broke, None where nothing did and where no pattern was recognised."""
    if not record.failed:
        return None
    rules = (STRUCK if record.trace.faults else RULES).get(record.findings[0].checker, ())
    seen = Observed(record) if rules else None
    return next((cause for rule in rules if seen is not None and (cause := rule(seen)) is not None), None)
