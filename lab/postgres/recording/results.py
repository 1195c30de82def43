"""Turns what actors returned and raised into comparable results, and a deadlock's detail into its cycle.

PostgreSQL names processes and transactions by number. Here they become the names of actors, because a number differs
between two runs of the same schedule and means nothing to a reader.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import asyncpg
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lab.errors import is_a, shown
from lab.model.nature import Path
from lab.model.outcome import ActorResult, ResultKind
from lab.model.record import DeadlockEdge
from lab.model.trace import Step
from lab.postgres.recording.described import described
from lab.postgres.recording.held import held_since
from lab.postgres.recording.refusals import attribute_of, causes_of, leaves_of, refusal_behind, sqlstate_of

__all__ = ["aborted_or_raised", "deadlock_cycle", "is_connection_loss", "returned"]

_PROCESS = re.compile(r"\b([Pp])rocess (\d{1,19})")
_TRANSACTION = re.compile(r"\b(transaction|pivot) \d+")
_EDGE = re.compile(
    r"Process (?P<waiter>\d{1,19}) waits for (?P<mode>\w+) on (?P<target>.+?); "
    r"blocked by process (?P<holder>\d{1,19})\."
)
_LOST = ("08", "57P")
_REFUSED_BY_FAULTS = frozenset({"57014", "53100", "53300"})
"""A statement that took too long, a full disk, a connection too many: what a fault excuses, and nothing else does."""
_ENDED_FROM_OUTSIDE = (asyncio.CancelledError, TimeoutError, PoolTimeoutError)
"""What a cancellation and a timeout raise in an actor."""


def returned(
    value: object,
    mask: Callable[[str], str],
    missed: Callable[[str], object],
    place: Callable[[Path, str], str] | None = None,
) -> ActorResult:
    """The result of an actor that came to its end. `missed` and `place` as in `described`."""
    try:
        text = described(value, missed, place)
    except BaseException as error:  # noqa: BLE001 - code of the value's own class, of whatever kind its error is
        text = f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    return ActorResult(ResultKind.RETURNED, mask(shown(text)), value)


def aborted_or_raised(
    error: BaseException,
    sessions: Mapping[int, str],
    mask: Callable[[str], str],
    *,
    struck: bool = False,
    late: bool = False,
) -> ActorResult:
    """The result of an actor that ended with an error. One that a fault struck is excused for what the fault does."""
    server, refusal = _server_error(error), refusal_behind(error)
    aborted = refusal is not None
    if struck and all(map(_is_loss_to_its_client, leaves_of(error))):
        # The words depend on whether the connection had prepared this statement before, which no schedule controls.
        return ActorResult(ResultKind.ABORTED, "connection lost", error=error)
    aborted |= struck and (
        is_a(error, asyncio.CancelledError, PoolTimeoutError) or sqlstate_of(error) in _REFUSED_BY_FAULTS
    )
    aborted |= late and any(is_a(each, *_ENDED_FROM_OUTSIDE) for each in causes_of(error))
    name = type(server or error).__name__
    message = _text(server, "message") or shown(error).strip().split("\n")[0]
    return ActorResult(
        ResultKind.ABORTED if aborted else ResultKind.RAISED,
        mask(_named(f"{name}: {message}" if message else name, sessions)),
        error=error,
        sqlstate=sqlstate_of(refusal or error),
        detail=mask(_named(_text(_server_error(refusal) if refusal else server, "detail"), sessions)),
    )


def is_connection_loss(error: BaseException) -> bool:
    """Whether an error says that the connection or the server is gone."""
    state = sqlstate_of(error)
    return state.startswith(_LOST) or attribute_of(error, "connection_invalidated") is True


def _is_loss_to_its_client(error: BaseException) -> bool:
    return is_a(error, ConnectionError) or is_connection_loss(error)


def deadlock_cycle(detail: str, steps: Sequence[Step], sessions: Mapping[int, str]) -> tuple[DeadlockEdge, ...]:
    """The cycle that PostgreSQL reported to its victim in the last of `steps`, with the statement of each actor."""
    cycle = []
    known = {step.actor: step for step in steps if not step.is_fault}
    for edge in _EDGE.finditer(detail):
        waiter, target = _name(edge["waiter"], sessions), _TRANSACTION.sub("transaction", edge["target"])
        holder = _name(edge["holder"], sessions)
        found = DeadlockEdge(waiter, holder, edge["mode"], target)
        if (step := known.get(waiter)) is not None:  # its last: it waited or, the victim's, was refused
            since = held_since(steps, step, holder, int(edge["holder"])) if target == "transaction" else 0
            row = step.wait.target if step.wait is not None else ""
            action = step.action
            found = replace(
                found, sql=action.text, parameters=action.parameters, step=step.number, since=since, row=row
            )
        cycle.append(found)
    return tuple(cycle)


def _server_error(error: BaseException | None) -> BaseException | None:
    original = attribute_of(error, "orig")
    if isinstance(original, BaseException):
        return original.__cause__ or original
    return error if is_a(error, asyncpg.PostgresError) else None


def _text(error: object, name: str) -> str:
    value = attribute_of(error, name)
    return value if isinstance(value, str) else ""


def _named(text: str, sessions: Mapping[int, str]) -> str:
    text = _PROCESS.sub(lambda found: _name(found[2], sessions), text)
    return _TRANSACTION.sub(r"\1", text)


def _name(pid: str, sessions: Mapping[int, str]) -> str:
    return sessions.get(int(pid), "another session")
