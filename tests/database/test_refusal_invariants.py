"""What a request may assume after the server refused it: each right variant under the refusals that it names.

The bugs in the docstrings are planted beside it in `scenarios/`; `test_planted_bugs` replays each from its token.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab import schedules
from scenarios.refused import ArchivedOnce, LimitHoldsInTime, MailWithTheOrder

pytestmark = pytest.mark.anyio


@settings(max_examples=50)
@given(scenario=st.just(LimitHoldsInTime()), schedule=schedules())
@example(scenario=LimitHoldsInTime(), schedule=None)
async def test_limit_in_time(lab, scenario, schedule):
    """A limit lets nothing through whose sum could not be computed in time.

    INVARIANT: Two spend 60 of a budget of 100, of which 30 are spent; the sum may run into statement_timeout. That is:
        the budget holds.

    VALIDATED_BUG: TimeoutTakenForNothing: 150 are spent of a budget of 100.
        Root cause: a sum that was cancelled by statement_timeout is taken for a sum of nothing.
        Fix: let the error end the request: what could not be checked is refused.
        Replay: lab1:scenarios.refused:TimeoutTakenForNothing::-:alice6.bob2.statement-timeout@bob-1.bob4:5mdue:invariant.7dsm:wmpuly
    """  # noqa: E501 - a token is one word
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(ArchivedOnce()), schedule=schedules())
@example(scenario=ArchivedOnce(), schedule=None)
async def test_archived_once(lab, scenario, schedule):
    """An order leaves the table only when it is in the archive.

    INVARIANT: Two workers archive two orders, one of which an earlier run has copied already; the disk may be full.
        That is: no order is lost.

    VALIDATED_BUG: AnyErrorIsADuplicate: of orders 1 and 2 there is 1.
        Root cause: every error of the copy is taken for one that is there already, and the original is deleted.
        Fix: catch the error that is expected, or say so in the statement: ON CONFLICT DO NOTHING.
        Replay: lab1:scenarios.refused:AnyErrorIsADuplicate::-:bob7.disk-full@bob-1.bob4.alice3:2nvdm:invariant.gt3w:3nbwqx
    """  # noqa: E501 - a token is one word
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(MailWithTheOrder()), schedule=schedules())
@example(scenario=MailWithTheOrder(), schedule=None)
async def test_confirmed_once(lab, scenario, schedule):
    """A purchase that is done again after a refusal is confirmed once.

    INVARIANT: Two buy a ticket each at REPEATABLE READ, and try once more where the server cannot serialize. That is:
        each is told once.

    VALIDATED_BUG: MailForEachAttempt: bob has 1 ticket and 2 mails.
        Root cause: the mail is committed by itself before the purchase, stays when that is refused, and is sent again.
        Fix: put the mail into the transaction of the purchase, and send it when that is committed.
        Replay: lab1:scenarios.refused:MailForEachAttempt::-:alice5.bob4.serialization-failure@bob-1.bob6:pduhk:invariant.3esq:ddxyhz
    """  # noqa: E501 - a token is one word
    await lab.check(scenario, schedule)
