"""What each planted bug's failure is called: the isolation anomaly behind it, or none, and then why not."""

from __future__ import annotations

import pytest

from lab.checkers.isolation.explanation import explain
from lab.checkers.isolation.graph import EdgeKind
from lab.checkers.isolation.judge import judge
from lab.model.history import PredicateRead, Read, Write
from lab.model.replay_token import decode, scenario_of
from lab.scenario.declare import planted_bug_of
from lab.scenario.registry import discover
from lab.schedulers.replay import Replay

PLANTED = {cls.__name__: cls for cls in discover() if planted_bug_of(cls)}

NAMED = {
    "BlindUpdateAfterTheComparison": "P4",
    "BookedWithoutLock": "G2",
    "CountedBeforeItIsKept": "G2",  # the import that lost looked for articles before the other one was there
    "CountsAdminsWithoutLock": "G2-item",
    "CountsThenRedeems": "G2",
    "GuardLiftedBeforeTheCommit": "G2",
    "GuardedElsewhere": "P4",
    "InterestOnAStaleBalance": "P4",
    "KeySelectedThenInserted": "G2",
    "LimitCheckedInPython": "P4",
    "LockReleasedBeforeTheCommit": "P4",
    "LocksOnlyTheAdminToRemove": "G2-item",
    "LocksTheLatestEntry": "G2",
    "LocksTheOverlapThatIsNotThere": "G2",
    "LocksTheWrongRow": "P4",
    "LooksByAnOlderSnapshot": "G2",
    "LostUpdate": "P4",
    "NameCheckedByTheApplication": "G2",
    "NoVersionCheck": "P4",
    "OrmOnlyCascade": "G2",
    "OversoldThenRefilled": "P4",
    "ParentCheckedByTheApplication": "G2",
    "ReadsBeforeItLocks": "P4",
    "ReportAtReadCommitted": "G-single",
    "StaleInstanceFromTheIdentityMap": "P4",
    "StatusCheckedInPython": "P4",
    "TakesJobsWithoutLock": "P4",
    "Unfenced": "P4",
    "WithdrawalCheckedByTheApplication": "P4",
}

UNNAMED = {
    "ConnectionForEachTransaction": "two transactions where one was needed; each of them is serializable",
    "ReleasedInACancelledScope": "two transactions, the second of which is cancelled; each is serializable",
    "OnlyErrorsOfTheDriver": "two transactions, the second of which a full pool prevents; each is serializable",
    "AnyErrorIsADuplicate": "half a request was committed after a refusal that it took for another: atomicity",
    "MailForEachAttempt": "two transactions where one was needed, of which a retry repeats one",
    "TimeoutTakenForNothing": "what was not read was taken for nothing: each transaction saw one moment",
    "AcknowledgedTooEarly": "a commit that was told and is lost: durability",
    "AdvisoryLocksInOppositeOrder": "a deadlock: the victim's transaction aborts, the others are serializable",
    "BacksOffWithLocksHeld": "two that keep each other from going on: nobody reads what another replaced",
    "CacheFilledBeforeTheCommit": "the dirty value went through the process, not through the database",
    **dict.fromkeys(
        ("ClosedAfterSuccess", "ConfirmedBySessionOfTheRequest", "ReleasedAfterBilling"),
        "what is wrong is what is left when all have ended; what was committed is serializable",
    ),
    "CommitInFinally": "half a request was committed: atomicity",
    "CommitNotAwaited": "a commit that was told before it was: durability",
    "CoreUpdatesInOppositeOrder": "a deadlock",
    "CreditKeptAfterRefusal": "half a request was committed: atomicity",
    "CursorOverIds": "numbers are drawn in another order than they are committed; each transaction saw one moment",
    "DebitCommittedFirst": "two transactions where one was needed; each of them is serializable",
    "ForeignKeyWithoutCascade": "the foreign key refuses what the ORM left over",
    "GetThenCreate": "the unique key refuses the second insert, and that error is the bug",
    **dict.fromkeys(
        (
            *("LocksInOppositeOrder", "RowBeforeTheProcessLock", "RowBeforeTheAnyioLock", "ThreadWaitsUnderALock"),
            *("TwoConnectionsARequest", "LooksBeforeItClears", "LeavesWhatCameMeanwhile", "RowHeldWhileAChildWorks"),
        ),
        "a stall: nothing more is committed",
    ),
    "KeyMadeAnew": "a commit that was done and not told, and is done again: a fault",
    "LegSkipped": "half a request was committed after a lock that it did not get: atomicity",
    "LockEndsBeforeTheWork": "two transactions where one was needed; each of them is serializable",
    "LockEndsBeforeTheWrite": "two transactions where one was needed",
    "MarkedDoneBeforeTheWork": "two transactions where one was needed",
    "NoCascade": "no race: rows are left over in a serial run too",
    "NotAgainAfterADeadlock": "the refused transaction aborts, and nobody does it again",
    "OffDutyBeforeOn": "two transactions where one was needed; each of them is serializable",
    "OneLegPerCommit": "two transactions where one was needed",
    "OneLegPerCommitInCrashes": "two transactions where one was needed",
    "OnlyOlderVersionsConflict": "the version check compares with the wrong value; what it writes it has read",
    "OrmUpdatesInOppositeOrder": "a deadlock",
    "OwnerMayBeNull": "the subquery of the UPDATE is not understood, which the history says",
    "PriceJobsInOppositeOrder": "a deadlock",
    "PriceListsInOrderOfTheFile": "a deadlock",
    "RetryOfTheLastStatement": "a retry that repeats half of a transaction",
    "ShareToExclusive": "a deadlock",
    "StatementRetried": "half a request was committed after a lost connection: atomicity",
    "StatementRetriedAfterKill": "half a request was committed after a lost connection: atomicity",
    "StatusIsAnyText": "no race: a wrong value is stored in a serial run too",
    "SwallowedDeadlock": "a deadlock whose victim reports success",
    "TriedAgainWithStaleObjects": "two transactions where one was needed; each of them is serializable",
    "TwoTransactions": "two transactions where one was needed",
}


def test_every_planted_bug_is_named_or_says_why_it_is_none():
    assert {*NAMED, *UNNAMED} == set(PLANTED)
    assert not {*NAMED} & {*UNNAMED}


async def replayed(plain, name: str):
    cls = PLANTED[name]
    token = decode(planted_bug_of(cls).token)
    replay = Replay(token.schedule)
    record = await plain.run(scenario_of(token, cls), replay, isolation=token.isolation or None, recorded=True)
    assert record.failed
    return record


@pytest.mark.parametrize("name", NAMED)
async def test_an_isolation_anomaly_is_reported_by_its_name_with_a_correct_cycle(plain, name):
    """Each edge of it is held against the history and against the trace."""
    record = await replayed(plain, name)
    assert record.anomalies[0] == NAMED[name]
    assert record.unseen == ()
    anomaly = judge(record.history).anomalies[0]
    assert not anomaly.promised
    told = explain(anomaly, record.history)
    assert len(told.links) == len(anomaly.cycle) >= 2
    for edge, following in zip(anomaly.cycle, (*anomaly.cycle[1:], anomaly.cycle[0]), strict=True):
        assert edge.target == following.source
        holds(edge, record)


@pytest.mark.parametrize("name", UNNAMED)
async def test_what_is_no_isolation_anomaly_is_called_none(plain, name):
    record = await replayed(plain, name)
    assert record.anomalies == (), UNNAMED[name]
    assert bool(record.unseen) == (name in {"OwnerMayBeNull", "KeyMadeAnew"})


def holds(edge, record) -> None:
    """An edge as Adya defines it: two committed transactions did this to this item, in the steps that are named."""
    transactions = {each.id: each for each in record.history.transactions}
    source, target = transactions[edge.source], transactions[edge.target]
    assert source.committed
    assert target.committed
    before, after = (
        [operation for operation in each.operations if operation.step == step]
        for each, step in ((source, edge.source_step), (target, edge.target_step))
    )
    for transaction, step in ((source, edge.source_step), (target, edge.target_step)):
        assert record.trace.steps[step - 1].actor == transaction.actor
    writes = {EdgeKind.WW: (before, after), EdgeKind.WR: (before,), EdgeKind.RW: (after,)}[edge.kind]
    for operations in writes:
        assert any(isinstance(each, Write) and each.item == edge.item for each in operations)
    order = record.history.orders.get(edge.item, ((),))[0]
    if edge.kind is EdgeKind.WW:
        writers = [version.writer for version in order]
        assert writers.index(edge.target) == writers.index(edge.source) + 1
    reads = {EdgeKind.WR: after, EdgeKind.RW: before}.get(edge.kind, ())
    if edge.predicate:
        assert any(isinstance(each, PredicateRead) and each.predicate == edge.predicate for each in reads)
    elif reads:
        (seen,) = {each.version for each in reads if isinstance(each, Read) and each.item == edge.item}
        if edge.kind is EdgeKind.WR:
            assert seen.writer == edge.source
        elif len(order) > 1:
            at = next(number for number, version in enumerate(order) if version.writer == edge.target)
            assert seen == (order[at - 1] if at else ("", 0))
        else:
            assert seen.writer == ""
