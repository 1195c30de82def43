"""What a request may assume about work of its own that was cut off: each right variant under the faults that it names.

The bugs in the docstrings are planted beside it in `scenarios/`; `test_planted_bugs` replays each from its token.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab import schedules
from scenarios.faults import CommitInDoubt, LostConnection, LostConnectionByKill, PatientTransfer
from scenarios.leases import Fenced, GuardedCount

pytestmark = pytest.mark.anyio


@settings(max_examples=50)
@given(scenario=st.just(CommitInDoubt()), schedule=schedules())
@example(scenario=CommitInDoubt(), schedule=None)
async def test_commit_in_doubt(lab, scenario, schedule):
    """A payment whose COMMIT is in doubt is made once.

    INVARIANT: Two customers pay. Where the answer to a COMMIT is lost, the payment is tried again under the same key.
        That is: each pays once.

    VALIDATED_BUG: KeyMadeAnew: bob paid 2 times.
        Root cause: an attempt that got no answer is taken for one that failed, and the next one has a key of its own.
        Fix: make the key once for the payment, not for the attempt, and let it be unique.
        Replay: lab1:scenarios.faults:KeyMadeAnew::-:alice2.bob.lost-answer@bob-1.bob3:kwtza:jttgfj
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(LostConnection()), schedule=schedules())
@example(scenario=LostConnection(), schedule=None)
async def test_lost_connection(lab, scenario, schedule):
    """A transfer that lost its connection is tried again as a whole.

    INVARIANT: Two transfers from account 1 to account 2; either may lose its connection, and tries once more then.
        That is: money is conserved.

    VALIDATED_BUG: StatementRetried: the accounts hold 210, expected 200.
        Root cause: the statement that failed is tried again, but with its connection the transaction before it
            was lost.
        Fix: try the whole transaction again.
        Replay: lab1:scenarios.faults:StatementRetried::-:alice.disconnect@alice.alice3.bob3:anq3u:3sjzbn
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(LostConnectionByKill()), schedule=schedules())
@example(scenario=LostConnectionByKill(), schedule=None)
async def test_killed_connection(lab, scenario, schedule):
    """A transfer whose connection was killed is tried again as a whole.

    INVARIANT: The same transfers while the server ends connections. That is: money is conserved.

    VALIDATED_BUG: StatementRetriedAfterKill: the accounts hold 210, expected 200.
        Root cause: the statement that failed is tried again, but with its connection the transaction before it
            was lost.
        Fix: try the whole transaction again.
        Replay: lab1:scenarios.faults:StatementRetriedAfterKill::-:alice.kill@alice.alice3.bob3:anq3u:esay2l
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(PatientTransfer()), schedule=schedules())
@example(scenario=PatientTransfer(), schedule=None)
async def test_lock_timeout(lab, scenario, schedule):
    """A transfer that waits too long for a lock leaves nothing behind.

    INVARIANT: The same transfers with a lock_timeout. Whoever waits too long is told so. That is: money is conserved.

    VALIDATED_BUG: LegSkipped: the accounts hold 220, expected 200.
        Root cause: the row that was locked for too long is skipped, and what could be done is committed.
        Fix: let the error leave the transaction; skipping is for work that stands by itself.
        Replay: lab1:scenarios.faults:LegSkipped::-:alice5.bob2.alice.lock-timeout@bob-1.alice.bob6:mo5r3:e3jypi
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(GuardedCount()), schedule=schedules())
@example(scenario=GuardedCount(), schedule=None)
async def test_guarded_count(lab, scenario, schedule):
    """What a lock guards is done in the transaction that holds the lock.

    INVARIANT: Two writers add a line each, and count it; one at a time. A transaction that is idle for too long is
        ended. That is: every line is counted.

    VALIDATED_BUG: GuardedElsewhere: there are 2 lines, and 1 were counted.
        Root cause: the lock is held by one transaction, which is idle meanwhile, and the work is done in another.
        Fix: do the work in the transaction that holds the lock, so that both end together.
        Replay: lab1:scenarios.leases:GuardedElsewhere::-:alice.idle-timeout@alice-1.alice2.bob6.alice2:i633e:zvikw7
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(Fenced()), schedule=schedules())
@example(scenario=Fenced(), schedule=None)
async def test_fenced_lease(lab, scenario, schedule):
    """Who has lost a lease changes nothing any more.

    INVARIANT: Two editors lease a document for 30 s, read it, and write it back with a word more; a statement may take
        long. That is: what was saved is there.

    VALIDATED_BUG: Unfenced: 2 saved a word each, and there are 1.
        Root cause: the lease is looked at before the statement that relies on it, and ends while that is under way.
        Fix: let the statement itself ask for the number of the lease, which the next holder raises.
        Replay: lab1:scenarios.leases:Unfenced::-:alice4.slow@alice.bob6.alice2:3dafr:p24plw
    """
    await lab.check(scenario, schedule)
