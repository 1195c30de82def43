"""A race that requests started together never show, however often they are tried.

`asyncio.gather` starts all requests before any of them has an answer from the database. Here a second click that comes
so early is always caught by a guard in the process. The window opens later, for a moment before the first request's
COMMIT; so the second click has to arrive late, and arriving is a scheduling point of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug, point
from scenarios.schema import Charge, Shop

__all__ = ["DoubleClick", "GuardLiftedBeforeTheCommit"]

ORDER = "order-1"

_in_progress: set[str] = set()


@claim(
    title="A double click charges once",
    acid="Isolation",
    critical="a guard in the process that is lifted too early charges the impatient twice",
    test="tests/database/test_database_invariants.py::test_double_click",
)
@dataclass(frozen=True)
class DoubleClick(Scenario):
    """A customer clicks twice on "pay"; the order is charged once.

    The process keeps a note of the orders that it is working on, until their transaction has committed.
    """

    amount: int = 25

    metadata = Shop.metadata

    async def pay(self, session: AsyncSession) -> str:
        """Charge the order, unless that is being done or was done before."""
        if ORDER in _in_progress:
            return "in progress"
        _in_progress.add(ORDER)
        try:
            async with session.begin():
                return await self.charge(session)
        finally:
            _in_progress.discard(ORDER)

    async def charge(self, session: AsyncSession) -> str:
        """Charge the order, in the transaction under way, unless that was done before."""
        if await session.scalar(select(Charge.id).where(Charge.key == ORDER)) is not None:
            return "paid before"
        session.add(Charge(key=ORDER, amount=self.amount))
        return "paid"

    @actor(names=("click", "again"))
    async def customer(self, session: AsyncSession) -> str:
        """Clicks, sooner or later."""
        await point("the click arrives")
        return await self.pay(session)

    @invariant
    async def the_order_is_charged_once(self, session: AsyncSession, outcome: Outcome) -> None:
        """There is one charge, however often the customer clicks; or none, where a click came to no end."""
        charges = await session.scalar(select(func.count(Charge.id)).where(Charge.key == ORDER))
        assert charges in ((0, 1) if outcome.in_doubt else (1,)), f"the order was charged {charges} times"


@planted_bug(
    of=DoubleClick,
    token="lab1:scenarios.double_click:GuardLiftedBeforeTheCommit::-:click3.again4.click:yyunr:zu4tpj",
    cause="the guard is lifted inside the transaction's block, before the flush and the COMMIT that follow it",
    fix="lift the guard after the transaction has committed, or let a unique key decide",
)
@dataclass(frozen=True)
class GuardLiftedBeforeTheCommit(DoubleClick):
    """Opens the transaction first and takes the note inside it, so the note is gone before the COMMIT."""

    async def pay(self, session: AsyncSession) -> str:
        """Charge the order, unless that is being done or was done before."""
        async with session.begin():
            if ORDER in _in_progress:
                return "in progress"
            _in_progress.add(ORDER)
            try:
                return await self.charge(session)
            finally:
                _in_progress.discard(ORDER)
