"""The fault that cancels the scope of anyio in which an actor is."""

from __future__ import annotations

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
