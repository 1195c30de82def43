"""Atomicity, consistency, isolation and durability: each under a schedule that Hypothesis draws.

Every test checks a right variant. The bugs that its docstring names are planted beside it in `scenarios/`;
`test_planted_bugs` proves that the lab finds each of them and that the token in the docstring replays it.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab import schedules
from scenarios.atomicity import Atomicity, AtomicityInCrashes
from scenarios.durability import Durability
from scenarios.isolation import ConsistentReport, NoDirtyRead
from scenarios.overdraft import Overdraft
from scenarios.survival import BacksOffWithoutLocks, TriedAgainAsAWhole
from scenarios.transfer import Transfer

pytestmark = pytest.mark.anyio


@settings(max_examples=80)
@given(
    scenario=st.builds(Overdraft, balance=st.integers(0, 200), debit=st.integers(1, 400), deposit=st.integers(1, 50)),
    schedule=schedules(),
)
@example(scenario=Overdraft(balance=100, debit=150), schedule=None)
@example(scenario=Overdraft(balance=0, debit=1), schedule=None)
@example(scenario=Overdraft(balance=100, debit=100), schedule=None)
async def test_overdraft_is_refused_whole(lab, scenario, schedule):
    """A refused payment changes nothing.

    INVARIANT: A payment larger than the balance, while a deposit comes in: balance 100, debit 150, stays 100. That
        is: money is conserved; nobody is overdrawn.

    VALIDATED_BUG: CreditKeptAfterRefusal: the accounts hold 270, expected 120.
        Root cause: the refusal is caught inside the transaction, which then commits the credit without its debit.
        Fix: let the error leave the transaction's block, so that it rolls back.
        Replay: lab1:scenarios.overdraft:CreditKeptAfterRefusal::-:payer3.depositor2:jdhur:ebvk7g
    """
    await lab.check(scenario, schedule)


@settings(max_examples=80)
@given(scenario=st.builds(Transfer, balance=st.integers(1, 200), amount=st.integers(1, 300)), schedule=schedules())
@example(scenario=Transfer(balance=100, amount=150), schedule=None)
@example(scenario=Transfer(balance=100, amount=100), schedule=None)
@example(scenario=Transfer(balance=1, amount=1), schedule=None)
async def test_transaction_consistency(lab, scenario, schedule):
    """A transfer keeps the sum of the accounts.

    INVARIANT: Two opposite transfers between two accounts while an auditor adds up the money. That is: money is
        conserved; every transfer arrives; nobody is overdrawn; the auditor sees all the money.

    VALIDATED_BUG: LostUpdate: account 1 holds 70, expected 100.
        Root cause: both transfers read the balances without a lock, and the later UPDATE writes a sum made from
            stale ones.
        Fix: read the rows with SELECT ... FOR UPDATE, in the order of their ids.
        Replay: lab1:scenarios.transfer:LostUpdate::-:alice2.bob4.alice2:iognt:hfx2x7

    VALIDATED_BUG: TwoTransactions: saw 170, expected 200.
        Root cause: the debit commits before the credit begins, so for a moment the money is nowhere.
        Fix: put both legs into one transaction.
        Replay: lab1:scenarios.transfer:TwoTransactions::-:alice6.bob5.auditor2.bob:j32td:yz4vpt
    """
    await lab.check(scenario, schedule)


@settings(max_examples=80)
@given(scenario=st.builds(ConsistentReport, balance=st.integers(1, 500)), schedule=schedules())
@example(scenario=ConsistentReport(balance=1), schedule=None)
async def test_transaction_isolation(lab, scenario, schedule):
    """A report of several statements sees one moment.

    INVARIANT: A report reads two accounts in two statements while money moves between them; it sees all the money.
        That is: the report sees all the money.

    VALIDATED_BUG: ReportAtReadCommitted: saw 210, expected 200.
        Root cause: at READ COMMITTED each statement sees a moment of its own, and money moved between the two.
        Fix: read at REPEATABLE READ, or read both balances in one statement.
        Replay: lab1:scenarios.isolation:ReportAtReadCommitted::-:report.mover3.report2:uziaw:gessro
    """
    await lab.check(scenario, schedule)


@settings(max_examples=80)
@given(scenario=st.builds(NoDirtyRead, balance=st.integers(1, 500)), schedule=schedules())
@example(scenario=NoDirtyRead(balance=100), schedule=None)
async def test_no_dirty_read(lab, scenario, schedule):
    """Nobody sees what is not committed.

    INVARIANT: Nobody sees a balance that was written but not committed, at any level. That is: nobody sees
        what was never committed.

    VALIDATED_BUG: CacheFilledBeforeTheCommit: reader saw [100, 150].
        Root cause: the new balances are in the cache before they are committed, and stay there when they are rolled
            back.
        Fix: fill or clear the cache after the commit.
        Replay: lab1:scenarios.isolation:CacheFilledBeforeTheCommit::-:writer5.reader2.other_reader2:eywln:rq74vk
    """
    await lab.check(scenario, schedule)


@settings(max_examples=80)
@given(
    scenario=st.builds(Atomicity, balance=st.integers(0, 200), payment=st.integers(1, 100), refund=st.integers(1, 100)),
    schedule=schedules(),
)
@example(scenario=Atomicity(balance=100, payment=30, refund=20), schedule=None)
async def test_transaction_atomicity(lab, scenario, schedule):
    """A transfer is done whole or not at all, also when it is cut off.

    INVARIANT: A payment and a refund between two accounts; either may be cancelled or lose its connection at any
        point. That is: both legs or none; what succeeded is done.

    VALIDATED_BUG: OneLegPerCommit: the accounts hold 90 and 130: half a transfer.
        Root cause: each leg commits by itself, and a request that is cut off after the first one leaves the money
            nowhere.
        Fix: put both legs into one transaction.
        Replay: lab1:scenarios.atomicity:OneLegPerCommit::-:payer5.refunder2.cancel@refunder:x552d:mm6nbd

    VALIDATED_BUG: CommitInFinally: the accounts hold 90 and 80: half a transfer.
        Root cause: the commit stands in a `finally`, so a cancelled request commits the leg that it had got to.
        Fix: commit only at the end of the whole work; `async with session.begin()` does that and rolls back
            otherwise.
        Replay: lab1:scenarios.atomicity:CommitInFinally::-:payer.cancel@payer.payer.refunder4:dwr2h:sy6lin
    """
    await lab.check(scenario, schedule)


@settings(max_examples=80)
@given(
    scenario=st.builds(
        AtomicityInCrashes, balance=st.integers(0, 200), payment=st.integers(1, 100), refund=st.integers(1, 100)
    ),
    schedule=schedules(),
)
@example(scenario=AtomicityInCrashes(balance=100, payment=30, refund=20), schedule=None)
async def test_transaction_atomicity_in_crashes(lab, scenario, schedule):
    """A transfer is done whole or not at all, also when the server crashes.

    INVARIANT: The same transfers while the server crashes. That is: both legs or none; what succeeded is done.

    VALIDATED_BUG: OneLegPerCommitInCrashes: the accounts hold 70 and 100: half a transfer.
        Root cause: each leg commits by itself, and a crash between the two commits leaves the money nowhere.
        Fix: put both legs into one transaction.
        Replay: lab1:scenarios.atomicity:OneLegPerCommitInCrashes::-:payer3.crash@server.payer.refunder:u567a:kydjyh
    """
    await lab.check(scenario, schedule)


@settings(max_examples=80)
@given(scenario=st.builds(Durability, amount=st.integers(1, 100)), schedule=schedules())
@example(scenario=Durability(amount=10), schedule=None)
async def test_transaction_durability(lab, scenario, schedule):
    """What was acknowledged survives a crash of the server.

    INVARIANT: Two requests place an order each and answer with its id: the acknowledgement. Every execution has its
        crash. That is: what was acknowledged is there.

    VALIDATED_BUG: CommitNotAwaited: order 1 was acknowledged and is gone.
        Root cause: with synchronous_commit=off the server answers a COMMIT before it has written it down.
        Fix: leave synchronous_commit on for whatever is acknowledged to somebody.
        Replay: lab1:scenarios.durability:CommitNotAwaited::-:alice3.bob3.crash@server:vwjhc:dqbxcx

    VALIDATED_BUG: AcknowledgedTooEarly: order 2 was acknowledged and is gone.
        Root cause: an error of the COMMIT is swallowed, and the id is returned all the same.
        Fix: acknowledge only what a COMMIT has confirmed, and let its error reach the caller.
        Replay: lab1:scenarios.durability:AcknowledgedTooEarly::-:alice2.bob.crash@server.bob:xsn6b:mvzhfv
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(schedule=schedules())
async def test_a_refused_transaction_is_done_again(lab, schedule):
    """A refused transaction is done again.

    INVARIANT: Two deposits on one account at REPEATABLE READ; the server may refuse either. That is: every deposit is
        there; each depositor survives 40001 and 40P01, in four attempts.

    VALIDATED_BUG: TriedAgainWithStaleObjects: the account holds 100, expected 130.
        Root cause: the new balance is computed once, before the loop, so the second attempt writes what the first one
            had read.
        Fix: put reading and computing into what is tried again.
        Replay: lab1:scenarios.survival:TriedAgainWithStaleObjects::-:employer2.tenant5.employer3:xcer6:invariant.ywu7:p6e23p

    VALIDATED_BUG: NotAgainAfterADeadlock: employer was refused once and ended with DeadlockDetectedError: deadlock
        detected (40P01).
        Root cause: the loop knows serialization failures only, and a deadlock with another request ends it.
        Fix: try again after 40P01 as well.
        Replay: lab1:scenarios.survival:NotAgainAfterADeadlock::-:tenant3.deadlock@employer.employer2:mwe3l:survival.5zbl:agydp3
    """  # noqa: E501 - a token is one word
    await lab.check(TriedAgainAsAWhole(), schedule)


@settings(max_examples=50)
@given(schedule=schedules())
async def test_who_backs_off_gives_locks_back(lab, schedule):
    """Who backs off gives locks back.

    INVARIANT: Two transfers in opposite directions that rather try again than wait for a lock. That is: money is
        conserved; each ends within two attempts in which the other one had its share.

    VALIDATED_BUG: BacksOffWithLocksHeld: payer was refused 2 times while every other actor got its share of steps.
        Root cause: a savepoint gives back only what was locked in it, so each sleeps with the lock that the other one
            wants.
        Fix: roll the whole transaction back before trying again, and take locks in one order.
        Replay: lab1:scenarios.survival:BacksOffWithLocksHeld::-:payer2.refunder3.payer4.refunder4.payer7.refunder9:ja672:survival.65zz:reqvke
    """  # noqa: E501 - a token is one word
    await lab.check(BacksOffWithoutLocks(), schedule)
