"""Constraints, locking, cascades, and where real systems broke: each invariant under a schedule that Hypothesis draws.

Every test checks a right variant. The bugs that its docstring names are planted beside it in `scenarios/`;
`test_planted_bugs` proves that the lab finds each of them and that the token in the docstring replays it.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab import Violation, schedules
from lab.scenario.declare import ISOLATION_LEVELS
from scenarios.booking import Bookings
from scenarios.cascade import AgentDeletion, EpisodeDeletion
from scenarios.constraints import (
    FirstLogin,
    Registration,
    SegmentsOfKnownEpisodes,
    StatusIsKnown,
    TicketHandover,
    WithdrawalUnderACheck,
)
from scenarios.coupon import CouponLimit
from scenarios.credit import CreditLimit
from scenarios.deadlock import (
    LineForOneRow,
    OrderedLocks,
    PriceJobs,
    PriceLists,
    RetriedRing,
    RingOfFour,
    RingOfThree,
    RingOfTwo,
)
from scenarios.double_click import DoubleClick
from scenarios.idempotency import PaymentSentTwice
from scenarios.interest import InterestJob
from scenarios.isolation import (
    LostUpdateAnomaly,
    PhantomAnomaly,
    ReadOnlyAnomaly,
    ReadSkewAnomaly,
    WriteSkewAnomaly,
)
from scenarios.job_queue import JobQueue
from scenarios.last_admin import LastAdmin, LastAdminAtSerializable
from scenarios.ledger import Ledger
from scenarios.optimistic import DocumentEdits
from scenarios.outbox import Outbox
from scenarios.pessimistic import Withdrawals
from scenarios.process_lock import LockHeldUntilTheCommit
from scenarios.savepoint import Import
from scenarios.status import TaskEnd

pytestmark = pytest.mark.anyio


@settings(max_examples=50)
@given(
    scenario=st.builds(
        SegmentsOfKnownEpisodes, arriving=st.lists(st.sampled_from([1, 2, 3, 999]), min_size=1, max_size=4).map(tuple)
    ),
    schedule=schedules(),
)
@example(scenario=SegmentsOfKnownEpisodes(arriving=(1, 2, 999)), schedule=None)
@example(scenario=SegmentsOfKnownEpisodes(arriving=(2,)), schedule=None)
async def test_foreign_key_constraint(lab, scenario, schedule):
    """A child has a parent.

    INVARIANT: Segments arrive for episodes 1, 2 and 999, of which 1, 2 and 3 exist, while episode 2 is deleted.
        That is: every segment has its episode.

    VALIDATED_BUG: ParentCheckedByTheApplication: a segment names episode 2, which does not exist.
        Root cause: the application looks whether the episode exists, and it is deleted between that look and the
            INSERT.
        Fix: declare the foreign key: its lock on the episode lasts until the INSERT commits.
        Replay: lab1:scenarios.constraints:ParentCheckedByTheApplication::-:deleter.recorder10.deleter2:vllz5:pvgw5x
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(Registration()), schedule=schedules())
@example(scenario=Registration(), schedule=None)
async def test_unique_constraint(lab, scenario, schedule):
    """A name belongs to one account.

    INVARIANT: Two people register under one name; one gets it, the other gets the error that it is taken. That is: a
        name belongs to one member.

    VALIDATED_BUG: NameCheckedByTheApplication: 2 members have the name.
        Root cause: both requests find the name free before either of them has committed its INSERT.
        Fix: declare the column unique, and show the user an error when the constraint objects.
        Replay: lab1:scenarios.constraints:NameCheckedByTheApplication::-:one.other3.one2:v5jom:4wljsc
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(FirstLogin()), schedule=schedules())
@example(scenario=FirstLogin(), schedule=None)
async def test_get_or_create_makes_one(lab, scenario, schedule):
    """Get-or-create creates once.

    INVARIANT: One person logs in for the first time in two tabs; both get the same member, made once. That is: both
        tabs get the same member.

    VALIDATED_BUG: GetThenCreate: UniqueViolationError: duplicate key value violates unique constraint
        "member_name_key" (SQLSTATE 23505).
        Root cause: both tabs find no member and insert one; the slower tab ends with the unique constraint's error.
        Fix: INSERT ... ON CONFLICT DO NOTHING, then SELECT.
        Replay: lab1:scenarios.constraints:GetThenCreate::-:tab1-1.tab2-3.tab1-2:lztzc:azojbh
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(
    scenario=st.builds(WithdrawalUnderACheck, balance=st.integers(0, 200), amount=st.integers(1, 150)),
    schedule=schedules(),
)
@example(scenario=WithdrawalUnderACheck(balance=100, amount=60), schedule=None)
@example(scenario=WithdrawalUnderACheck(balance=100, amount=50), schedule=None)
@example(scenario=WithdrawalUnderACheck(balance=100, amount=150), schedule=None)
async def test_check_constraint(lab, scenario, schedule):
    """A CHECK holds where the application's own check does not.

    INVARIANT: Two withdrawals each pass the application's check; the database's CHECK lets only one of them
        through. That is: the balance is never negative; every withdrawal is booked.

    VALIDATED_BUG: WithdrawalCheckedByTheApplication: the balance is -20.
        Root cause: both withdrawals pass the check on the same balance before either of them subtracts.
        Fix: declare CHECK (balance >= 0), or lock the row before the check.
        Replay: lab1:scenarios.constraints:WithdrawalCheckedByTheApplication::-:ann.ben3.ann2:27s7y:g4kkm5
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(
    scenario=st.builds(StatusIsKnown, word=st.text(alphabet="abcdefghij_", min_size=1, max_size=12)),
    schedule=schedules(),
)
@example(scenario=StatusIsKnown(word="finnished"), schedule=None)
@example(scenario=StatusIsKnown(word="done"), schedule=None)
async def test_enum_constraint(lab, scenario, schedule):
    """A status is one of the known words.

    INVARIANT: A worker and a partner's callback set the status of a task; the partner sends a word that nobody
        knows. That is: the status is one of the known.

    VALIDATED_BUG: StatusIsAnyText: the status is 'finnished'.
        Root cause: the column is plain text, so it takes any word, and the last writer's word stays.
        Fix: make the column an enumeration of the database.
        Replay: lab1:scenarios.constraints:StatusIsAnyText::-:worker2.partner2:cqffg:r3qgh5
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(TicketHandover()), schedule=schedules())
@example(scenario=TicketHandover(), schedule=None)
async def test_not_null_constraint(lab, scenario, schedule):
    """A ticket always has an owner.

    INVARIANT: A ticket goes to whoever is on duty, just as the last one goes off duty: it keeps an owner. That is:
        every ticket has an owner.

    VALIDATED_BUG: OwnerMayBeNull: ticket 1 has no owner.
        Root cause: the last member goes off duty between the check and the UPDATE, whose subquery then finds
            nobody.
        Fix: declare the column NOT NULL.
        Replay: lab1:scenarios.constraints:OwnerMayBeNull::-:ann.ben2.ann2:5oj33:zuqp7r
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.builds(DocumentEdits, version=st.integers(1, 9)), schedule=schedules())
@example(scenario=DocumentEdits(version=3), schedule=None)
@example(scenario=DocumentEdits(version=1), schedule=None)
async def test_optimistic_locking(lab, scenario, schedule):
    """A stale version is refused.

    INVARIANT: Three editors load a document at version 3, add a letter each, and save. That is: no edit is lost.

    VALIDATED_BUG: OnlyOlderVersionsConflict: the text is 'a': the edit of b and c is lost.
        Root cause: the comparison asks for < where it means !=, so an older version, 3 against 5, passes for good.
        Fix: refuse every version that is not the stored one.
        Replay: lab1:scenarios.optimistic:OnlyOlderVersionsConflict::-:a.b5.c5.a4:olkrd:wsh22c

    VALIDATED_BUG: NoVersionCheck: the text is 'ab': the edit of c is lost.
        Root cause: nothing compares versions, so the last editor to save overwrites whatever came in since it loaded.
        Fix: give the table a version column, send it to the editor and compare it on saving.
        Replay: lab1:scenarios.optimistic:NoVersionCheck::-:a5.b3.c5.b2:vvo4t:5ibdip

    VALIDATED_BUG: BlindUpdateAfterTheComparison: the text is 'a': the edit of b and c is lost.
        Root cause: the version is compared in Python and the UPDATE that follows does not mention it, so both
            editors pass.
        Fix: put the version into the UPDATE's WHERE and check the row count, which version_id_col does.
        Replay: lab1:scenarios.optimistic:BlindUpdateAfterTheComparison::-:a3.b5.c5.a2:773ag:ct7hzd
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.builds(Withdrawals, balance=st.integers(0, 200), amount=st.integers(1, 150)), schedule=schedules())
@example(scenario=Withdrawals(balance=100, amount=60), schedule=None)
@example(scenario=Withdrawals(balance=100, amount=100), schedule=None)
async def test_pessimistic_locking(lab, scenario, schedule):
    """What is decided under a lock is decided on locked rows.

    INVARIANT: Two cards draw on one account, which has enough for one of them. That is: every withdrawal is booked;
        nobody draws more than there is.

    VALIDATED_BUG: LocksTheWrongRow: the balance is 40, expected -20.
        Root cause: the lock is on the card's own row, so two cards of one account do not meet.
        Fix: lock the row that is read and written: the account's.
        Replay: lab1:scenarios.pessimistic:LocksTheWrongRow::-:ann2.ben4.ann2:wffgg:frww2f

    VALIDATED_BUG: ReadsBeforeItLocks: the balance is 40, expected -20.
        Root cause: the balance was read before the lock was taken, so it may have changed while the request waited
            for it.
        Fix: read the balance by the statement that locks the row, or after it.
        Replay: lab1:scenarios.pessimistic:ReadsBeforeItLocks::-:ann.ben4.ann3:2pmzk:t2p46q

    VALIDATED_BUG: LockEndsBeforeTheWrite: the balance is 40, expected -20.
        Root cause: the transaction with FOR UPDATE ends before the one that writes begins, and its lock ends with
            it.
        Fix: lock, read and write in one transaction.
        Replay: lab1:scenarios.pessimistic:LockEndsBeforeTheWrite::-:ann2.ben4.ann2:wffgg:onvmgi

    VALIDATED_BUG: StaleInstanceFromTheIdentityMap: the balance is 40, expected -20.
        Root cause: the session has the account in its identity map, so the locking SELECT hands back the stale
            instance.
        Fix: add populate_existing to the SELECT ... FOR UPDATE, or load the account with the lock at once.
        Replay: lab1:scenarios.pessimistic:StaleInstanceFromTheIdentityMap::-:ann.ben4.ann3:2pmzk:77nbd2
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.builds(JobQueue, jobs=st.integers(1, 3)), schedule=schedules())
@example(scenario=JobQueue(jobs=2), schedule=None)
async def test_job_queue(lab, scenario, schedule):
    """No job is done twice, none is lost.

    INVARIANT: Two workers empty a queue of two jobs while a third one crashes in its first. That is: no job is done
        twice; no job is lost.

    VALIDATED_BUG: TakesJobsWithoutLock: job 2 was done more than once.
        Root cause: a plain SELECT shows the same pending job to two workers.
        Fix: SELECT ... FOR UPDATE SKIP LOCKED.
        Replay: lab1:scenarios.job_queue:TakesJobsWithoutLock::-:worker1-5.worker2-6.fickle2.worker1-5:htkry:srhcak

    VALIDATED_BUG: LockEndsBeforeTheWork: job 2 was done more than once.
        Root cause: the lock that claims the job ends with the first transaction, before the job is marked as done.
        Fix: do the work in the transaction that holds the lock.
        Replay: lab1:scenarios.job_queue:LockEndsBeforeTheWork::-:worker1-7.worker2-7.fickle2.worker1-5:idrvp:tm46hr

    VALIDATED_BUG: MarkedDoneBeforeTheWork: job 1 is marked as done but was not, or was done but is not marked.
        Root cause: the job is committed as done before its work begins, so a crash in between loses it.
        Fix: mark the job in the transaction that does its work.
        Replay: lab1:scenarios.job_queue:MarkedDoneBeforeTheWork::-:fickle3.worker1-7.worker2-2:cgbkt:advyaq
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.sampled_from([RingOfTwo(), RingOfThree(), RingOfFour()]), schedule=schedules())
async def test_deadlock_detection(lab, scenario, schedule):
    """A deadlock has one victim, which gets an error, and nothing is lost.

    INVARIANT: Two members follow each other at the same time: each counts on its own row, then on the other's. That
        is: at most one is refused; every success is counted twice.

    VALIDATED_BUG: SwallowedDeadlock: 2 succeeded, so 4 counts, not 2.
        Root cause: the handler takes the deadlock for a duplicate, rolls back and reports success, but nothing is
            written.
        Fix: run the whole transaction again, or let the error reach the caller.
        Replay: lab1:scenarios.deadlock:SwallowedDeadlock::-:ann.ben2.ann2.ben2:3o4c4:f5xd76
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(RetriedRing()), schedule=schedules())
@example(scenario=RetriedRing(), schedule=None)
async def test_retry_after_a_deadlock(lab, scenario, schedule):
    """A retried victim does all of its work again.

    INVARIANT: Three members follow in a ring, and whoever is refused runs the whole transaction again: all succeed.
        That is: at most one is refused; every success is counted twice; everybody succeeds.

    VALIDATED_BUG: RetryOfTheLastStatement: 3 succeeded, so 6 counts, not 5.
        Root cause: a deadlock rolls the whole transaction back, but only the statement that failed runs again.
        Fix: run the whole transaction again.
        Replay: lab1:scenarios.deadlock:RetryOfTheLastStatement::-:ann.cleo2.ben2.ann3.cleo2.ben2.ann2:vtw6n:o2e354
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(OrderedLocks()), schedule=schedules())
@example(scenario=OrderedLocks(), schedule=None)
async def test_lock_order(lab, scenario, schedule):
    """Locks taken in one order never deadlock.

    INVARIANT: Two orders take the same two articles from stock, written down in opposite order. That is: nobody is
        refused; every success is counted twice.

    VALIDATED_BUG: CoreUpdatesInOppositeOrder: alice fell victim to a deadlock.
        Root cause: each request updates the rows in the order in which its articles came in.
        Fix: sort the ids before the first UPDATE.
        Replay: lab1:scenarios.deadlock:CoreUpdatesInOppositeOrder::-:alice.bob2.alice2.bob2:o6b3q:eawroy

    VALIDATED_BUG: OrmUpdatesInOppositeOrder: alice fell victim to a deadlock.
        Root cause: one flush would sort its UPDATEs by primary key, but a flush after each article keeps the
            request's order.
        Fix: load all rows FOR UPDATE in the order of their ids before the first change.
        Replay: lab1:scenarios.deadlock:OrmUpdatesInOppositeOrder::-:alice.bob3.alice3.bob3:zzstz:qh2c7s

    VALIDATED_BUG: AdvisoryLocksInOppositeOrder: alice fell victim to a deadlock.
        Root cause: advisory locks are real locks: two requests that take them in opposite order wait for each
            other.
        Fix: take advisory locks in the order of their keys.
        Replay: lab1:scenarios.deadlock:AdvisoryLocksInOppositeOrder::-:alice.bob2.alice2.bob4:ytyyc:tcybah
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(LineForOneRow()), schedule=schedules())
@example(scenario=LineForOneRow(), schedule=None)
async def test_line_for_one_row(lab, scenario, schedule):
    """Requests for one row stand in line.

    INVARIANT: Three requests lock one row FOR UPDATE, read it and write it back; they stand in line and none is
        lost. That is: nobody is refused; every visitor gets its own number.

    VALIDATED_BUG: ShareToExclusive: second fell victim to a deadlock.
        Root cause: several requests share the lock, and each waits for the others to let go before it can write.
        Fix: lock FOR UPDATE from the start.
        Replay: lab1:scenarios.deadlock:ShareToExclusive::-:first3.second.third2.second2.third2:6tjwh:xp5tni
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(PriceJobs()), schedule=schedules())
@example(scenario=PriceJobs(), schedule=None)
async def test_bulk_update_order(lab, scenario, schedule):
    """Bulk updates of the same groups take them in one order.

    INVARIANT: Two jobs each raise the prices of books and of films, two bulk UPDATEs, the groups in the same order.
        That is: nobody is refused; every price is raised by every success.

    VALIDATED_BUG: PriceJobsInOppositeOrder: nightly fell victim to a deadlock.
        Root cause: each job locks one whole group and then waits for the group that the other one has locked.
        Fix: update the groups in the same order everywhere.
        Replay: lab1:scenarios.deadlock:PriceJobsInOppositeOrder::-:nightly.manual2.nightly2.manual2:gbhm7:xbk5rg
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(PriceLists()), schedule=schedules())
@example(scenario=PriceLists(), schedule=None)
async def test_bulk_update_from_a_list(lab, scenario, schedule):
    """Price lists are taken in row after row in one order.

    INVARIANT: Two suppliers' lists price the same three articles, one bulk UPDATE each; all rows are locked by id
        before it. That is: both lists are taken in; all prices are of one list.

    VALIDATED_BUG: PriceListsInOrderOfTheFile: grocer fell victim to a deadlock.
        Root cause: one UPDATE locks its rows one by one in the order of its list, so two of them can meet half-way.
        Fix: lock the rows with SELECT ... ORDER BY id FOR UPDATE first.
        Replay: lab1:scenarios.deadlock:PriceListsInOrderOfTheFile::-:pause2@grocer.baker.grocer2.baker2:nw4nr:dprl5o
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.sampled_from([LastAdmin(), LastAdminAtSerializable()]), schedule=schedules())
async def test_last_admin_stays(lab, scenario, schedule):
    """There is always an admin.

    INVARIANT: Two admins resign at the same time; the second is refused. That is: there is an admin.

    VALIDATED_BUG: CountsAdminsWithoutLock: nobody is an admin.
        Root cause: both requests count two admins and remove different rows: a write skew.
        Fix: lock the rows that are counted, or run at SERIALIZABLE and retry.
        Replay: lab1:scenarios.last_admin:CountsAdminsWithoutLock::-:ann.ben3.ann2:27s7y:xjcosx

    VALIDATED_BUG: LocksOnlyTheAdminToRemove: nobody is an admin.
        Root cause: each request locks the row that it changes, but the other rows of the count can still change.
        Fix: lock all the rows that are counted.
        Replay: lab1:scenarios.last_admin:LocksOnlyTheAdminToRemove::-:ann3.ben4.ann:sl7k3:zadmvp
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.builds(AgentDeletion, executions=st.integers(0, 6)), schedule=schedules())
@example(scenario=AgentDeletion(executions=5), schedule=None)
@example(scenario=AgentDeletion(executions=0), schedule=None)
async def test_agent_deletion_cascades_to_executions(lab, scenario, schedule):
    """Deleting an agent deletes all its executions.

    INVARIANT: An agent is deleted while it starts one more execution; none of its executions stays behind. That is:
        no execution outlives its agent; other agents keep theirs.

    VALIDATED_BUG: NoCascade: the agent is deleted, 5 of its executions are left.
        Root cause: no foreign key refers to the table, so a plain DELETE leaves the executions where they are.
        Fix: declare the foreign key with ON DELETE CASCADE.
        Replay: lab1:scenarios.cascade:NoCascade::-:deleter2.starter2:az4yy:j5i5lh

    VALIDATED_BUG: OrmOnlyCascade: the agent is deleted, 1 of its executions are left.
        Root cause: the ORM deletes the executions that it loaded, one by one; one that starts in between is not
            among them.
        Fix: declare the foreign key with ON DELETE CASCADE and set passive_deletes.
        Replay: lab1:scenarios.cascade:OrmOnlyCascade::-:deleter3.starter3.deleter2:rbd4t:3duamj
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.builds(EpisodeDeletion, segments=st.integers(0, 4)), schedule=schedules())
@example(scenario=EpisodeDeletion(segments=3), schedule=None)
@example(scenario=EpisodeDeletion(segments=0), schedule=None)
async def test_episode_deletion_cascades_to_segments(lab, scenario, schedule):
    """Deleting an episode deletes all its segments.

    INVARIANT: An episode is deleted while two recorders add segments; it goes with all its segments. That is: no
        segment outlives its episode.

    VALIDATED_BUG: ForeignKeyWithoutCascade: ForeignKeyViolationError: update or delete on table "legacy_episode"
        violates foreign key constraint "legacy_segment_episode_id_fkey" on table "legacy_segment" (SQLSTATE 23503).
        Root cause: the ORM deletes the segments that it loaded; one added since then makes the foreign key refuse
            the deletion.
        Fix: declare the foreign key with ON DELETE CASCADE and set passive_deletes.
        Replay: lab1:scenarios.cascade:ForeignKeyWithoutCascade::-:deleter3.camera2.microphone2.deleter2:2rq6p:oqyjuq
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(LockHeldUntilTheCommit()), schedule=schedules())
@example(scenario=LockHeldUntilTheCommit(), schedule=None)
async def test_process_lock_covers_the_commit(lab, scenario, schedule):
    """A lock in the process is held until the commit.

    INVARIANT: Two requests of one process count a visit under an asyncio lock, which they hold until they have
        committed. That is: every visit counts.

    VALIDATED_BUG: LockReleasedBeforeTheCommit: the counter stands at 1, expected 2.
        Root cause: the lock covers reading and computing, but the new value is only written and committed after its
            release.
        Fix: hold the lock until the transaction has committed.
        Replay: lab1:scenarios.process_lock:LockReleasedBeforeTheCommit::-:first.second3.first2:32ppl:ns6rur
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.builds(Ledger, opening=st.integers(0, 200), deposit=st.integers(1, 100)), schedule=schedules())
@example(scenario=Ledger(opening=100, deposit=30), schedule=None)
async def test_ledger_balance(lab, scenario, schedule):
    """A running balance is the sum of its entries.

    INVARIANT: Two deposits append to one ledger; the last entry's balance is the sum of all amounts. That is: the
        last balance is the sum.

    VALIDATED_BUG: LocksTheLatestEntry: the last entry's balance is 130, the amounts sum up to 160.
        Root cause: whoever waits for the lock on the latest entry gets that entry, though a later one exists by
            then.
        Fix: lock a row that stays, such as the account's, and then look for the latest entry.
        Replay: lab1:scenarios.ledger:LocksTheLatestEntry::-:ann.ben.ann2.ben3:zthzu:vch3pv
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(
    scenario=st.builds(
        CreditLimit, ceiling=st.integers(900, 1100), used=st.integers(0, 900), amount=st.integers(1, 300)
    ),
    schedule=schedules(),
)
@example(scenario=CreditLimit(ceiling=1000, used=900, amount=80), schedule=None)
@example(scenario=CreditLimit(ceiling=1000, used=900, amount=100), schedule=None)
async def test_credit_limit(lab, scenario, schedule):
    """Orders stay within the credit limit.

    INVARIANT: Of a limit of 1000, 900 are used; two orders of 80 arrive, and one of them must be refused. That is:
        purchases stay within the limit; what is used is what was bought.

    VALIDATED_BUG: LimitCheckedInPython: purchases of 1060 on a limit of 1000.
        Root cause: both orders read the same sum of used credit, find room for themselves and write back the same
            new sum.
        Fix: check and add in one UPDATE, or lock the credit line before reading it.
        Replay: lab1:scenarios.credit:LimitCheckedInPython::-:phone.laptop4.phone3:4zyqj:ks7sqe
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(Outbox()), schedule=schedules())
@example(scenario=Outbox(), schedule=None)
async def test_outbox_delivers_all(lab, scenario, schedule):
    """Every event is delivered.

    INVARIANT: Two requests store an event each while a consumer polls twice; the next poll brings what is still
        missing. That is: every event is delivered once.

    VALIDATED_BUG: CursorOverIds: events [1, 2] are stored, [2] are delivered.
        Root cause: ids follow the order of the INSERTs but events appear in that of the COMMITs, when the cursor
            has moved on.
        Fix: mark each event as delivered, instead of remembering the last id.
        Replay: lab1:scenarios.outbox:CursorOverIds::-:sale.refund2.consumer4.sale:fgpix:5h7ld4
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.builds(CouponLimit, ceiling=st.integers(0, 3)), schedule=schedules())
@example(scenario=CouponLimit(ceiling=2), schedule=None)
@example(scenario=CouponLimit(ceiling=0), schedule=None)
async def test_coupon_limit(lab, scenario, schedule):
    """A coupon is redeemed as often as allowed.

    INVARIANT: Three customers redeem a coupon that is good for two. That is: the coupon is not overused.

    VALIDATED_BUG: CountsThenRedeems: redeemed 3 times, allowed 2.
        Root cause: each request counts the committed redemptions only, so it misses those of transactions still open.
        Fix: count in the coupon's row by a conditional UPDATE, or lock that row before counting.
        Replay: lab1:scenarios.coupon:CountsThenRedeems::-:ann3.ben4.cleo4.ann:m5qwf:r4wcym
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.builds(Bookings, overlap=st.integers(0, 2)), schedule=schedules())
@example(scenario=Bookings(overlap=1), schedule=None)
@example(scenario=Bookings(overlap=0), schedule=None)
async def test_bookings_do_not_overlap(lab, scenario, schedule):
    """No two bookings of a room overlap.

    INVARIANT: Two guests ask for one room, from 9 to 11 and from 10 to 12; one of them is refused. That is: no two
        bookings overlap.

    VALIDATED_BUG: BookedWithoutLock: bookings from 10 and from 9 overlap.
        Root cause: both guests look for overlapping bookings before either of them has committed one.
        Fix: lock the room's row before looking.
        Replay: lab1:scenarios.booking:BookedWithoutLock::-:early.late3.early2:5wdmz:wtwvdm

    VALIDATED_BUG: LooksByAnOlderSnapshot: bookings from 9 and from 10 overlap.
        Root cause: at REPEATABLE READ the snapshot is older than the wait for the lock, so what came in meanwhile
            is not seen.
        Fix: look at READ COMMITTED, where the statement after the lock sees it, or run at SERIALIZABLE.
        Replay: lab1:scenarios.booking:LooksByAnOlderSnapshot::-:early.late.early3.late4:fg2eu:ymaw4u

    VALIDATED_BUG: LocksTheOverlapThatIsNotThere: bookings from 10 and from 9 overlap.
        Root cause: FOR UPDATE locks the rows that it finds; where there is no overlapping booking yet, it locks
            nothing.
        Fix: lock a row that is there: the room's.
        Replay: lab1:scenarios.booking:LocksTheOverlapThatIsNotThere::-:early.late3.early2:5wdmz:u4hoan
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.builds(PaymentSentTwice, amount=st.integers(1, 100)), schedule=schedules())
@example(scenario=PaymentSentTwice(amount=25), schedule=None)
async def test_idempotency_key(lab, scenario, schedule):
    """A repeated request is done once.

    INVARIANT: An impatient client sends a payment again while the first request is under way. That is: the customer
        is charged once.

    VALIDATED_BUG: KeySelectedThenInserted: there are 2 charges for the key.
        Root cause: both requests look for a charge with the key before either of them has committed one.
        Fix: let a unique key decide: INSERT ... ON CONFLICT DO NOTHING before charging.
        Replay: lab1:scenarios.idempotency:KeySelectedThenInserted::-:request.repetition3.request2:nro24:fees6h
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(Import()), schedule=schedules())
@example(scenario=Import(), schedule=None)
async def test_savepoint_work_is_not_counted(lab, scenario, schedule):
    """What a savepoint rolled back is not counted.

    INVARIANT: Two imports share an article; each keeps what it can and says how many articles it brought. That is:
        every article is counted once.

    VALIDATED_BUG: CountedBeforeItIsKept: the imports report 4 articles, 3 are stored.
        Root cause: an article is counted inside its savepoint, and stays counted when the savepoint is rolled back.
        Fix: count it after the savepoint was released.
        Replay: lab1:scenarios.savepoint:CountedBeforeItIsKept::-:north5.south8.north3:stvzd:gfkidz
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(TaskEnd()), schedule=schedules())
@example(scenario=TaskEnd(), schedule=None)
async def test_status_transition(lab, scenario, schedule):
    """A task ends once.

    INVARIANT: A worker finishes a task while its owner cancels it; only one of them ends it. That is: a task ends
        once; the status is that of the one who ended it.

    VALIDATED_BUG: StatusCheckedInPython: worker and owner both ended the task.
        Root cause: both requests load the running task, find that they may end it, and overwrite each other's
            status.
        Fix: put the expected status into the UPDATE's WHERE and check the row count.
        Replay: lab1:scenarios.status:StatusCheckedInPython::-:worker.owner3.worker2:djdgf:vxcveh
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(
    scenario=st.builds(InterestJob, balance=st.integers(100, 2000), payment=st.integers(1, 40)),
    schedule=schedules(),
)
@example(scenario=InterestJob(balance=1000, payment=50), schedule=None)
async def test_interest_and_payment(lab, scenario, schedule):
    """A job and a request that meet on a row both arrive.

    INVARIANT: A nightly job adds interest to a balance while a customer's payment comes in. That is: interest and
        payment both arrive.

    VALIDATED_BUG: InterestOnAStaleBalance: the balance is 1010, expected 1060.
        Root cause: the job writes a balance that it computed from an earlier read, over a payment that came in
            between.
        Fix: let the UPDATE compute: balance = balance + interest.
        Replay: lab1:scenarios.interest:InterestOnAStaleBalance::-:job.payer7.job2:mrunv:thecwc
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.builds(DoubleClick, amount=st.integers(1, 100)), schedule=schedules())
@example(scenario=DoubleClick(amount=25), schedule=None)
async def test_double_click(lab, scenario, schedule):
    """A double click charges once.

    INVARIANT: A customer clicks twice on "pay"; the order is charged once. That is: the order is charged once.

    VALIDATED_BUG: GuardLiftedBeforeTheCommit: the order was charged 2 times.
        Root cause: the guard is lifted inside the transaction's block, before the flush and the COMMIT that follow
            it.
        Fix: lift the guard after the transaction has committed, or let a unique key decide.
        Replay: lab1:scenarios.double_click:GuardLiftedBeforeTheCommit::-:click3.again4.click:yyunr:zu4tpj
    """
    await lab.check(scenario, schedule)


ANOMALIES = [LostUpdateAnomaly, ReadSkewAnomaly, PhantomAnomaly, WriteSkewAnomaly, ReadOnlyAnomaly]
CALLED = {
    LostUpdateAnomaly: "LOST UPDATE",
    ReadSkewAnomaly: "READ SKEW",
    PhantomAnomaly: "PREDICATE-MANY-PRECEDERS",
    WriteSkewAnomaly: "WRITE SKEW",
    ReadOnlyAnomaly: "WRITE SKEW",
}
ALLOWED = [(anomaly, level) for anomaly in ANOMALIES for level in anomaly.allowed_at]
PREVENTED = [(anomaly, level) for anomaly in ANOMALIES for level in ISOLATION_LEVELS if level not in anomaly.allowed_at]


@settings(max_examples=50)
@given(case=st.sampled_from(PREVENTED), schedule=schedules())
@example(case=(ReadOnlyAnomaly, "SERIALIZABLE"), schedule=None)
async def test_isolation_levels(lab, case, schedule):
    """A level prevents what PostgreSQL says it prevents.

    INVARIANT: Lost update, read skew and phantoms are gone from REPEATABLE READ on; write skew and the read-only
        anomaly of three transactions are gone at SERIALIZABLE.

    VALIDATED_BUG: LostUpdateAnomaly at READ COMMITTED: the balance is 110, expected 120.
        Root cause: two requests read one balance at READ COMMITTED and each writes its own sum.
        Fix: run at REPEATABLE READ with a retry, or lock the row first.
        Replay: lab1:scenarios.isolation:LostUpdateAnomaly::rc:first.second3.first2:ht4q4:7aspz6

    VALIDATED_BUG: WriteSkewAnomaly at REPEATABLE READ: both accounts together hold -100.
        Root cause: each request checks a sum at REPEATABLE READ and changes another part of it.
        Fix: run at SERIALIZABLE with a retry, or lock all rows of the sum.
        Replay: lab1:scenarios.isolation:WriteSkewAnomaly::rr:ann.ben3.ann2:27s7y:3cdjb4

    VALIDATED_BUG: ReadOnlyAnomaly at REPEATABLE READ: the report shows [0, 20], yet a fee was charged.
        Root cause: a reader's snapshot lies between two writers that depend on each other.
        Fix: run all three at SERIALIZABLE.
        Replay: lab1:scenarios.isolation:ReadOnlyAnomaly::rr:withdrawer.depositor2.report2.withdrawer2:h5ap2:fnrflb
    """
    anomaly, level = case
    await lab.check(anomaly(), schedule, isolation=level)


@pytest.mark.parametrize(("anomaly", "level"), ALLOWED)
async def test_a_level_allows_what_it_is_documented_to_allow(lab, anomaly, level):
    """Where PostgreSQL allows an anomaly, the lab finds it and calls it by its name."""
    with pytest.raises(Violation, match=f"^{CALLED[anomaly]} "):
        await lab.hunt(anomaly(), executions=300, isolation=level)
