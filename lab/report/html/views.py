"""What each actor has at each step: its snapshot, its locks, and the rows as it would see them.

All of it is inferred: from the trace, from the recorded versions, and from what PostgreSQL promises at the level of the
transaction. What cannot be known that way is said (`UNKNOWN_LOCKS`). A view is a list of changes, since most steps
change little; what holds at a step is the last change up to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.model.decision import BREAKPOINT
from lab.model.history import Read, Write
from lab.model.stall import Stall
from lab.model.stall_text import nearer
from lab.model.trace import ActionKind, Trace
from lab.report.html.strips import RowVersion, Strip
from lab.report.html.tenures import Tenure

__all__ = ["UNKNOWN_LOCKS", "UNKNOWN_ROWS", "View", "views"]

UNKNOWN_LOCKS = (
    "Shown are locks on rows that were written or read FOR UPDATE or SHARE, LOCK TABLE, advisory locks, and all waits. "
    "Not known: locks that PostgreSQL takes by itself, such as those of foreign keys, indexes and tables."
)
UNKNOWN_ROWS = "Rows that no actor read or wrote are not shown: what is in them at a step is not known."
NO_TRANSACTION = "no transaction is open"
BROKEN_OFF = "none: the server broke the transaction off, and accepts nothing but its ROLLBACK"
_LOCKING = re.compile(r"\bFOR (?:NO KEY UPDATE|UPDATE|KEY SHARE|SHARE)\b", re.IGNORECASE)
_STATED = re.compile(r"\bLOCK TABLE\b.*|\bpg(?:_try)?_advisory(?:_xact)?_lock(?:_shared)?\b", re.IGNORECASE)

_NOT_SENT = (ActionKind.START, ActionKind.POINT, ActionKind.SLEEP, ActionKind.FAULT)

Changes = tuple[tuple[int, str], ...]
"""The number of a step, and what holds from its end on; 0: from the beginning."""


@dataclass(frozen=True, slots=True)
class View:
    """What an actor has. `rows`: each row with the changes of what a statement of the actor would see of it."""

    actor: str
    snapshot: Changes
    locks: Changes
    rows: tuple[tuple[str, Changes], ...]


def views(
    trace: Trace, known: Sequence[Tenure], rows: Sequence[Strip], stalls: Sequence[Stall] = ()
) -> tuple[View, ...]:
    """A view for each actor that took a step, in the order of the scenario."""
    took = {step.actor for step in trace if not step.is_fault}
    named = [actor for actor in trace.actors if actor in took]
    standing = {each.actor: each for each in stalls}
    everybody = (*named, *sorted(took - set(named)))
    return tuple(_view(actor, trace, known, rows, standing.get(actor)) for actor in everybody)


def _view(actor: str, trace: Trace, known: Sequence[Tenure], rows: Sequence[Strip], stall: Stall | None = None) -> View:
    numbers = range(len(trace) + 1)
    own = [each for each in known if each.actor == actor]
    return View(
        actor,
        _changes((number, _snapshot(number, actor, own, trace)) for number in numbers),
        _changes((number, _locks(number, actor, own, trace, stall)) for number in numbers),
        tuple(
            (strip.item, _changes((number, _seen(number, strip, actor, own)) for number in numbers)) for strip in rows
        ),
    )


def _changes(values: Iterator[tuple[int, str]]) -> Changes:
    found: list[tuple[int, str]] = []
    for number, text in values:
        if not found or found[-1][1] != text:
            found.append((number, text))
    return tuple(found)


def _open(number: int, own: Sequence[Tenure]) -> Tenure | None:
    return next((each for each in own if each.began <= number < each.ended), None)


def _snapshot(number: int, actor: str, own: Sequence[Tenure], trace: Trace) -> str:
    tenure = _open(number, own)
    if tenure is None:
        if _is_broken_off(number, actor, trace):
            return BROKEN_OFF
        since = _unrecorded(number, actor, trace)
        return (
            f"a transaction may be open since #{since}; its reads and writes are not known" if since else NO_TRANSACTION
        )
    level = tenure.transaction.level
    if level == "READ COMMITTED":
        last = _last_statement(number, actor, trace)
        return f"{level}: each statement takes its own; the last one in #{last}"
    return f"{level}: taken in #{tenure.began}, kept to the end of the transaction"


def _is_broken_off(number: int, actor: str, trace: Trace) -> bool:
    """Whether its last statement failed, and the ROLLBACK of the transaction is yet to come."""
    sent = [step for step in trace if step.actor == actor and step.action.kind not in _NOT_SENT]
    behind = [step for step in sent if step.number <= number]
    ahead = sent[len(behind) :]
    failed = bool(behind) and behind[-1].result is not None and bool(behind[-1].result.error)
    return failed and bool(ahead) and ahead[0].action.kind is ActionKind.ROLLBACK


def _unrecorded(number: int, actor: str, trace: Trace) -> int:
    """The first statement since the actor last ended a transaction or lost one by an error; 0 without one."""
    since = 0
    for step in trace.steps[:number]:
        if step.actor != actor:
            continue
        if step.action.kind in (ActionKind.COMMIT, ActionKind.ROLLBACK) or (step.result and step.result.error):
            since = 0
        elif step.action.kind is ActionKind.STATEMENT:
            since = since or step.number
    return since


def _last_statement(number: int, actor: str, trace: Trace) -> int:
    own = (step for step in trace.steps[:number] if step.actor == actor and step.action.kind is ActionKind.STATEMENT)
    return max((step.number for step in own), default=0)


def _locks(number: int, actor: str, own: Sequence[Tenure], trace: Trace, stall: Stall | None = None) -> str:
    texts = [] if stall is None else list(_in_process(number, actor, stall, trace))
    tenure = _open(number, own)
    if tenure is not None:
        texts += [f"holds {what} since #{since}" for what, since in _held(tenure, trace) if since <= number]
    last = next((step for step in reversed(trace.steps[:number]) if step.actor == actor), None)
    if last is not None and last.wait is not None:
        target = f": {last.wait.target}" if last.wait.target else ""
        holders = " and ".join(last.wait.holders)
        if last.wait.holders == (BREAKPOINT,):
            texts.append(f"is paused {last.wait.target}, in #{last.number}")
        else:
            mode = f" ({last.wait.mode})" if last.wait.mode else ""
            texts.append(f"waits{f' for {holders}' if holders else ''}{target}{mode}, since #{last.number}")
    return "; ".join(texts) or "none known"


def _in_process(number: int, actor: str, stall: Stall, trace: Trace) -> Iterator[str]:
    """What an actor that cannot go on has in the process, since which line, and what it waits for at its end."""
    for held in stall.holds:
        if held.step <= number and not held.what.startswith("row "):  # a row has its own entry
            line = f" at {_line(held.place)}" if held.place else ""
            yield f"holds {held.what} since #{held.step}{line}"
    last = max((step.number for step in trace if step.actor == actor), default=0)
    if stall.lock is None and number >= last:
        what = stall.wants.what if stall.wants is not None else "something in the process"
        yield f"waits for {what} since #{last}, at {_line(stall.place)}"


def _line(place: str) -> str:
    """File and line, without the text of the line."""
    return ":".join(nearer(place).split(":")[:2])


def _held(tenure: Tenure, trace: Trace) -> Iterator[tuple[str, int]]:
    """What a transaction locked, with the step; each thing once."""
    steps = {step.number: step for step in trace}
    found: dict[str, int] = {}
    for each in tenure.transaction.operations:
        locking = isinstance(each, Read) and not each.absent and _LOCKING.search(steps[each.step].action.text)
        if locking or (isinstance(each, Write) and each.undone is None):
            found.setdefault(f"the row {each.item}", each.step)  # type: ignore[union-attr]
    for step in trace.steps[tenure.began - 1 : tenure.ended - 1]:
        stated = _STATED.search(step.action.text) if step.actor == tenure.actor and step.wait is None else None
        if stated and step.action.kind is ActionKind.STATEMENT:
            found.setdefault(f"what {stated[0][:60]!r} locks", step.number)
    yield from found.items()


def _seen(number: int, strip: Strip, actor: str, own: Sequence[Tenure]) -> str:
    """What a statement that the actor sends after this step would see of a row."""
    tenure = _open(number, own)
    mine = [] if tenure is None else [each for each in strip.versions if _is_mine(each, number, actor, tenure)]
    if mine:
        return f"{mine[-1].text} (its own, not committed)"
    kept = tenure is not None and tenure.transaction.level != "READ COMMITTED"
    moment = tenure.began - 1 if tenure is not None and kept else number
    there = [each for each in strip.versions if not each.writer or 0 < each.there <= moment]
    latest = max(there, key=lambda each: (each.there, each.step))
    return f"{latest.text} (of {latest.writer}, #{latest.step})" if latest.writer else latest.text


def _is_mine(version: RowVersion, number: int, actor: str, tenure: Tenure) -> bool:
    written = version.writer == actor and tenure.began <= version.step <= number < tenure.ended
    return written and not 0 < version.gone <= number
