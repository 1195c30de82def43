"""What holds something for a moment gives it back: each right variant under the fault that it names.

The bugs in the docstrings are planted beside it in `scenarios/`; `test_planted_bugs` replays each from its token.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab import schedules
from scenarios.holds import HeldOverOneConnection, HeldWhilePoolIsFull, HeldWithinAScope

pytestmark = pytest.mark.anyio


@settings(max_examples=50)
@given(scenario=st.just(HeldWhilePoolIsFull()), schedule=schedules())
@example(scenario=HeldWhilePoolIsFull(), schedule=None)
async def test_full_pool(lab, scenario, schedule):
    """A hold is given back when the pool has no connection to go on with.

    INVARIANT: Two want one seat: who finds it free holds it, and buys it in a second transaction; the pool may be full.
        That is: no hold stays.

    VALIDATED_BUG: OnlyErrorsOfTheDriver: the seat is held by bob, who is gone.
        Root cause: DBAPIError is what the driver raises; a full pool raises SQLAlchemy's TimeoutError, which is none.
        Fix: give back whatever the error is.
        Replay: lab1:scenarios.holds:OnlyErrorsOfTheDriver::-:bob3.full-pool@bob-1.bob.alice2:pmyqb:invariant.bca7:rt5jov
    """  # noqa: E501 - a token is one word
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(HeldOverOneConnection()), schedule=schedules())
@example(scenario=HeldOverOneConnection(), schedule=None)
async def test_too_many_connections(lab, scenario, schedule):
    """A request takes its connection before it holds anything.

    INVARIANT: Two want one seat: who finds it free holds it, and buys it in a second transaction of the same
        connection. That is: no hold stays.

    VALIDATED_BUG: ConnectionForEachTransaction: the seat is held by bob, who is gone.
        Root cause: each transaction takes a connection of its own, and between the two there may be none left.
        Fix: take one connection for both, or let a hold end by itself.
        Replay: lab1:scenarios.holds:ConnectionForEachTransaction::-:bob2.too-many-connections@bob-1.bob.alice4:z44d4:invariant.bca7:qsw655
    """  # noqa: E501 - a token is one word
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(HeldWithinAScope()), schedule=schedules())
@example(scenario=HeldWithinAScope(), schedule=None)
async def test_cancelled_scope(lab, scenario, schedule):
    """A hold is given back when the scope of the request is cancelled.

    INVARIANT: The same purchases within a scope of anyio, as a web framework makes one for a request; it may be
        cancelled. That is: no hold stays.

    VALIDATED_BUG: ReleasedInACancelledScope: the seat is held by bob, who is gone.
        Root cause: what gives back is awaited in the cancelled scope, so it is cancelled at once.
        Fix: clean up in a scope with shield=True.
        Replay: lab1:scenarios.holds:ReleasedInACancelledScope::-:bob3.cancel-scope@bob-1.alice2:qdb3o:invariant.bca7:2a6fml
    """  # noqa: E501 - a token is one word
    await lab.check(scenario, schedule)
