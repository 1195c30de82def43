"""Attempts count where a schedule is fair to all: nobody can end while those whom it waits for take no step."""

from __future__ import annotations

import pytest
from helpers.kit import Bank, Order, add
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lab import actor

pytestmark = pytest.mark.anyio

NOWAIT = text("SELECT balance FROM account WHERE id = 1 FOR UPDATE NOWAIT")


class Impatient(Bank):
    """Bob tries for the row that ann holds, at most four times; he states two attempts."""

    @actor
    async def ann(self, session) -> None:
        for _ in range(6):
            await session.execute(add(1))
        await session.commit()

    @actor(survives=("55P03",), attempts=2)
    async def bob(self, session) -> None:
        for attempt in range(4):
            try:
                await session.execute(NOWAIT)
                break
            except DBAPIError:
                await session.rollback()
                if attempt == 3:
                    raise
        await session.commit()


async def findings(explorer, order: str, cls: type[Bank] = Impatient) -> list[str]:
    record = await explorer.run(cls(), Order(order))
    return [each.name for each in record.findings if each.checker == "survival"]


async def test_attempts_in_which_another_got_no_step_do_not_count(explorer):
    """Bob gives up, after more attempts than he states: no schedule could have helped him."""
    assert await findings(explorer, "ann" + 8 * " bob") == []


async def test_attempts_in_which_others_had_their_share_count(explorer):
    assert await findings(explorer, "ann bob ann bob ann bob ann bob") == ["bob ends within 2 attempts"]


async def test_one_fair_attempt_is_within_two(explorer):
    assert await findings(explorer, "ann bob ann bob bob bob") == []


class OneTry(Impatient):
    """It says two attempts, and gives up after the first."""

    @actor(survives=("55P03",), attempts=2)
    async def bob(self, session) -> None:
        await session.execute(NOWAIT)


async def test_who_gives_up_before_its_attempts_are_used_up_is_named(explorer):
    assert await findings(explorer, "ann bob", OneTry) == ["bob tries again after 55P03"]


class Overtaken(Bank):
    """At REPEATABLE READ each commit of ann's in between refuses bob."""

    isolation = "REPEATABLE READ"

    @actor
    async def ann(self, sessions) -> None:
        for _ in range(4):
            async with sessions.begin() as session:
                await session.execute(add(1))

    @actor(survives=("40001",), attempts=2)
    async def bob(self, sessions) -> None:
        for attempt in range(3):
            try:
                async with sessions.begin() as session:
                    await session.execute(text("SELECT 1"))
                    await session.execute(add(1))
                break
            except DBAPIError:
                if attempt == 2:
                    raise


async def test_an_attempt_overtaken_once_counts_and_one_overtaken_twice_does_not(explorer):
    once, twice = " ann ann", " ann ann ann ann"
    refused = "bob{0} bob bob "
    assert await findings(explorer, refused.format(once) * 2 + "bob", Overtaken) == []  # it had a step more than ann
    assert await findings(explorer, refused.format(twice) * 2 + "bob", Overtaken) == []


class Fast(Overtaken):
    """Its statement is all that it does, so ann gets as many steps as it."""

    @actor
    async def ann(self, sessions) -> None:
        for _ in range(4):
            async with sessions.begin() as session:
                await session.execute(text("SELECT 1"))
                await session.execute(add(1))


async def test_two_fair_attempts_are_too_many(explorer):
    assert await findings(explorer, "bob ann ann ann bob bob " * 2 + "bob", Fast) == ["bob ends within 2 attempts"]
