"""What a search left out, whatever schedules it ran: a verdict names it, and does not say that all was run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

from lab.engine.fairness import SLEEPS
from lab.engine.plan import Finished
from lab.model.comments import AHEAD
from lab.model.text import cut
from lab.model.trace import ActionKind, Step, Trace
from lab.postgres.statements.beyond import Beyond
from lab.postgres.statements.limits import limits_set
from lab.postgres.statements.met import MetRows, notices_pauses

__all__ = ["ORDERS_OF_ROWS", "unsearched"]

ORDERS_OF_ROWS = (
    "orders in which statements meet the same rows: nothing pauses between two rows of a statement here, which needs "
    "the embedded server"
)
SHARED = "the order of what actors share in the process: they waited for each other there, and the lab does not see it"
LARGE_OBJECTS = "what large objects hold in the end: only rows are compared"
SHOWN = 60
"""Characters of a statement in a sentence."""
_CHANGED = re.compile(r"(?:UPDATE|DELETE|MERGE|COPY|INSERT \d+) (\d+)$")
_LOCKED = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b", re.IGNORECASE)
_TAKES = re.compile(rf"\b(?:UPDATE|DELETE|INSERT|MERGE)\b|{_LOCKED.pattern}", re.IGNORECASE)
"""A statement that takes rows, or the words of one."""
_FETCHED = re.compile(r"(?:FETCH|MOVE) (?!0$|1$)\d+$")
_STRIKES = {
    "lock_timeout": "lock-timeout",
    "statement_timeout": "statement-timeout",
    "idle_in_transaction_session_timeout": "idle-timeout",
}
"""What the server does when a limit is over, as a fault."""
_LARGE = re.compile(
    r"\blo_(?:create|creat|from_bytea|import|put|truncate|truncate64|unlink)\b|\blowrite\b", re.IGNORECASE
)
_MAKES = re.compile(rf"{AHEAD}CREATE\b.*\b(?:IF\s+NOT\s+EXISTS|OR\s+REPLACE)\b", re.IGNORECASE | re.DOTALL)
_SELECTED = re.compile(r"SELECT (\d+)$")
_ONE_SNAPSHOT = ("REPEATABLE READ", "SERIALIZABLE")
MANY = "executed for each row"
"""The answer to a statement for several sets of parameters."""


def unsearched(
    finished: Finished,
    met: MetRows,
    unseen: Collection[str],
    beyond: Beyond,
    limits: Mapping[str, Collection[str]],
    *,
    pauses: bool,
    faults: Collection[str],
) -> tuple[str, ...]:
    """What could have been done in another order, but by no schedule, and what was not looked at.

    `met` are the statements that were seen to write several rows, also through functions and triggers, or to look at
    others before they write one; `unseen` those whose reads the history does not know; `limits` those of time with
    which sessions began, by actor; `pauses`: whether statements are paused at all; `faults`: what may strike, by name.
    """
    found = dict.fromkeys(_whole(finished, met, pauses=pauses))
    found |= dict.fromkeys(_fetched(finished, pauses=pauses))
    if finished.unpaused:
        found = {ORDERS_OF_ROWS: None}
    found |= dict.fromkeys(_between(finished, beyond))
    found |= dict.fromkeys(_before_the_end(finished, beyond))
    found |= dict.fromkeys(_made_by_several(finished))
    if any(_LARGE.search(step.action.text) for step in finished.trace):
        found[LARGE_OBJECTS] = None
    found |= dict.fromkeys(_timed(finished.trace, limits, faults))
    found |= dict.fromkeys(f"what else {_short(text)} read than the rows that it returned" for text in unseen)
    if finished.crossed:
        found[SHARED] = None
    found |= dict.fromkeys(
        f"that {who} sleeps more than {SLEEPS} times before another one goes on" for who in finished.held_back
    )
    found |= dict.fromkeys(f"the order of what {who} did outside the lab's control" for who in finished.elsewhere)
    found |= dict.fromkeys(f"orders within what {what}" for what in finished.threads)
    return tuple(found)


def _whole(finished: Finished, met: MetRows, *, pauses: bool) -> Iterator[str]:
    """The statements on several rows, or that look before they write, that could not be paused within."""
    for step in finished.trace:
        if step.woken or step.action.kind is not ActionKind.STATEMENT:
            continue
        if pauses and step.number not in finished.unpausable:
            continue
        if _is_met(step, met) or _rows(step) > 1:
            why = _why(step) if pauses else "the scenario or an option says so"
            yield f"orders within {_short(step.action.text)}, which is one step: {why}"


def _fetched(finished: Finished, *, pauses: bool) -> Iterator[str]:
    """The cursors of which one fetch locked or changed several rows, one after the other: nothing pauses within it."""
    streams: dict[str, str] = {}
    declared: dict[str, str] = {}
    for step in finished.trace:
        text, kind, result = step.action.text, step.action.kind, step.result
        if kind is ActionKind.STATEMENT and not step.woken and result is None:  # its rows, if any, come by fetches
            streams[step.actor] = text
        if result is None:
            continue
        if result.tag == "DECLARE CURSOR" and _TAKES.search(text):
            declared[step.actor] = text
        fetched = result.rows[1:] if kind is ActionKind.FETCH else _FETCHED.match(result.tag)
        cursor = (streams if kind is ActionKind.FETCH else declared).get(step.actor, "")
        if fetched and _TAKES.search(cursor):
            why = "it is a fetch from a cursor" if pauses else "the scenario or an option says so"
            yield f"orders within what is fetched of {_short(cursor)}, which is one step: {why}"


def _between(finished: Finished, beyond: Beyond) -> Iterator[str]:
    """Code of several statements that is one step, where each of them has a snapshot of its own."""
    for step in finished.trace:
        if step.woken or step.action.kind is not ActionKind.STATEMENT or not beyond.comes_apart(step.action.text):
            continue
        if step.action.touches is None or step.action.touches.level not in _ONE_SNAPSHOT:
            yield f"what others commit between the statements within {_short(step.action.text)}, which is one step"


def _before_the_end(finished: Finished, beyond: Beyond) -> Iterator[str]:
    """Steps in which a trigger or an index reads, with a snapshot of its own, and the transaction ends."""
    if not beyond.late:
        return
    steps = [step for step in finished.trace if not step.woken and step.action.touches is not None]
    before = {step.number: _before(step) for step in steps}
    texts = {id(step.action.touches): step.action.text for step in steps if step.action.kind is ActionKind.STATEMENT}
    continued = set().union(*before.values())
    for step in steps:
        touches, found = step.action.touches, ""
        if touches is None or touches.level in _ONE_SNAPSHOT or step.actor.partition("/")[0] in finished.struck:
            continue
        if step.action.kind is ActionKind.COMMIT:
            sent = [texts[each] for each in before[step.number] if each in texts]
            if beyond.reads_at_commit(sent):
                found = f"the COMMIT of {_short(sent[0])}"
        elif step.action.kind is ActionKind.STATEMENT and beyond.reads_late(step.action.text):
            alone = touches.level == "AUTOCOMMIT" or id(touches) not in continued
            found = _short(step.action.text) if alone else ""
        if found:
            what = "what a trigger or an index reads"
            yield f"what others commit between {what} within {found} and its end, which are one step"


def _made_by_several(finished: Finished) -> Iterator[str]:
    """Statements of several actors that look whether something is there, make it, and commit that, in one step."""
    found = {
        step.actor: f"what others commit between the look and the end of {_short(step.action.text)}, which is one step"
        for step in finished.trace
        if step.action.touches is not None and step.action.touches.level == "AUTOCOMMIT"
        if step.action.kind is ActionKind.STATEMENT and _MAKES.match(step.action.text)
    }
    return iter(found.values() if len(found) > 1 else ())


def _timed(trace: Trace, limits: Mapping[str, Collection[str]], faults: Collection[str]) -> Iterator[str]:
    """Limits of time that actors or their engines set, and that no step reaches: hardly any time passes."""
    active = {actor: set(limits.get(actor, ())) for actor in {step.actor for step in trace}}
    for step in trace:
        mine = active[step.actor]
        if step.action.kind is ActionKind.STATEMENT:
            for name, is_one in limits_set(step.action.text, step.action.parameters):
                (mine.add if is_one else mine.discard)(name)
        for limit in sorted(mine):
            fault = _STRIKES.get(limit, "")
            if fault not in faults and (limit != "lock_timeout" or step.wait is not None):
                how = f", as the fault {fault!r} has it" if fault else ""
                yield f"that the {limit} of {step.actor} is over{how}"


def _before(step: Step) -> list[int]:
    """The statements before a step in its transaction, by identity, the last one first."""
    return [id(each) for each in step.action.touches.transaction][1:] if step.action.touches is not None else []


def _is_met(step: Step, met: MetRows) -> bool:
    """Whether others could come between. At SERIALIZABLE what a statement saw is never old: somebody is refused."""
    text, touches = step.action.text, step.action.touches
    serializable = touches is not None and touches.level == "SERIALIZABLE"
    return met.is_several(text) if serializable else text in met.texts


@lru_cache(maxsize=2000)
def _locks(text: str) -> bool:
    return bool(_LOCKED.search(text))


def _rows(step: Step) -> int:
    """How many rows a statement changed or locked, as its answer says."""
    tag = "" if step.result is None else step.result.tag
    if tag == MANY:
        return max(2, len(step.action.parameters))
    found = _CHANGED.match(tag) or (_SELECTED.match(tag) if _locks(step.action.text) else None)
    return int(found[1]) if found else 0


def _why(step: Step) -> str:
    touches = step.action.touches
    if touches is not None and touches.level == "SERIALIZABLE":
        return "at SERIALIZABLE a pause may decide who is refused"
    if notices_pauses(step.action.text):
        return "it would notice a pause"
    return "no serial run showed which rows it writes or locks, by a primary key, or the session would notice a pause"


def _short(text: str) -> str:
    return cut(" ".join(text.split()), SHOWN)
