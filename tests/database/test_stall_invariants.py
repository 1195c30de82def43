"""What ends in a stall where it is done wrong: locks of the process, pools, events, queues, tasks, threads."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab import schedules
from scenarios.stalls import AnyioLockBeforeTheRow, LocksInOneOrder, ProcessLockBeforeTheRow, ThreadWaitsWithoutALock
from scenarios.starved import ChildrenBeforeTheRow, ClearsBeforeItLooks, LooksAgainBeforeItLeaves, OneConnectionARequest

pytestmark = pytest.mark.anyio


@settings(max_examples=50)
@given(scenario=st.just(LocksInOneOrder()), schedule=schedules())
@example(scenario=LocksInOneOrder(), schedule=None)
async def test_locks_in_one_order(lab, scenario, schedule):
    """Locks of the process are taken in one order.

    INVARIANT: A sale and a price list use two guarded things of the process, and lock prices before stock. That is:
        the first counter stands at two.

    VALIDATED_BUG: LocksInOppositeOrder: sale holds asyncio.Lock `Shop.prices` and waits for asyncio.Lock
        `Shop.stock`, taken by pricelist; pricelist holds asyncio.Lock `Shop.stock` and waits for asyncio.Lock
        `Shop.prices`, taken by sale; sale waits for pricelist, who waits for sale.
        Root cause: the price list locks stock before prices, a sale prices before stock, and each waits for the
            other's lock.
        Fix: take locks of the process in one order everywhere.
        Replay: lab1:scenarios.stalls:LocksInOppositeOrder::-:sale.pricelist3.sale:kgwmf:stall.ters:xnznjg
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(ProcessLockBeforeTheRow()), schedule=schedules())
@example(scenario=ProcessLockBeforeTheRow(), schedule=None)
async def test_process_lock_before_the_row(lab, scenario, schedule):
    """A lock of the process is taken before rows are locked.

    INVARIANT: Two requests use a lock of the process and a row, and take the lock first. That is: the first counter
        stands at two.

    VALIDATED_BUG: RowBeforeTheProcessLock: recount holds asyncio.Lock `Shop.stock` and waits for row (0,1) of
        counter, held by sale; sale holds row (0,1) of counter and waits for asyncio.Lock `Shop.stock`, taken by
        recount; recount waits for sale, who waits for recount.
        Root cause: the sale holds the row while it waits for the lock, whose holder waits for the row.
        Fix: take the lock of the process before the first row is locked, or give it up before.
        Replay: lab1:scenarios.stalls:RowBeforeTheProcessLock::-:recount.sale2.recount:sfaiq:stall.ters:dmlffk
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(AnyioLockBeforeTheRow()), schedule=schedules())
@example(scenario=AnyioLockBeforeTheRow(), schedule=None)
async def test_anyio_lock_before_the_row(lab, scenario, schedule):
    """An anyio lock is taken before rows are locked.

    INVARIANT: Two requests write a row and send a message, one at a time, under a lock of anyio. That is: the first
        counter stands at two.

    VALIDATED_BUG: RowBeforeTheAnyioLock: digest holds anyio.Lock `Shop.mailbox` and waits for row (0,1) of counter,
        held by order; order holds row (0,1) of counter and waits for anyio.Lock `Shop.mailbox`, taken by digest;
        digest waits for order, who waits for digest.
        Root cause: the order holds the row while it waits for the mailbox, whose holder waits for the row.
        Fix: commit before the message is sent, or take the lock first.
        Replay: lab1:scenarios.stalls:RowBeforeTheAnyioLock::-:digest.order2.digest:isi2a:stall.ters:egsejg
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(ThreadWaitsWithoutALock()), schedule=schedules())
@example(scenario=ThreadWaitsWithoutALock(), schedule=None)
async def test_thread_and_loop(lab, scenario, schedule):
    """A thread does not wait for the event loop with locks held.

    INVARIANT: An export runs in a thread, which comes back to the event loop to count what it wrote. That is: the
        first counter stands at two.

    VALIDATED_BUG: ThreadWaitsUnderALock: exporter holds asyncio.Lock `Shop.stock` and waits for its thread, which
        waits for a task: exporter/1; sale holds row (0,1) of counter and waits for asyncio.Lock `Shop.stock`, taken
        by exporter; exporter/1 waits for row (0,1) of counter, held by sale; exporter waits for exporter/1, who
        waits for sale, who waits for exporter.
        Root cause: the thread waits for a task of the event loop, the task for a row, and its holder for the
            exporter's lock.
        Fix: hold no lock while a thread works that comes back to the event loop.
        Replay: lab1:scenarios.stalls:ThreadWaitsUnderALock::-:exporter.sale2.exporter/1-1:chhcf:stall.ters:urru5s
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(OneConnectionARequest()), schedule=schedules())
@example(scenario=OneConnectionARequest(), schedule=None)
async def test_one_connection_a_request(lab, scenario, schedule):
    """A request takes one connection of its pool.

    INVARIANT: Two requests book and write their audit entry, with a pool of two connections. That is: there are two
        audit entries.

    VALIDATED_BUG: TwoConnectionsARequest: first holds a connection of AsyncAdaptedQueuePool of shop and waits for a
        connection of AsyncAdaptedQueuePool of shop, whose connections are all taken (2), taken by first and by
        second; second holds a connection of AsyncAdaptedQueuePool of shop and waits for a connection of
        AsyncAdaptedQueuePool of shop, whose connections are all taken (2), taken by first and by second; first
        waits for second, who waits for first.
        Root cause: each request holds a connection of the pool and waits for a second one, which only the other can
            give back.
        Fix: do all work of a request in one session, or take the second connection when the first one is given
            back.
        Replay: lab1:scenarios.starved:TwoConnectionsARequest::-:first.second2.first:yqvdj:stall.ters:ssijj5
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(ClearsBeforeItLooks()), schedule=schedules())
@example(scenario=ClearsBeforeItLooks(), schedule=None)
async def test_event_is_set(lab, scenario, schedule):
    """Whoever waits for news is told.

    INVARIANT: A cook waits for the order of a guest: it looks into the table, and else waits until it is told. That
        is: one meal is cooked.

    VALIDATED_BUG: LooksBeforeItClears: cook waits for asyncio.Event `Desk.ordered`, which is not set, and nobody is
        left who could set it, all others have ended.
        Root cause: the guest sets the event after the cook has looked and before the cook clears it.
        Fix: clear the event before looking, so that whatever is set after the look is still there to wake up by.
        Replay: lab1:scenarios.starved:LooksBeforeItClears::-:cook2.guest3.cook:hbtfs:stall.ters:vrqe35
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(LooksAgainBeforeItLeaves()), schedule=schedules())
@example(scenario=LooksAgainBeforeItLeaves(), schedule=None)
async def test_queue_is_read(lab, scenario, schedule):
    """A queue is read for as long as somebody puts.

    INVARIANT: Three requests put a letter each into a queue for one; whoever finds nobody sending sends what is
        there. That is: three letters are sent.

    VALIDATED_BUG: LeavesWhatCameMeanwhile: third waits for asyncio.Queue `Desk.letters`, which is full (1 of 1),
        and nobody is left who could take anything out of it, all others have ended.
        Root cause: a letter that came while the sender counted stays in the queue, which is full then, and nobody
            sends.
        Fix: look into the queue again when the last letter is counted, and leave only if it is empty.
        Replay: lab1:scenarios.starved:LeavesWhatCameMeanwhile::-:first2.second.third.first:idono:stall.ters:nqc6c5
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.just(ChildrenBeforeTheRow()), schedule=schedules())
@example(scenario=ChildrenBeforeTheRow(), schedule=None)
async def test_children_before_the_row(lab, scenario, schedule):
    """Nobody waits for a task with rows locked that the task may need.

    INVARIANT: A report lets a child task count, and a sale counts on the same two rows. That is: both rows stand at
        two.

    VALIDATED_BUG: RowHeldWhileAChildWorks: report holds row (0,1) of counter and waits for the tasks of its
        asyncio.TaskGroup, which has not ended: report/1; sale holds row (0,2) of counter and waits for row (0,1) of
        counter, held by report; report/1 waits for row (0,2) of counter, held by sale; report waits for report/1,
        who waits for sale, who waits for report.
        Root cause: the report holds a row until its child has ended, which waits for the sale, which waits for that
            row.
        Fix: end the tasks before rows are locked, or let them work in the transaction that has locked the rows.
        Replay: lab1:scenarios.starved:RowHeldWhileAChildWorks::-:report2.sale3.report/1-1:5be2s:stall.ters:5zmnnc
    """
    await lab.check(scenario, schedule)
