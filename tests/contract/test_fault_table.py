"""What holds for every fault of the table: it strikes, its token replays it, and the report says so."""

from __future__ import annotations

import asyncio
import re
from typing import ClassVar

import anyio
import pytest
from helpers.kit import Bank, add, replays

from lab import actor
from lab.engine.faults import FAULTS
from lab.model.decision import SERVER, Strike
from lab.model.decision_text import decision_of, decision_text
from lab.model.replay_token import decode, encode, scenario_of, token_for
from lab.report.failure import execution_report
from lab.schedulers import make_scheduler

pytestmark = pytest.mark.parametrize("name", FAULTS)


class Struck(Bank):
    """Two actors that take rows in one order, so that only a fault can end one of them early."""

    seconds: ClassVar[float | None] = None

    @actor
    async def alice(self, session) -> str:
        return await self.write(session, 1)

    @actor
    async def bob(self, session) -> str:
        return await self.write(session, 1)

    async def write(self, session, account: int) -> str:
        with anyio.CancelScope():
            async with asyncio.timeout(self.seconds):
                await session.execute(add(account))
                await session.execute(add(account + 1))
            await session.commit()
        return "done"


def test_the_table_says_what_a_fault_is(name):
    """Its name has only letters that a token reads as a fault's; its help is one sentence."""
    fault = FAULTS[name]
    assert fault.name == name
    assert re.fullmatch(r"[A-Z][^.]*\.", fault.help)
    assert "{}" in fault.story
    assert decision_of(decision_text(Strike(name, "alice"))) == Strike(name, "alice")
    assert fault.of_server or not (fault.needs_own_server or fault.may_come_last)


async def test_a_fault_strikes_replays_from_its_token_and_is_in_the_story(plain, name):
    """Of 30 random executions, each with a decision or more where it can strike, none is struck with 0.85 ** 30."""

    class Meets(Struck):
        faults = () if FAULTS[name].unasked else (name,)
        seconds = 3600 if FAULTS[name].unasked else None

    scheduler = make_scheduler("random", 4)
    seen = []
    for number in range(30):
        record = await plain.run(Meets(), scheduler, execution=number)
        assert not record.failed, execution_report(record)
        if record.trace.faults:
            seen.append(record)
        if len(seen) == 3:
            break
    for record in seen:
        (step,) = (step for step in record.trace if step.is_fault)
        struck = FAULTS[step.chosen.fault]
        assert struck.name in (name, *FAULTS[name].brings)
        assert (step.chosen.actor == SERVER) == FAULTS[name].of_server
        assert f" {struck.story.format(step.chosen.actor)} ──" in execution_report(record)
        token = decode(encode(token_for(record.scenario, record.schedule, "")))
        assert token.schedule == record.schedule
        assert scenario_of(token, Meets) == record.scenario
        assert await replays(plain, record, 2)
    assert seen
