"""An outbox: every event reaches its consumer once, in whatever order the events are committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Event, Work

__all__ = ["CursorOverIds", "Outbox"]


@claim(
    title="Every event is delivered",
    acid="Consistency",
    critical="an event that commits late is never seen by whoever remembers the last id",
    test="tests/database/test_database_invariants.py::test_outbox_delivers_all",
)
@dataclass(frozen=True)
class Outbox(Scenario):
    """Two requests store an event each while a consumer polls twice; the next poll brings what is still missing.

    What was delivered is marked on the event itself, so an event that is committed late is found by a later poll.
    """

    metadata = Work.metadata

    async def poll(self, session: AsyncSession, last: int) -> Sequence[int]:
        """The ids of the events to deliver now; `last` is the greatest one delivered before."""
        pending = select(Event).where(~Event.delivered).order_by(Event.id).with_for_update()
        events = (await session.scalars(pending)).all()
        for event in events:
            event.delivered = True
        return [event.id for event in events]

    @actor(names=("sale", "refund"))
    async def request(self, session: AsyncSession, name: str) -> None:
        """Stores its event."""
        async with session.begin():
            session.add(Event(text=name, delivered=False))

    @actor
    async def consumer(self, session: AsyncSession) -> list[int]:
        """Polls twice; returns the ids of the events that it delivered."""
        delivered: list[int] = []
        for _ in range(2):
            async with session.begin():
                delivered += await self.poll(session, max(delivered, default=0))
        return delivered

    @invariant
    async def every_event_is_delivered_once(self, session: AsyncSession, outcome: Outcome) -> None:
        """What the consumer delivered and what it will find next are all the events."""
        delivered = outcome.results["consumer"].value
        if not isinstance(delivered, list):  # refused at a higher level; what it had delivered is not known
            return
        then = [*delivered, *await self.poll(session, max(delivered, default=0))]
        stored = (await session.scalars(select(Event.id).order_by(Event.id))).all()
        assert sorted(then) == stored, f"events {stored} are stored, {then} are delivered"


@planted_bug(
    of=Outbox,
    token="lab1:scenarios.outbox:CursorOverIds::-:sale.refund2.consumer4.sale:fgpix:5h7ld4",
    cause="ids follow the order of the INSERTs but events appear in that of the COMMITs, when the cursor has moved on",
    fix="mark each event as delivered, instead of remembering the last id",
)
@dataclass(frozen=True)
class CursorOverIds(Outbox):
    """Asks for ids greater than the last one seen, and never sees a smaller one that is committed later."""

    async def poll(self, session: AsyncSession, last: int) -> Sequence[int]:
        """The ids of the events after `last`."""
        return (await session.scalars(select(Event.id).where(Event.id > last).order_by(Event.id))).all()
