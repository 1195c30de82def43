"""The cause of a stall, and of what breaks where a fault strikes; on the real server.

Planted bugs of the catalogue by their tokens, and their right variants under the same faults, in which no rule may see
anything.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.failures import PLANTED
from stuck_programs import STUCK

from lab.checkers.causes import cause_of
from lab.errors import SearchOver
from lab.explore import Conditions
from lab.model.outcome import Ending
from lab.model.record import Finding
from lab.model.replay_token import decode, scenario_of
from lab.report.failure import SECTIONS
from lab.report.section import Message, laid_out
from lab.scenario.declare import planted_bug_of
from lab.schedulers import make_scheduler
from lab.shrink.replays import replay_times

SECTION = Path(__file__).with_name("sections")
PLACE = re.compile(r"\s*\b\w+\.py:\d+")
FEW, MANY = 10, 25
"""Executions of a right variant; each has a fault where one can strike."""

NAMED = {
    "LocksInOppositeOrder": "process locks in opposite order",
    "RowBeforeTheProcessLock": "row held while waiting in the process",
    "RowBeforeTheAnyioLock": "row held while waiting in the process",
    "ThreadWaitsUnderALock": "task awaited with locks held",
    "TwoConnectionsARequest": "second connection of a full pool",
    "LooksBeforeItClears": "nobody left to wake it",
    "LeavesWhatCameMeanwhile": "nobody left to wake it",
    "RowHeldWhileAChildWorks": "task awaited with locks held",
    "KeyMadeAnew": "commit in doubt",
    "StatementRetried": "only the last statement was retried",
    "StatementRetriedAfterKill": "only the last statement was retried",
    "LegSkipped": "error taken for an answer",
    "TimeoutTakenForNothing": "error taken for an answer",
    "AnyErrorIsADuplicate": "error taken for an answer",
    "OneLegPerCommit": "cut off between two commits",
    "OneLegPerCommitInCrashes": "cut off between two commits",
    "OnlyErrorsOfTheDriver": "cut off between two commits",
    "ConnectionForEachTransaction": "cut off between two commits",
    "ReleasedInACancelledScope": "cut off between two commits",
    "CommitInFinally": "committed what was cut off",
    "CommitNotAwaited": "acknowledged before it was durable",
    "AcknowledgedTooEarly": "acknowledged before it was durable",
    "GuardedElsewhere": "guard lost before the work was done",
    "Unfenced": "guard lost before the work was done",
    "MailForEachAttempt": "committed outside of what is retried",
    "NotAgainAfterADeadlock": "refusal not retried",
}
"""Planted bug -> its cause."""
PINNED = {cause: name for name, cause in reversed(NAMED.items()) if cause != "only the last statement was retried"}


async def replayed(explorer, name: str):
    cls = PLANTED[name]
    token = decode(planted_bug_of(cls).token)
    conditions = Conditions(token.isolation or None)
    replays = await replay_times(explorer, scenario_of(token, cls), token.schedule, conditions, times=1)
    assert replays.record is not None, replays.divergence
    return replays.record


@pytest.mark.parametrize("name", NAMED)
async def test_a_stall_and_what_a_fault_leads_to_have_their_cause_and_each_step_of_it(plain, name):
    cause = cause_of(await replayed(plain, name))
    assert cause is not None
    assert cause.name == NAMED[name], cause.text
    assert all(f"#{step}" in cause.text for step in cause.steps), cause
    assert cause.steps
    assert cause.fix


@pytest.mark.parametrize("cause", PINNED)
async def test_the_story_and_the_cause_read_as_pinned(plain, cause):
    """As the page of the cause shows it; LAB_WRITE_SNAPSHOTS=1 writes it anew."""
    record = await replayed(plain, PINNED[cause])
    text = PLACE.sub("", laid_out([SECTIONS["story"], SECTIONS["cause"]], Message(record))) + "\n"
    text = "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip() or not line)
    file = SECTION / f"{cause.replace(' ', '_')}.txt"
    if os.environ.get("LAB_WRITE_SNAPSHOTS"):
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("name", STUCK)
async def test_a_lock_of_the_process_that_one_actor_alone_has_is_explained(plain, name):
    program, expected = STUCK[name]
    record = await plain.run(program, make_scheduler("serial", 0), Conditions(), recorded=True, origins=True)
    assert record.outcome.ending is Ending.STALLED
    cause = cause_of(record)
    assert cause is not None
    assert cause.name == expected, cause.text
    assert all(f"#{step}" in cause.text for step in cause.steps), cause


RIGHT = sorted({planted_bug_of(PLANTED[name]).of.__name__ for name in NAMED})


@pytest.mark.parametrize("executions", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", RIGHT)
async def test_no_rule_sees_anything_in_what_is_right_under_the_same_faults(plain, name, executions):
    """Each execution is judged as if something else in it had failed. State in the process is told by that alone."""
    scenario, scheduler = PLANTED[name](), make_scheduler("portfolio", 1)
    for number in range(executions):
        with contextlib.suppress(SearchOver):
            record = await plain.run(scenario, scheduler, execution=number, recorded=True, origins=True)
            assert not record.failed, record.findings
            broken = replace(record, findings=(Finding("invariant", "something else", "it does not hold"),))
            cause = cause_of(broken)
            assert cause is None or cause.name == "state in the process", f"{cause.name}: {cause.text}"
