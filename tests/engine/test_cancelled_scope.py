"""The fault that cancels the scope of anyio in which an actor is."""

from __future__ import annotations

import math

import anyio
import pytest
from helpers.kit import Bank, Order, add, replays

from lab import actor, point
from lab.explore import Conditions
from lab.model.decision import Strike

ASKED = Conditions(added_faults=("cancel-scope",))


class Scoped(Bank):
    """Alice cleans up by a second await, shielded or not; bob is in no scope."""

    shield = False

    @actor
    async def alice(self, session) -> list[str]:
        said = []
        with anyio.CancelScope():
            try:
                await point("works")
            except BaseException:
                said.append("cancelled")
                with anyio.CancelScope(shield=self.shield):
                    await point("cleans up")
                    said.append("cleaned up")
                raise
        await session.execute(add(1))
        await session.commit()
        return said

    @actor
    async def bob(self, session) -> None:
        await session.execute(add(2))
        await session.commit()


class Shielded(Scoped):
    shield = True


@pytest.mark.parametrize(("scenario", "said"), [(Scoped, ["cancelled"]), (Shielded, ["cancelled", "cleaned up"])])
async def test_everything_in_the_scope_is_cancelled_but_what_is_shielded(explorer, scenario, said):
    """After the scope the actor goes on, as with any scope of anyio."""
    record = await explorer.run(scenario(), Order("cancel-scope@alice"), ASKED)
    assert record.outcome.results["alice"].value == said
    assert record.outcome.rows["account"] == ("(1,101)", "(2,101)", "(3,100)", "(4,100)")
    assert await replays(explorer, record, 5)


async def test_it_strikes_nobody_who_is_in_no_scope_or_in_a_cancelled_one(explorer):
    record = await explorer.run(Shielded(), Order("cancel-scope@alice"), ASKED)
    offered = [
        {each.actor for each in step.alternatives if isinstance(each, Strike) and each.fault == "cancel-scope"}
        for step in record.trace
    ]
    assert offered[0] == {"alice"}
    assert not any(offered[1:])


class Settled(Bank):
    """Alice's shields are all that she has in her scope; the first one may have a time of its own."""

    deadline = math.inf

    @actor
    async def alice(self) -> list[str]:
        said = []
        with anyio.CancelScope():
            with anyio.CancelScope(shield=True, deadline=self.deadline):
                await point("books")
                said.append("booked")
            try:
                await point("waits")
                said.append("waited")
            finally:
                with anyio.CancelScope(shield=True):
                    await point("takes it back")
                    said.append("taken back")
        return said

    bob = Scoped.bob


class InTime(Settled):
    deadline = 1e12


@pytest.mark.parametrize(("scenario", "first"), [(Settled, ["booked"]), (InTime, [])])
async def test_a_shield_is_struck_through_the_scope_around_it(explorer, scenario, first):
    """But one whose own time may be over is cancelled itself, and what is around it goes on."""
    record = await explorer.run(scenario(), Order("cancel-scope@alice"), ASKED)
    said = record.outcome.results["alice"].value
    assert said == ([*first, "taken back"] if first else ["waited", "taken back"])
    assert await replays(explorer, record, 5)


async def test_nobody_is_struck_whose_only_scope_is_a_shield(explorer):
    class Alone(Bank):
        @actor
        async def alice(self) -> None:
            with anyio.CancelScope(shield=True):
                await point("books")
                await point("books more")

        bob = Scoped.bob

    record = await explorer.run(Alone(), Order("alice"), ASKED)
    assert not any(isinstance(each, Strike) for step in record.trace for each in step.alternatives)
