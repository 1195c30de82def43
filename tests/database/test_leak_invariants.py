"""What a request leaves behind when it ends, however that is: nothing that takes something from the requests after it.

The bugs in the docstrings are planted beside it in `scenarios/`; `test_planted_bugs` replays each from its token.
"""

import pytest
from hypothesis import given, settings

from lab import schedules
from scenarios.leaks import BilledUnderALock, ClosedInAnyCase, ConfirmedBySessionOfItsOwn

pytestmark = pytest.mark.anyio


@settings(max_examples=50)
@given(schedule=schedules())
async def test_closed_in_any_case(lab, schedule):
    """A request that is refused gives its connection back.

    INVARIANT: Two people want the same name, and a unique key decides. That is: somebody has the name.

    VALIDATED_BUG: ClosedAfterSuccess: alice never closed a session; a connection stays checked out of its pool.
        Root cause: the session is closed where all goes well, and the error passes that line by.
        Fix: open the session by `async with`, which closes it in any case.
        Replay: lab1:scenarios.leaks:ClosedAfterSuccess::-:alice.bob3.alice2:3fk4f:leak.hcab:ndide6
    """
    await lab.check(ClosedInAnyCase(), schedule)


@settings(max_examples=50)
@given(schedule=schedules())
async def test_billed_under_a_lock(lab, schedule):
    """A lock ends with the work that it guards, however that ends.

    INVARIANT: Two workers bill the month; one at a time, and only if that is not done yet. That is: the month is
        billed once.

    VALIDATED_BUG: ReleasedAfterBilling: bob never released advisory lock 7; its session is handed on with it.
        Root cause: the lock belongs to the session, not to the transaction, and one way out does not release it.
        Fix: take a lock of the transaction, pg_advisory_xact_lock, which ends with it in any case.
        Replay: lab1:scenarios.leaks:ReleasedAfterBilling::-:alice5.bob3.alice3.bob3:2fsmn:leak.3xry:lwmb3d
    """
    await lab.check(BilledUnderALock(), schedule)


@settings(max_examples=50)
@given(schedule=schedules())
async def test_confirmed_by_session_of_its_own(lab, schedule):
    """A task that outlives its request uses a session of its own.

    INVARIANT: Two buyers buy; a task that nobody waits for sends them what they bought. That is: what was bought has
        left the shelf.

    VALIDATED_BUG: ConfirmedBySessionOfTheRequest: alice/1 never closed a session; a connection stays checked out of its
        pool, with its transaction open; bob/1 never closed a session; a connection stays checked out of its pool, with
        its transaction open.
        Root cause: a session that was closed begins anew when it is used, and the request that would close it is over.
        Fix: open a session in the task, by `async with`.
        Replay: lab1:scenarios.leaks:ConfirmedBySessionOfTheRequest::-:alice3.alice/1-1.bob3.bob/1-1:a5tl7:leak.hcab:xm6xwh
    """  # noqa: E501 - a token is one word
    await lab.check(ConfirmedBySessionOfItsOwn(), schedule)
