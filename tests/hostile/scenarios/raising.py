"""What may be raised, by kind, in each place: `InActorExit` raises SystemExit in an actor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from scenarios.quiet import Quiet, hostile
from sqlalchemy.ext.asyncio import AsyncSession


class Base(BaseException):
    """No Exception."""


class NoText(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class NoTextAtAll(BaseException):
    """Cannot be shown, and says so by ending the interpreter."""

    def __str__(self) -> str:
        raise SystemExit(0)

    __repr__ = __str__


class NoState(Exception):
    """Something else that has an SQLSTATE, and fails when asked for it."""

    @property
    def sqlstate(self) -> str:
        raise RuntimeError("no state")


class OddState(Exception):
    """Something else that has an SQLSTATE, which is none."""

    sqlstate = 40001
    orig = "no error"
    message = b"no text"
    detail = 7


def endless() -> None:
    endless()


def recursion() -> None:
    try:
        endless()
    except RecursionError as error:
        raise error from None


def raises(error: Callable[[], BaseException]) -> Callable[[], None]:
    def raise_it() -> None:
        raise error()

    return raise_it


ERRORS: dict[str, Callable[[], None]] = {
    "Base": raises(Base),
    "Fail": lambda: pytest.fail("not right"),
    "Skip": lambda: pytest.skip("not now"),
    "Exit": raises(lambda: SystemExit(0)),
    "ExitOne": raises(lambda: SystemExit(1)),
    "Interrupt": raises(KeyboardInterrupt),
    "Generator": raises(GeneratorExit),
    "Cancelled": raises(asyncio.CancelledError),
    "Group": raises(lambda: ExceptionGroup("several", [ValueError("one"), KeyError("two")])),
    "BaseGroup": raises(lambda: BaseExceptionGroup("several", [KeyboardInterrupt(), SystemExit(0)])),
    "NoText": raises(NoText),
    "NoTextAtAll": raises(NoTextAtAll),
    "Surrogate": raises(lambda: ValueError("half a \udcff character \ud800")),
    "Zero": raises(lambda: ValueError("a \0 and \x1b[31m")),
    "Stop": raises(StopIteration),
    "Recursion": recursion,
    "Long": raises(lambda: ValueError("long " * 100_000)),
    "NoState": raises(NoState),
    "OddState": raises(OddState),
    "Usage": raises(lambda: __import__("lab").UsageError("of the lab itself")),
    "Divergence": raises(lambda: __import__("lab").Divergence("of the lab itself")),
}


def in_task(act: Callable[[], object], *, awaited: bool) -> Callable[..., Any]:
    async def fails() -> None:
        act()

    async def method(self: Quiet, session: AsyncSession) -> None:
        task = asyncio.create_task(fails())
        await asyncio.sleep(0)
        if awaited:
            await task

    return method


def plain_setup(act: Callable[[], object]) -> Callable[..., Any]:
    async def setup(self: Quiet, session: AsyncSession) -> None:
        act()

    return setup


def plain_judge(act: Callable[[], object]) -> Callable[..., Any]:
    async def judge(self: Quiet, session: AsyncSession) -> None:
        act()

    return judge


def plain_before(act: Callable[[], object]) -> Callable[..., Any]:
    async def before(self: Quiet, session: AsyncSession) -> None:
        act()

    return before


for _kind, _act in ERRORS.items():
    globals()[f"InActor{_kind}"] = hostile(__name__, f"InActor{_kind}", before=plain_before(_act))
    globals()[f"InTask{_kind}"] = hostile(__name__, f"InTask{_kind}", before=in_task(_act, awaited=True))
    globals()[f"InLostTask{_kind}"] = hostile(__name__, f"InLostTask{_kind}", before=in_task(_act, awaited=False))
    globals()[f"InSetup{_kind}"] = hostile(__name__, f"InSetup{_kind}", setup=plain_setup(_act))
    globals()[f"InInvariant{_kind}"] = hostile(__name__, f"InInvariant{_kind}", judge=plain_judge(_act))
    globals()[f"InPostInit{_kind}"] = hostile(
        __name__, f"InPostInit{_kind}", __post_init__=lambda self, act=_act: act()
    )
    globals()[f"InProperty{_kind}"] = hostile(
        __name__, f"InProperty{_kind}", ann=property(lambda self, act=_act: act())
    )


async def outlasts(self: Quiet, session: AsyncSession) -> None:
    async with asyncio.timeout(0.1):
        await asyncio.sleep(5)


async def outlasts_in_a_task(self: Quiet, session: AsyncSession) -> None:
    async with asyncio.timeout(0.1):
        await asyncio.gather(asyncio.sleep(5), asyncio.sleep(6))


async def errs_in_a_handler(self: Quiet, session: AsyncSession) -> None:
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.1)
    except TimeoutError:
        raise ValueError("a mistake")  # noqa: B904 - as a mistake comes


async def leaves_a_future(self: Quiet, session: AsyncSession) -> None:
    asyncio.get_running_loop().create_future().set_exception(ValueError("lost"))


OutlastsItsTimeout = hostile(__name__, "OutlastsItsTimeout", before=outlasts)
OutlastsItsTimeoutInATask = hostile(__name__, "OutlastsItsTimeoutInATask", before=outlasts_in_a_task)
ErrsInAHandler = hostile(__name__, "ErrsInAHandler", before=errs_in_a_handler)
LeavesAFuture = hostile(__name__, "LeavesAFuture", before=leaves_a_future)
