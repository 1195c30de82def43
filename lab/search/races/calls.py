"""Calls of a service's coroutine functions (`lab.actions`), as a test made them.

Each is made again with sessions of its own, on the engine of the test's. Where the function ended its session's
transaction itself in the test, it does so again. Where it did not, its caller would have: what it leaves is committed
behind it, and rolled back where it raised. What it raises is an answer like any other, compared with serial orders; an
error of the server is one only if the test met it, or some serial order of the two does.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar

from sqlalchemy import event
from sqlalchemy import inspect as inspected
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import InstanceState

from lab.model.outcome import ActorResult
from lab.postgres.recording.loads import loaded_by
from lab.postgres.recording.refusals import refusal_behind, sqlstate_of
from lab.postgres.recording.results import aborted_or_raised, is_connection_loss
from lab.scenario.declare import Allowed
from lab.search.races.actions import Action, unwrapped
from lab.search.races.given import Again, Given, opened_in
from lab.search.races.keeping import NotGiven, kept
from lab.search.races.overrides import Ways
from lab.search.races.sent import Errors, Sent, naming, told_by
from lab.search.races.spelled_calls import spelled_call
from lab.search.races.spelling import Spelled, Spelling, fields_of

__all__ = ["Call", "Raised", "call_of", "told", "unflushed", "watching"]

_SHOWN = 60


class Raised:
    """An error that is an answer: it is compared by its kind and text."""

    def __init__(self, error: Exception) -> None:
        self.kind = type(error).__name__
        self.text = aborted_or_raised(error, {}, str).text

    def __repr__(self) -> str:
        return f"the error {self.text}"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Call(Sent):
    """A call of a coroutine function."""

    action: Action
    receiver: Given | None = None
    """The object whose method it is."""
    arguments: tuple[Given, ...] = ()
    keywords: Mapping[str, Given] = field(default_factory=dict)
    ends: frozenset[int] = frozenset()
    """`id` of the sessions whose transactions it ended itself."""
    raised: str = ""
    """The name of what it raised."""
    tells: frozenset[str] = frozenset()

    DONE: ClassVar[str] = "called"
    GIVEN: ClassVar[str] = "is given"
    WANTS: ClassVar[tuple[str, ...]] = ("engine",)
    ALLOWS: ClassVar[tuple[Allowed, ...]] = ("leak",)

    @property
    def title(self) -> str:
        """`redeem`, or `Coupons.redeem`."""
        return self.action.title

    @property
    def name(self) -> str:
        """The function's, in small letters."""
        return self.action.name.strip("_").lower() or "action"

    @property
    def body(self) -> str:
        """Its arguments."""
        named = (f"{name}={each.text}" for name, each in self.keywords.items())
        text = " ".join(", ".join([*(each.text for each in self.arguments), *named]).split())
        return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

    @property
    def answered(self) -> str:
        """Whether it raised, and what."""
        return f"raised {self.raised}" if self.raised else "returned"

    @property
    def same(self) -> tuple[object, ...]:
        """The function, with what it was given."""
        named = sorted((name, each.text) for name, each in self.keywords.items())
        receiver = self.action.receiver
        of = "" if self.receiver is None else (type(receiver), self.receiver.text)
        return (
            self.title,
            getattr(self.action.function, "__module__", ""),
            of,
            *(each.text for each in self.arguments),
            *named,
        )

    @property
    def learnt(self) -> frozenset[str]:
        """Ids and the like in what it returned."""
        return self.tells

    @property
    def named(self) -> frozenset[str]:
        """The words of its arguments."""
        return naming(" ".join(each.text for each in (*self.arguments, *self.keywords.values())))

    @property
    def refused(self) -> bool:
        """Whether it raised."""
        return bool(self.raised)

    @property
    def assumes(self) -> str:
        """That its caller commits, where it leaves that to the caller."""
        if self.raised or all(id(each.value) in self.ends for each in self._opened()):
            return ""
        return f"what {self.title} leaves in its session is committed behind it, in a transaction of its own"

    def _opened(self) -> Iterator[Any]:
        given = (*filter(None, [self.receiver]), *self.arguments, *self.keywords.values())
        yield from {id(part.value): part for each in given for part in opened_in(each)}.values()

    async def again(self, way: Ways, errors: Errors, **given: Any) -> Any:
        """Call it with sessions of its own; returns what it returns, or `Raised` for an error that is an answer."""
        try:
            return await self._made(given["engine"])
        except Exception as error:
            if errors is Errors.NONE or not self._answers(error, errors):
                raise
            return Raised(error)

    def _answers(self, error: Exception, errors: Errors) -> bool:
        """Whether an error is an answer."""
        if refusal_behind(error) is not None or is_connection_loss(error):
            return False
        return errors is Errors.ALL or not sqlstate_of(error) or type(error).__name__ == self.raised

    async def _made(self, engine: AsyncEngine) -> Any:
        async with self._sessions(Again(engine)) as own:
            function: Callable[..., Any] = self.action.function
            if self.receiver is not None:
                function = getattr(await self.receiver.make(own), self.action.name)
            arguments = [await each.make(own) for each in self.arguments]
            named = {name: await each.make(own) for name, each in self.keywords.items()}
            return await function(*arguments, **named)

    @contextlib.asynccontextmanager
    async def _sessions(self, own: Again) -> AsyncIterator[Again]:
        async with contextlib.AsyncExitStack() as stack:
            for each in self._opened():
                own.opened[id(each.value)] = await stack.enter_async_context(each.open())
            yield own
            for number, each in own.opened.items():
                if number not in self.ends and each.in_transaction():
                    await each.commit()

    def differs(self, result: ActorResult) -> str:
        """By whether it raised, and what, since values may have ids and times in them."""
        error = result.value.kind if isinstance(result.value, Raised) else type(result.error).__name__
        raised = "" if result.returned and not isinstance(result.value, Raised) else error
        if raised == self.raised:
            return ""
        again = f"called again from the same rows, {self.title} "
        test = f"raised {self.raised}" if self.raised else "returned"
        text = result.value.text if isinstance(result.value, Raised) else result.text
        return f"{again}{f'raises {text}' if raised else 'returns'}, and {test} in the test"

    def fails(self, result: ActorResult) -> bool:
        """With an error of the server that is no answer."""
        return result.error is not None and not result.aborted

    def spelled(self, spelling: Spelling) -> Spelled:
        """As a call, with its session, and a COMMIT where it leaves that to its caller."""
        return spelled_call(self.action, self.receiver, self.arguments, self.keywords, self.ends, spelling)


def call_of(test: str, action: Action, arguments: Sequence[Any], named: Mapping[str, Any]) -> Call:
    """A call that is about to be made. One that cannot be made again has the reason as its trouble."""
    call = Call(test=test, action=action)
    names = _names(action.function, len(arguments))
    try:
        receiver = None if action.receiver is None else kept(action.receiver, receiver=True)
    except NotGiven as error:
        return _refused(call, f"{action.title}() cannot be called twice", error)
    given: dict[object, Given] = {}
    for name, place, value in (
        *((name, place, value) for place, (name, value) in enumerate(zip(names, arguments, strict=True))),
        *((name, name, value) for name, value in named.items()),
    ):
        try:
            given[place] = kept(value)
        except NotGiven as error:
            return _refused(call, f"argument `{name}` of {action.title}() cannot be given twice", error)
    positional = tuple(given[place] for place in range(len(arguments)))
    keywords = {name: given[name] for name in named}
    return Call(test=test, action=action, receiver=receiver, arguments=positional, keywords=keywords)


def _refused(call: Call, sentence: str, error: NotGiven) -> Call:
    why = f"{sentence}: {error}" if str(error) else sentence
    return Call(test=call.test, action=call.action, trouble=why, once=why)


def _names(function: Callable[..., Any], number: int) -> list[str]:
    """The names of the parameters that are given by position."""
    try:
        known = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        known = []
    names = [each.name for each in known if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    rest = next((each.name for each in known if each.kind is each.VAR_POSITIONAL), "argument")
    return (names + [rest] * number)[:number]


@contextlib.contextmanager
def watching(call: Call) -> Iterator[set[int]]:
    """The `id` of each session and connection of a call whose transaction ends in the block."""
    ended: set[int] = set()
    with contextlib.ExitStack() as stack:
        for each in call._opened():  # noqa: SLF001 - of this file
            _watch(each.value, ended, stack)
        yield ended
        ended.update(
            id(each.value)
            for each in call._opened()  # noqa: SLF001 - the same
            if isinstance(each.value, AsyncConnection) and each.began and not each.value.in_transaction()
        )


def _watch(opened: Any, ended: set[int], stack: contextlib.ExitStack) -> None:
    if not isinstance(opened, AsyncSession):
        return

    def ends(session: Any, transaction: Any) -> None:
        if transaction.parent is None and not transaction.nested:
            ended.add(id(opened))

    event.listen(opened.sync_session, "after_transaction_end", ends)
    stack.callback(event.remove, opened.sync_session, "after_transaction_end", ends)


def unflushed(call: Call) -> list[str]:
    """What a call has left in its sessions for the COMMIT of its caller, as statements that name the tables."""
    sessions = [each.value.sync_session for each in call._opened() if isinstance(each.value, AsyncSession)]  # noqa: SLF001
    changed = [each for session in sessions for each in (*session.new, *session.dirty, *session.deleted)]
    tables = {str(table) for each in changed for table in inspected(each).mapper.tables}
    return [f"UPDATE {each}" for each in sorted(tables)]


def told(value: Any) -> frozenset[str]:
    """Ids and the like in what an action returned."""
    return frozenset(told_by(_plain(value, 0)))


def _plain(value: Any, depth: int) -> Any:
    if depth > 4 or isinstance(value, str | bytes | int | type | ModuleType):  # noqa: PLR2004 - deep enough for an id
        return value
    if isinstance(value, dict):
        return {key: _plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each, depth + 1) for each in value]
    state = inspected(unwrapped(value), raiseerr=False)
    fields = loaded_by(state) if isinstance(state, InstanceState) else fields_of(value)
    return None if fields is None else {name: _plain(each, depth + 1) for name, each in fields.items()}
