"""Behind a cancellation or a refusal: what an actor left half done, committed all the same, or did twice."""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.causes.observed import Observed, Sent, Unit
from lab.checkers.causes.struck import CRASH, Hit, hits, is_twin, same_again, wrote
from lab.model.cause import Cause
from lab.model.trace import ActionKind, Step

__all__ = ["committed_half", "done_again", "left_half_done", "no_answer", "not_retried"]


def committed_half(seen: Observed) -> Cause | None:
    """An actor was cancelled within its transaction, and committed what it had done until then."""
    for hit in hits(seen, "cancel", "cancel-scope"):
        following = next((s for s in seen.record.trace if s.actor == hit.victim and s.number > hit.number), None)
        commits = following is not None and following.action.kind is ActionKind.COMMIT
        if following is not None and commits and hit.written_before and hit.commit_after(hit.number) is following:
            return Cause(
                "committed what was cut off",
                f"{hit.victim} was cancelled (#{hit.number}) within the transaction in which it had written "
                f"#{hit.written_before[-1].answered}, and its next step was to commit that (#{following.number})",
                tuple(sorted({hit.written_before[-1].answered, hit.number, following.number})),
                "commit at the end of the work and not in a `finally`; `async with session.begin()` rolls back what is "
                "cancelled",
            )
    return None


def left_half_done(seen: Observed) -> Cause | None:
    """An actor had committed a part of its work, and was cut off before it committed the rest."""
    for hit in hits(seen):
        parts = [
            unit
            for unit in seen.units
            if unit.actor == hit.victim and unit.committed and unit.end < hit.number and any(map(wrote, unit.sent))
        ]
        if not parts or (hit.fault == CRASH and hit.finished) or any(_written(hit)):
            continue
        first = next(filter(wrote, parts[-1].sent))
        return Cause(
            "cut off between two commits",
            f"{hit.victim} committed in #{parts[-1].end} what it had written in #{first.answered}; then it was struck "
            f"(#{hit.number}: {hit.step.action.text}) and committed nothing more",
            tuple(sorted({first.answered, parts[-1].end, hit.number})),
            "do in one transaction what belongs together; where that cannot be, shield the clean-up from cancellation, "
            "do it on every error, and let something that runs later find what was left",
        )
    return None


def _written(hit: Hit) -> Iterator[Step]:
    """Each COMMIT behind the fault with which something was written."""
    for each in hit.later:
        commit = hit.commit_after(each.number)
        if wrote(each) and commit is not None:
            yield commit
    yield from (step for step in hit.ends if step.number > hit.number and hit.written_before and _is_good(step))


def _is_good(step: Step) -> bool:
    return step.action.kind is ActionKind.COMMIT and not (step.result is not None and step.result.error)


def no_answer(seen: Observed) -> Cause | None:
    """A statement was refused, and its actor went on without it in the same transaction, behind a savepoint."""
    for hit in hits(seen):
        refused = _refused(hit)
        if refused is None or any(is_twin(each, refused) for each in hit.later):
            continue
        rest = next((each for each in hit.later if each.number > refused.answered and wrote(each)), None)
        done = hit.commit_after(rest.number) if rest is not None else None
        if rest is not None and done is not None and _went_back(hit, refused.answered, rest.number):
            return Cause(
                "error taken for an answer",
                f"{hit.victim}'s {refused.verb} (#{refused.number}) failed with {refused.error} "
                f"(#{hit.number}, #{refused.answered}); {hit.victim} did not send it again, went on with "
                f"#{rest.answered} and committed (#{done.number})",
                tuple(sorted({refused.number, hit.number, refused.answered, rest.answered, done.number})),
                "catch only the SQLSTATE that is an answer, and let every other error end the transaction; or run the "
                "whole transaction again",
            )
    return None


def _refused(hit: Hit) -> Sent | None:
    """The statement of the victim that failed by the fault: its first one that was answered behind it."""
    first = next((each for each in hit.sent if each.answered > hit.number), None)
    return first if first is not None and first.error else None


def _went_back(hit: Hit, start: int, end: int) -> bool:
    """Whether the actor rolled back to a savepoint between two steps, and did not end its transaction."""
    kinds = {s.action.kind for s in hit.seen.record.trace if s.actor == hit.victim and start < s.number < end}
    return ActionKind.ROLLBACK_TO in kinds and not kinds & {ActionKind.COMMIT, ActionKind.ROLLBACK}


def done_again(seen: Observed) -> Cause | None:
    """What an actor committed in a transaction of its own was done once more when the other was run again."""
    for hit in hits(seen):
        commit = hit.broken_commit()
        refused = _refused(hit)
        at = commit.number if commit is not None else refused.answered if refused is not None else 0
        for unit, first in seen.sent if at else ():
            if unit.actor != hit.victim or not unit.committed or unit.end > hit.number or not wrote(first):
                continue
            again = next((s for s in hit.later if wrote(s) and s.number > at and is_same(s, first)), None)
            if again is not None and hit.commit_after(again.number) is not None and _was_within(hit, unit):
                return Cause(
                    "committed outside of what is retried",
                    f"{hit.victim} wrote #{first.answered} and committed it by itself (#{unit.end}); its other "
                    f"transaction was refused (#{at}) and run again, and #{first.answered} was done once more "
                    f"(#{again.answered})",
                    tuple(sorted({first.answered, unit.end, at, again.answered})),
                    "write it in the transaction that is run again, so that both happen or none; or do it when that is "
                    "committed",
                )
    return None


def is_same(one: Sent, other: Sent) -> bool:
    """The same change with the same values."""
    return same_again(one, other) and is_twin(one, other)


def _was_within(hit: Hit, part: Unit) -> bool:
    """Whether another transaction of the actor was open when this one was committed, and went on behind it."""
    return any(
        unit.actor == hit.victim and unit is not part and unit.sent[0].number < part.end < hit.number < unit.end
        for unit in hit.seen.units
    )


def not_retried(seen: Observed) -> Cause | None:
    """The server refused a transaction in a way that a retry cures, and its actor ended with that error."""
    for hit in hits(seen):
        refused, commit = _refused(hit), hit.broken_commit()
        at = refused.answered if refused is not None else commit.number if commit is not None else 0
        result = seen.record.outcome.results.get(hit.victim)
        if at and result is not None and result.aborted and result.sqlstate and not hit.later:
            return Cause(
                "refusal not retried",
                f"the server refused {hit.victim} (#{hit.number}, #{at}, SQLSTATE {result.sqlstate}), and "
                f"{hit.victim} ended with that error and did not begin again",
                tuple(sorted({hit.number, at})),
                f"run the whole transaction again after {result.sqlstate}, with new reads, a bounded number of times",
            )
    return None
