"""Whether an error says that the server refused the work, also where the application raised one of its own instead.

A library seldom lets the driver's errors out: it raises `RepositoryError` from a serialization failure, or while it
handles one. For its caller that is still an abort, which a retry may cure.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import asyncpg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm.exc import StaleDataError

from lab.errors import is_a
from lab.model.outcome import ABORT_STATES
from lab.model.remedy import STALE

__all__ = ["attribute_of", "causes_of", "leaves_of", "reason_of", "refusal_behind", "sqlstate_of"]

_STATE = re.compile("[0-9A-Z]{5}")
_MISTAKES = frozenset(
    (AssertionError, AttributeError, ImportError, IndexError, KeyError, NameError, TypeError, UnboundLocalError)
)
"""What Python raises for a mistake in a handler, by itself; a class of the application's own is meant."""
_OF_THEIR_OWN = (SQLAlchemyError, asyncpg.InterfaceError, asyncio.CancelledError)
"""What is raised in a handler for what the handler does, such as to go on in a transaction that was aborted."""


def refusal_behind(error: BaseException) -> BaseException | None:
    """The refusal that an error is, was raised from, or was raised instead of; None if there is none.

    The nearest answer of the server decides: a retry that ends with 23505 is no abort, though it handles one. Of a
    group, every error must be an abort.
    """
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        if is_a(each, BaseExceptionGroup):
            found = [refusal_behind(leaf) for leaf in leaves_of(each)]
            return found[0] if found and all(one is not None for one in found) else None
        if state := sqlstate_of(each):
            return each if state in ABORT_STATES else None
        if is_a(each, StaleDataError):
            return each
        each = _raised_from(each)
    return None


def reason_of(error: BaseException) -> str:
    """Why the server refused the work: an SQLSTATE, or the name of a stale version's error; "" if it did not."""
    refusal = refusal_behind(error)
    if refusal is None:
        return ""
    return STALE if is_a(refusal, StaleDataError) else sqlstate_of(refusal)


def _raised_from(error: BaseException) -> BaseException | None:
    """What an error was raised from; without that, what was being handled, unless the error is a mistake of its own."""
    cause = attribute_of(error, "__cause__")
    if cause is None and type(error) not in _MISTAKES and not is_a(error, *_OF_THEIR_OWN):
        cause = attribute_of(error, "__context__")
    return cause if isinstance(cause, BaseException) else None


def sqlstate_of(error: BaseException) -> str:
    """The SQLSTATE behind an error of SQLAlchemy or asyncpg, "" if there is none."""
    for each in (error, attribute_of(error, "orig")):
        state = attribute_of(each, "sqlstate")
        if isinstance(state, str) and _STATE.fullmatch(state):
            return state
    return ""


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, as a task group raises it; of any other error, the error itself."""
    if is_a(error, BaseExceptionGroup):
        assert isinstance(error, BaseExceptionGroup)
        for each in error.exceptions:
            yield from leaves_of(each)
    else:
        yield error


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, with the errors in each group.

    Not what was being handled when it was raised: a mistake in a handler is one of its own.
    """
    seen: set[int] = set()
    left = [error]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(cause := attribute_of(each, "__cause__"), BaseException):
            left.append(cause)
        if is_a(each, BaseExceptionGroup):
            left += leaves_of(each)


def attribute_of(error: object, name: str) -> object:
    """The attribute of an error, None where it has none or, as an error of the user's may, fails to give it."""
    try:
        return getattr(error, name, None)
    except BaseException:  # noqa: BLE001 - of whatever kind, it is not an answer of the server
        return None
