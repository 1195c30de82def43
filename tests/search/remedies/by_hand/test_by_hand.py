"""What the lab says of a remedy that it put there itself is true of the same change written into the code by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from lab.model.remedy import NO_TIME, NOT_RUN, UNLESS_STARVED, Tried
from lab.model.verdict import Verdict
from lab.search.job import Job
from lab.search.remedies.curable import curable
from lab.search.remedies.trials import try_remedies
from lab.search.workers import perform

FOR_UPDATE = "SELECT … FOR UPDATE on {}"
FOLDED = "rows of {} locked FOR UPDATE before they are read"
ORDER = "rows of {} locked first, by key"
PARENT = "parent row in {} locked FOR UPDATE first"
RETRY = "a retry loop alone"
REPEATABLE, SERIALIZABLE = "REPEATABLE READ with a retry loop", "SERIALIZABLE with a retry loop"
UNIQUE_KEY, ADVISORY = "a unique key or an exclusion constraint on {}", "pg_advisory_xact_lock before looking at {}"
ATOMIC = "an atomic UPDATE … SET x = x + … (checks in its WHERE) on {}"
IN_ONE = "check and write of {} in one transaction"
ENDS_FIRST = "helpers.not_yet_mended:LockEndsFirst"

SAMPLES = 20
"""Executions in which each of the failures is frequent enough for a verdict."""
FEW, MANY = 15, 500


@dataclass(frozen=True)
class Word:
    """What the lab says of a remedy against `wrong`, and the code with that change."""

    wrong: str
    remedy: str
    said: str
    by_hand: str

    @property
    def passes(self) -> bool:
        """Whether the change is to cure it; advice that was not run is to cure it, too."""
        return self.said != Verdict.FAIL


HELPS, NOT = Verdict.PASS, Verdict.FAIL
TRANSFER, BOOKED = "scenarios.transfer:LostUpdate", "scenarios.booking:BookedWithoutLock"
NAME, LOGIN = "scenarios.constraints:NameCheckedByTheApplication", "scenarios.constraints:GetThenCreate"
ADMINS = "scenarios.last_admin:CountsAdminsWithoutLock"
COUPON = "scenarios.coupon:CountsThenRedeems"
SNAPSHOT = "scenarios.booking:LooksByAnOlderSnapshot"
CORE = "scenarios.deadlock:CoreUpdatesInOppositeOrder"
KEYS = "scenarios.deadlock:AdvisoryLocksInOppositeOrder"
SHARED = "scenarios.deadlock:ShareToExclusive"
SKEW, READS = "scenarios.isolation:WriteSkewAnomaly", "scenarios.isolation:ReadSkewAnomaly"
LIMIT = "scenarios.credit:LimitCheckedInPython"

WORDS = (
    Word(TRANSFER, FOR_UPDATE.format("account"), HELPS, "mended_rows:TransferForUpdate"),
    Word(TRANSFER, ORDER.format("account"), HELPS, "mended_rows:TransferLockedFirst"),
    Word(TRANSFER, REPEATABLE, HELPS, "mended_rows:TransferAtRepeatableRead"),
    Word(TRANSFER, RETRY, NOT, "mended_rows:TransferRetried"),
    Word(TRANSFER, ATOMIC.format("account"), NOT_RUN, "mended_rows:TransferInAtomicUpdates"),
    Word(TRANSFER, "a version check on account (version_id_col)", NOT_RUN, "mended_rows:TransferWithVersions"),
    Word(LIMIT, ATOMIC.format("credit_line"), NOT_RUN, "mended_rows:LimitInAtomicUpdate"),
    Word(BOOKED, PARENT.format("room"), HELPS, "mended_rows:RoomLockedFirst"),
    Word(BOOKED, FOR_UPDATE.format("booking"), NOT, "mended_rows:OverlapForUpdate"),
    Word(SNAPSHOT, PARENT.format("room"), NOT, "mended_rows:RoomLockedFirstInASnapshot"),
    Word(COUPON, PARENT.format("coupon"), HELPS, "mended_rows:CouponLockedFirst"),
    Word(COUPON, FOLDED.format("redemption"), NOT, "mended_rows:RedemptionsForUpdate"),
    Word(ADMINS, SERIALIZABLE, HELPS, "mended_rows:AdminsAtSerializable"),
    Word(ADMINS, REPEATABLE, NOT, "mended_rows:AdminsAtRepeatableRead"),
    Word(SKEW, FOLDED.format("account"), HELPS, "mended_rows:SumLockedBeforeIt"),
    Word(READS, REPEATABLE, HELPS, "mended_rows:ReadAtRepeatableRead"),
    Word(READS, "all reads of reader in one statement", NOT_RUN, "mended_rows:ReadInOneStatement"),
    Word(
        "scenarios.cascade:OrmOnlyCascade",
        FOR_UPDATE.format("legacy_agent and legacy_execution"),
        HELPS,
        "mended_rows:AgentForUpdate",
    ),
    Word(
        "scenarios.transfer:TwoTransactions",
        "one transaction for all writes of alice and bob",
        NOT_RUN,
        "mended_rows:TransferInOneTransaction",
    ),
    Word(
        "helpers.not_yet_mended:CheckedApart",
        f"{IN_ONE.format('ann and ben')}, the rows locked FOR UPDATE before they are checked",
        NOT_RUN,
        "mended_rows:CheckedTogether",
    ),
    Word(
        "helpers.not_yet_mended:LockEndsFirst", IN_ONE.format("ann and ben"), NOT_RUN, "mended_rows:LockHeldUntilTheEnd"
    ),
    Word(
        "helpers.not_yet_mended:ReadInText",
        "FOR UPDATE in SELECTs that the lab cannot change (text, a view)",
        NOT_RUN,
        "mended_rows:LockedInText",
    ),
    Word(
        "helpers.not_yet_mended:SumInText",
        "FOR UPDATE on the rows that SELECTs add up which the lab cannot change, before them",
        NOT_RUN,
        "mended_rows:SumLockedInText",
    ),
    Word(LOGIN, "a retry loop that also catches 23505", HELPS, "mended_inserts:LoginAgain"),
    Word(LOGIN, RETRY, NOT, "mended_inserts:LoginAgainAfterRefusals"),
    Word(LOGIN, "INSERT … ON CONFLICT on member", NOT_RUN, "mended_inserts:LoginOnConflict"),
    Word(
        LOGIN,
        "a savepoint around the INSERT on member, and the row read again",
        NOT_RUN,
        "mended_inserts:LoginInASavepoint",
    ),
    Word(NAME, REPEATABLE, NOT, "mended_inserts:NameAtRepeatableRead"),
    Word(NAME, UNIQUE_KEY.format("loose_member"), NOT_RUN, "mended_inserts:NameWithAUniqueKey"),
    Word(NAME, ADVISORY.format("loose_member"), NOT_RUN, "mended_inserts:NameUnderAnAdvisoryLock"),
    Word(
        "helpers.not_yet_mended:UnlockedTooEarly",
        "pg_advisory_xact_lock, which is held until the commit",
        NOT_RUN,
        "mended_inserts:UnlockedByTheCommit",
    ),
    Word(
        "helpers.not_yet_mended:PickedTwice",
        "FOR UPDATE SKIP LOCKED in the subquery with LIMIT",
        NOT_RUN,
        "mended_inserts:PickedOnce",
    ),
    Word(
        "scenarios.job_queue:TakesJobsWithoutLock",
        "FOR UPDATE SKIP LOCKED in the SELECT with LIMIT on job",
        NOT_RUN,
        "scenarios.job_queue:JobQueue",
    ),
    Word(
        "scenarios.optimistic:NoVersionCheck",
        "a version check on note, by the version that was read first",
        NOT_RUN,
        "scenarios.optimistic:DocumentEdits",
    ),
    Word(
        "helpers.not_yet_mended:ChildThenParent",
        "FOR NO KEY UPDATE instead of FOR UPDATE on parent (key_share=True)",
        NOT_RUN,
        "mended_inserts:WeakerLockOnTheParent",
    ),
    Word(KEYS, "advisory locks taken in the order of their keys", NOT_RUN, "mended_inserts:AdvisoryInOrder"),
    Word(KEYS, RETRY, HELPS, "mended_inserts:AdvisoryAgain"),
    Word(CORE, RETRY, UNLESS_STARVED, "mended_inserts:CoreAgain"),
    Word(CORE, "SERIALIZABLE without a retry loop", NOT, "mended_inserts:CoreAtSerializable"),
    Word(
        "scenarios.deadlock:OrmUpdatesInOppositeOrder",
        ORDER.format("counter"),
        HELPS,
        "mended_inserts:OrmRowsLockedFirst",
    ),
    Word(SHARED, "rows of counter locked first", HELPS, "mended_inserts:ExclusiveFromTheStart"),
    Word(SHARED, RETRY, UNLESS_STARVED, "mended_inserts:SharedAgain"),
)


LONG_GRIDS = {TRANSFER, COUPON, CORE, KEYS, SHARED, "scenarios.deadlock:OrmUpdatesInOppositeOrder"}
LONG_GRIDS |= {SKEW, BOOKED, ADMINS, READS, "scenarios.cascade:OrmOnlyCascade"}
"""Against these it takes seconds to try all remedies; others show the same in every run."""
LONG_HUNTS = {"JobQueue", "DocumentEdits", "TransferInOneTransaction"}
LONG_BY_HAND = {"CouponLockedFirst", "AgentForUpdate", "TransferInOneTransaction", "JobQueue", "DocumentEdits"}
LONG_BY_HAND |= {"CoreAgain", "SharedAgain", "AdvisoryAgain", "ExclusiveFromTheStart", "OrmRowsLockedFirst"}


def is_long(word: Word) -> bool:
    """Whether it takes long to find out what the lab says."""
    return word.wrong in LONG_GRIDS if word.said != NOT_RUN else word.by_hand.partition(":")[2] in LONG_HUNTS


def words(*, long: Callable[[Word], bool]) -> list[object]:
    """All words; those that take long are looked at where there is time."""
    return [pytest.param(each, marks=[pytest.mark.long] if long(each) else [], id=each.by_hand) for each in WORDS]


_said: dict[tuple[str, bool], dict[str, Tried]] = {}
"""What is said against each wrong program; a function of the program. With advice only, nothing was run."""


async def said(explorer, wrong: str, *, advice: bool) -> dict[str, Tried]:
    if (wrong, False) in _said:
        return _said[wrong, False]
    if (wrong, advice) not in _said:
        job = Job(wrong, executions=SAMPLES)
        failure = curable(job, (await perform(explorer, job)).result)
        assert failure is not None
        seconds = 0 if advice else 600
        remedies = await try_remedies(explorer, job, failure, lambda *_: None, seconds=seconds)
        assert not remedies.trouble
        _said[wrong, advice] = {each.name: each for each in remedies.tried}
    return _said[wrong, advice]


@pytest.mark.parametrize("word", words(long=is_long))
async def test_the_lab_says_so(explorer, word):
    """Its own trial of the remedy, or that it cannot make one; never that the time was over."""
    tried = await said(explorer, word.wrong, advice=word.said == NOT_RUN)
    assert word.remedy in tried, sorted(tried)
    assert tried[word.remedy].verdict == word.said != NO_TIME


@pytest.mark.parametrize("word", words(long=lambda word: word.by_hand.partition(":")[2] in LONG_BY_HAND))
async def test_it_is_true_of_the_change_by_hand(explorer, word):
    """What helps lets nothing break, and what does not help lets the same break."""
    await holds(explorer, word, FEW)


@pytest.mark.parametrize("word", words(long=lambda _: True))
async def test_it_is_true_in_many_executions(explorer, word):
    """The same with enough executions for what is rare."""
    await holds(explorer, word, MANY)


async def holds(explorer, word: Word, executions: int) -> None:
    result = (await perform(explorer, Job(word.by_hand, executions=executions, refine=False))).result
    assert result.verdict == (Verdict.PASS if word.passes else Verdict.FAIL), result.reason
    assert not word.passes or result.exhausted or result.executions == executions


@pytest.mark.parametrize(
    "by_hand",
    [
        pytest.param("mended_inserts:CoreNeverStarves", marks=pytest.mark.long),
        "mended_inserts:NameUnderAnAdvisoryLockInASnapshot",
        "mended_rows:CheckedTogetherWithoutLock",
        "mended_rows:LimitInAtomicUpdateUnchecked",
    ],
)
async def test_what_is_not_offered_would_not_help(explorer, by_hand):
    """Why words say "unless starved", name a lock or a check, and why no advisory lock is offered in a snapshot."""
    result = (await perform(explorer, Job(by_hand, executions=FEW, refine=False))).result
    assert result.verdict == Verdict.FAIL


def test_each_kind_of_word_is_there():
    """At least fifteen verdicts over ten programs, of which eight help and five do not."""
    run = [each for each in WORDS if each.said != NOT_RUN]
    assert len(run) >= 15
    assert len({each.wrong for each in run}) >= 10
    assert sum(each.passes for each in run) >= 8
    assert sum(not each.passes for each in run) >= 5
