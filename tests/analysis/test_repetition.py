"""What repeats at the end of a trace: the shortest round, whatever came before and whatever values it has."""

from __future__ import annotations

import pytest
from helpers.decided import step_of
from helpers.kit import Bank, add
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lab import actor
from lab.analysis.repetition import repeating
from lab.analysis.tally import HuntResult
from lab.explore import Explorer
from lab.model.outcome import Ending
from lab.model.trace import Action, ActionKind, Result, Trace
from lab.schedulers import make_scheduler


def trace(texts: str) -> Trace:
    """Steps such as `a1 b2!`: the actor, its statement, and a refusal."""
    steps = [
        step_of(
            number,
            each[0],
            [each[0]],
            Action(ActionKind.STATEMENT, each[1], (number,)),
            False,
            Result(error="55P03" if each.endswith("!") else ""),
        )
        for number, each in enumerate(texts.split(), 1)
    ]
    return Trace(tuple(steps), ("a", "b"))


A, B = (f"{each} repeats 3 times, from" for each in "ab")


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("", ""),
        ("a1 b1 a2 b2", ""),
        ("a1 b1 a1 b1", ""),
        ("a9 b7 a1 b8 a1 a1", f"{A} step #3 on: 1"),
        ("a9 a1 b1! b1! a2 a1 a2 a1 b1! a2", f"{A} step #2 on: 1, 2; {B} step #3 on: 1 → 55P03"),
        ("a1 b1 a1! b2 a1 a1!", ""),
        (3 * "a1 a2 a3 a4 a5 a6 a7 ", f"{A} step #1 on: 1, 2, 3, 4, 5, 6, 1 more"),
    ],
)
def test_the_shortest_round_at_the_end_is_named(texts, said):
    assert repeating(trace(texts)) == said


class Livelock(Bank):
    """Each holds its own row, asks for the other one and sleeps with its lock held."""

    async def take(self, session, mine: int, other: int) -> None:
        await session.execute(add(mine))
        while True:
            try:
                async with session.begin_nested():
                    await session.execute(text(f"SELECT 1 FROM account WHERE id = {other} FOR UPDATE NOWAIT"))
            except DBAPIError:
                continue
            return await session.commit()

    @actor
    async def alice(self, session) -> None:
        await self.take(session, 1, 2)

    @actor
    async def bob(self, session) -> None:
        await self.take(session, 2, 1)


async def test_a_livelock_is_told_with_what_repeats(explorer: Explorer):
    """The verdict's reason has it, and so has what another process sends."""
    scheduler, result = make_scheduler("random", 1), HuntResult("t", 0)
    for number in range(20):
        scheduler.begin(number)
        record = await explorer.run(Livelock(), scheduler, execution=number, step_limit=200)
        result.count(record, sampled=True)
        if record.outcome.ending is Ending.STEP_LIMIT:
            break
    assert result.endless == 1
    assert HuntResult.load(result.dump()).reason == result.reason
    assert "1 execution met the step limit: " in result.reason
    for name, other in (("alice", 2), ("bob", 1)):
        words = {"SAVEPOINT", f"SELECT 1 FROM account WHERE id = {other} FOR UPDATE N... → 55P03", "ROLLBACK TO"}
        said = next(each for each in result.reason.partition(": ")[2].split("; ") if each.startswith(f"{name} repeats"))
        assert set(said.partition(": ")[2].split(", ")) == words  # wherever the round was cut off
