"""Which replays count as identical."""

from __future__ import annotations

import itertools

import pytest
from helpers.kit import Bank, add

from lab import actor, invariant
from lab.explore.conditions import AS_IT_STANDS
from lab.schedulers.serial import Serial
from lab.shrink.replays import replay_times

pytestmark = pytest.mark.anyio

TURNS = itertools.cycle((True, False))


class Flips(Bank):
    """Its invariant asks more than the database."""

    @actor(names=("alice", "bob"))
    async def books(self, session) -> None:
        """One booking."""
        await session.execute(add(1))
        await session.commit()

    @invariant
    async def it_is_your_turn(self, session) -> None:
        """Every second time."""
        assert next(TURNS)


async def test_a_replay_of_which_the_invariants_say_something_else_is_not_identical(explorer) -> None:
    record = await explorer.run(Flips(), Serial())
    replays = await replay_times(explorer, Flips(), record.schedule, AS_IT_STANDS, 4)
    assert (replays.identical, replays.verdict) == (2, "inconclusive")
    assert replays.divergence == "everything could be repeated, but the invariants did not say the same of it"
