"""Behind a fault that took a session, an answer or the whole server: what was taken for done, or for not done."""

from __future__ import annotations

from lab.checkers.causes.observed import Observed, Sent, Unit
from lab.checkers.causes.struck import Hit, hits, is_twin, locked, same_again, wrote
from lab.model.cause import Cause

__all__ = ["half_again", "in_doubt", "lost_guard", "not_durable"]


def in_doubt(seen: Observed) -> Cause | None:
    """A COMMIT without an answer was taken for one that failed, and the same was done again; or the other way round."""
    for hit in hits(seen, "lost-answer", "lost-request"):
        commit, before = hit.broken_commit(), hit.written_before
        if commit is None or not before:
            continue
        again = next((each for each in hit.later if wrote(each) and same_again(each, before[0])), None)
        done = hit.commit_after(again.number) if again is not None else None
        if hit.fault == "lost-answer" and again is not None and done is not None:
            return _in_doubt(
                f"the server committed what {hit.victim} had done in #{before[0].answered}, and only the answer to its "
                f"COMMIT got lost (#{hit.number}, #{commit.number}); {hit.victim} did the same again "
                f"(#{again.answered}) and committed that too (#{done.number})",
                (before[0].answered, hit.number, commit.number, again.answered, done.number),
            )
        if hit.fault == "lost-request" and hit.returned and again is None:
            return _in_doubt(
                f"the COMMIT of what {hit.victim} had done in #{before[0].answered} never reached the server "
                f"(#{hit.number}, #{commit.number}); {hit.victim} did not do it again and returned without an error",
                (before[0].answered, hit.number, commit.number),
            )
    return None


def _in_doubt(text: str, steps: tuple[int, ...]) -> Cause:
    return Cause(
        "commit in doubt",
        text,
        tuple(sorted(set(steps))),
        "make one key for the request and keep it in a unique column: look it up before the request is done again, or "
        "let the INSERT meet it; a COMMIT without an answer may have been done or not",
    )


def half_again(seen: Observed) -> Cause | None:
    """A lost connection took a transaction back, and only what came later was sent again and committed."""
    for hit in hits(seen, "kill", "disconnect", "idle-timeout", "crash"):
        lost = [each for each in hit.written_before if not any(is_twin(each, other) for other in hit.later)]
        rest = next((each for each in hit.later if wrote(each)), None)
        done = hit.commit_after(rest.number) if rest is not None else None
        if lost and rest is not None and done is not None:
            return Cause(
                "only the last statement was retried",
                f"the end of {hit.victim}'s connection (#{hit.number}) took back all that it had done in its "
                f"transaction; #{rest.answered} was sent behind it and committed (#{done.number}), "
                f"#{lost[0].answered} was not sent again",
                tuple(sorted({lost[0].answered, hit.number, rest.answered, done.number})),
                "run the whole transaction again, from its first statement",
            )
    return None


def not_durable(seen: Observed) -> Cause | None:
    """Somebody returned, and the server fell before what it had done was on disk."""
    for hit in hits(seen, "crash"):
        commit = hit.broken_commit()
        if commit is not None and hit.returned and hit.written_before:
            return _not_durable(
                f"the server fell (#{hit.number}) before {hit.victim}'s COMMIT (#{commit.number}), so nothing is left "
                f"of what it wrote in #{hit.written_before[0].answered}; {hit.victim} returned without an error",
                (hit.written_before[0].answered, hit.number, commit.number),
                "acknowledge behind the answer to the COMMIT, and let its error reach the caller",
            )
        for unit in _own(hit):
            off = next((each for each in unit.sent if _is_off(each)), None)
            if off is not None and unit.committed and unit.end < hit.number and hit.returned:
                return _not_durable(
                    f"{hit.victim} committed (#{unit.end}) with synchronous_commit off (#{off.answered}), where the "
                    f"answer comes before the COMMIT is on disk, and returned; then the server fell (#{hit.number})",
                    (off.answered, unit.end, hit.number),
                    "leave synchronous_commit on for what is acknowledged",
                )
    return None


def _own(hit: Hit) -> list[Unit]:
    return [unit for unit in hit.seen.units if unit.actor == hit.victim]


def _is_off(each: Sent) -> bool:
    words = each.text.lower().replace("=", " ").split()
    return "synchronous_commit" in words and words[-1].strip("'") in ("off", "false", "0")


def _not_durable(text: str, steps: tuple[int, ...], fix: str) -> Cause:
    return Cause("acknowledged before it was durable", text, tuple(sorted(set(steps))), fix)


def lost_guard(seen: Observed) -> Cause | None:
    """What guarded an actor's work was gone before the work was done, and another one worked meanwhile."""
    for hit in hits(seen, "idle-timeout", "kill", "disconnect", "slow"):
        for first in (each for each in hit.sent if each.answered < hit.number and locked(each)):
            claim = _claimed(seen, hit, first)
            if claim is not None:
                other, late = claim
                how = "time passed" if hit.fault == "slow" else "its session was ended"
                return Cause(
                    "guard lost before the work was done",
                    f"{hit.victim} took in #{first.answered} what guards its work; {how} (#{hit.number}), "
                    f"{other.actor} took the same (#{other.answered}), and {hit.victim} still wrote in "
                    f"#{late.answered}",
                    tuple(sorted({first.answered, hit.number, other.answered, late.answered})),
                    "let the write itself check the guard: hold the lock in the transaction that writes, or write only "
                    "WHERE the fence is still the one that was taken",
                )
    return None


def _claimed(seen: Observed, hit: Hit, first: Sent) -> tuple[Sent, Sent] | None:
    """Who took the same behind the fault, and what the victim committed behind that."""
    for unit, other in seen.sent:
        if unit.actor == hit.victim or not unit.committed or other.number < hit.number or not locked(other):
            continue
        if not (set(first.changes) & set(other.changes) or is_twin(first, other)):
            continue
        late = next((each for each in hit.later if each.number > other.answered and wrote(each)), None)
        if late is not None and hit.commit_after(late.number) is not None:
            return other, late
    return None
