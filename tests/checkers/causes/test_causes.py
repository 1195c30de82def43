"""The cause that a report names, for programs that are wrong in a known way and for others; on the real server."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FunctionType

import programs
import pytest
import wrong_programs
from helpers.kit import Order
from other_programs import RIGHT, UNRELATED
from programs import Child, Parent, anything, scenario
from sqlalchemy import delete, insert, select
from test_causes_beside_the_database import NAMED
from wrong_programs import WRONG

from lab.checkers.causes import cause_of
from lab.errors import SearchOver
from lab.explore import Conditions
from lab.model.origin import Origin
from lab.model.record import ExecutionRecord, Failure, Finding
from lab.model.replay_token import decode, scenario_of
from lab.model.trace import ActionKind
from lab.report.data import story_data
from lab.report.failure import SECTIONS
from lab.report.section import Message, laid_out
from lab.report.story import story_of
from lab.scenario.declare import Scenario, kind_of, planted_bug_of, target_of
from lab.scenario.registry import discover
from lab.schedulers import make_scheduler
from lab.search.result import reported
from lab.shrink.minimise import minimise
from lab.shrink.replays import replay_times

ENOUGH = 300
"""Executions in which each of these programs fails many times."""
MANY = 12
"""Executions of a program that does right."""
FEW = 60
"""Executions that its minimisation may spend; most need less."""

Line = tuple[str, int]
"""The name of a file, and a line in it."""
MARK = re.compile(r"# steps? ([\d, ]+)$")
SENDS = {
    (Path(file).name, number)
    for file in (programs.__file__, wrong_programs.__file__)
    for number, line in enumerate(Path(file).read_text().splitlines(), 1)
    if line.endswith("  # sends")
}
"""Lines of what several programs call."""

SECTION = Path(__file__).with_name("sections")
FIRST = {cause: name for name, (_, cause) in reversed(WRONG.items())}
"""For each cause a program whose story is pinned, with the cause that the report names."""
PLACE = re.compile(r"\s*\b\w*programs\.py:\d+")

PLANTED = {
    "booking:BookedWithoutLock": "check-then-insert",
    "booking:LooksByAnOlderSnapshot": "snapshot older than the lock",
    "booking:LocksTheOverlapThatIsNotThere": "check-then-insert",
    "cascade:OrmOnlyCascade": "write skew by a predicate",
    "cascade:ForeignKeyWithoutCascade": "check-then-delete of a parent",
    "constraints:ParentCheckedByTheApplication": "write skew by a predicate",
    "constraints:NameCheckedByTheApplication": "check-then-insert",
    "constraints:GetThenCreate": "check-then-insert",
    "constraints:WithdrawalCheckedByTheApplication": "check-then-update",
    "coupon:CountsThenRedeems": "write skew by a predicate",
    "credit:LimitCheckedInPython": "read-modify-write",
    "deadlock:RetryOfTheLastStatement": "only the last statement was retried",
    "deadlock:SwallowedDeadlock": "refusal swallowed",
    "deadlock:CoreUpdatesInOppositeOrder": "lock order",
    "deadlock:OrmUpdatesInOppositeOrder": "lock order",
    "deadlock:AdvisoryLocksInOppositeOrder": "lock order",
    "deadlock:ShareToExclusive": "upgrade from share to exclusive",
    "deadlock:PriceJobsInOppositeOrder": "lock order",
    "deadlock:PriceListsInOrderOfTheFile": "lock order",
    "double_click:GuardLiftedBeforeTheCommit": "check-then-insert",
    "idempotency:KeySelectedThenInserted": "check-then-insert",
    "in_between:OversoldThenRefilled": "check-then-update",
    "interest:InterestOnAStaleBalance": "read-modify-write",
    "isolation:ReportAtReadCommitted": "read at two moments",
    "job_queue:TakesJobsWithoutLock": "check-then-update",
    "job_queue:LockEndsBeforeTheWork": "two transactions where one is meant",
    "last_admin:CountsAdminsWithoutLock": "write skew",
    "last_admin:LocksOnlyTheAdminToRemove": "write skew",
    "ledger:LocksTheLatestEntry": "row re-checked after a wait",
    "optimistic:NoVersionCheck": "read-modify-write",
    "optimistic:BlindUpdateAfterTheComparison": "read-modify-write",
    "outbox:CursorOverIds": "cursor over ids",
    "pessimistic:LocksTheWrongRow": "read-modify-write",
    "pessimistic:ReadsBeforeItLocks": "stale object after a lock",
    "pessimistic:LockEndsBeforeTheWrite": "two transactions where one is meant",
    "pessimistic:StaleInstanceFromTheIdentityMap": "stale object after a lock",
    "process_lock:LockReleasedBeforeTheCommit": "read-modify-write",
    "status:StatusCheckedInPython": "read-modify-write",
    "transfer:LostUpdate": "read-modify-write",
    "transfer:TwoTransactions": "two transactions where one is meant",
}
"""Of the catalogue's planted bugs. Those that are not here are serial bugs, stalls and what comes of a fault (`NAMED`),
or no rule knows them."""


async def smallest_failure(explorer, program: Scenario) -> ExecutionRecord:
    """A failure of a scenario as a hunt reports it: minimised, and with its history."""
    scheduler = make_scheduler("portfolio", 1)
    for number in range(ENOUGH):
        record = await explorer.run(program, scheduler, execution=number)
        if record.failed:
            small = await minimise(record, partial(explorer.run, program), budget=FEW)
            replays = await replay_times(explorer, program, small.record.schedule, Conditions(), times=1)
            assert replays.record is not None, replays.divergence
            return replays.record
    raise AssertionError(f"{type(program).__name__} did not fail in {ENOUGH} executions")


@pytest.mark.parametrize("name", WRONG)
async def test_the_cause_of_a_wrong_program_is_named(plain, name):
    """One of each kind in ORM, Core and text SQL, found by a search and minimised as in a hunt.

    Each step that the cause names is shown with its line of code: that which a comment of the program marks for it.
    """
    program, expected = WRONG[name]
    record = await smallest_failure(plain, program)
    cause = cause_of(record)
    assert cause is not None, record.trace
    assert cause.name == expected, cause.text
    assert set(cause.steps) <= {step.number for step in record.trace}
    assert all(f"#{step}" in cause.text for step in cause.steps), cause
    work = getattr(wrong_programs, name)
    for place, step in enumerate(cause.steps, 1):
        assert sent_by(record.origin(step), work) == marked(work, place), step
    assert_lines_are_shown(record, cause.steps)
    if FIRST[expected] == name:
        compare(expected, laid_out([SECTIONS["story"], SECTIONS["cause"]], Message(record)))


def marked(work: FunctionType, place: int) -> Line:
    """The line of a program whose comment says that the step with this place in its cause comes from there."""
    lines, first = inspect.getsourcelines(work)
    found = [n for n, line in enumerate(lines, first) if (at := MARK.search(line)) and str(place) in at[1].split(", ")]
    assert len(found) == 1, f"{work.__name__} marks {len(found)} lines for step {place}"
    return Path(work.__code__.co_filename).name, found[0]


def sent_by(origin: Origin | None, work: FunctionType) -> Line:
    """The line of a program, where it sent a step itself, or called what has a line that is marked for that."""
    assert origin is not None
    *_, own = (each for each in origin.path if each.function == work.__qualname__)
    assert (Path(origin.file).name, origin.line) in {(Path(own.file).name, own.line), *SENDS}
    return Path(own.file).name, own.line


def assert_lines_are_shown(record: ExecutionRecord, steps: Collection[int]) -> None:
    """The story and the data have the file and the line of each of these steps."""
    story = "\n".join(line for line in story_of(Message(record)).splitlines() if "──" not in line)
    rows = re.split(r"(?m)^(?= {0,2}\d+ )", story)[1:]
    told = {int(row.split()[0]): "".join(row.split()) for row in rows}
    data = {each["number"]: each["at"] for each in story_data(record)["steps"]}
    for step in steps:
        origin = record.origin(step)
        assert origin is not None, step
        assert (data[step]["file"], data[step]["line"]) == (origin.file, origin.line)
        assert told[step].endswith(f"{Path(origin.file).name}:{origin.line}"), told[step]


def compare(cause: str, text: str) -> None:
    """The section of a cause reads as pinned; LAB_WRITE_SNAPSHOTS=1 writes it anew."""
    file = SECTION / f"{cause.replace(' ', '_')}.txt"
    text = without_places(text)
    if os.environ.get("LAB_WRITE_SNAPSHOTS"):
        file.write_text(f"{text}\n")
    assert f"{text}\n" == file.read_text()


def without_places(text: str) -> str:
    """A story without the lines of these programs, which change with every program that is added."""
    return "\n".join(PLACE.sub("", line) for line in text.splitlines() if not (line.strip() and PLACE.fullmatch(line)))


@pytest.mark.parametrize(
    "cls", [each for each in discover() if kind_of(each) == "planted"], ids=lambda each: each.__name__
)
async def test_the_cause_of_a_planted_bug_is_named_or_none_is(plain, cls):
    """By the failure that its token replays, as a hunt reported it."""
    token = decode(planted_bug_of(cls).token)
    conditions = Conditions(token.isolation or None)
    replays = await replay_times(plain, scenario_of(token, cls), token.schedule, conditions, times=1)
    assert replays.record is not None, replays.divergence
    cause = cause_of(replays.record)
    expected = PLANTED.get(target_of(cls).removeprefix("scenarios."), NAMED.get(cls.__name__))
    assert (None if cause is None else cause.name) == expected
    faults = {step.number for step in replays.record.trace if step.is_fault}
    assert_lines_are_shown(replays.record, () if cause is None else {*cause.steps} - faults)


async def test_a_deadlock_that_is_a_finding_of_its_own_has_its_cause(plain):
    record = await smallest_failure(plain, WRONG["order_text"][0])
    cause = cause_of(replace(record, findings=(Finding("deadlock", "nobody deadlocks", "two wait for each other"),)))
    assert cause is not None
    assert cause.name == "lock order"


async def test_the_children_of_another_parent_are_no_cause(plain):
    """The row that refers to the deleted parent is the actor's own; somebody else's came to another parent."""

    async def work(session, name):
        if name == "ben":
            await session.execute(insert(Child).values(parent_id=2))
        else:
            await session.scalars(select(Child.id).where(Child.parent_id == 2))
            await session.execute(insert(Child).values(parent_id=1))
            await session.execute(delete(Parent).where(Parent.id == 1))
        await session.commit()

    record = await plain.run(scenario(work, anything), Order("ann ben ben ann"), recorded=True)
    assert record.outcome.results["ann"].sqlstate == "23503"
    assert cause_of(record) is None


SURE = sorted(name for name, (_, cause) in WRONG.items() if cause != "state in the process")


@pytest.mark.parametrize("name", SURE)
async def test_no_cause_is_named_in_those_executions_in_which_a_wrong_program_is_right(plain, name):
    """Judged as if something else in them had failed. State in the process is told by the failure alone."""
    scheduler = make_scheduler("portfolio", 1)
    for number in range(MANY):
        with contextlib.suppress(SearchOver):
            record = await plain.run(WRONG[name][0], scheduler, execution=number, recorded=True)
            broken = replace(record, findings=(Finding("invariant", "something else", "it does not hold"),))
            assert record.failed or (cause := cause_of(broken)) is None, f"{cause.name}: {cause.text}"


async def test_a_hunt_hands_out_the_cause_as_plain_values(plain):
    """As `--json` has it: name, text, steps and fix; null where there is none."""
    for program, name in ((WRONG["orm_attribute"][0], "read-modify-write"), (UNRELATED["wrong_number"], None)):
        record = await smallest_failure(plain, program)
        shown = json.loads(json.dumps(reported(Failure(record, "", record)).shown()))["cause"]
        assert (shown and shown["name"]) == name
        assert shown is None or set(shown) == {"name", "text", "steps", "fix"}


@pytest.mark.parametrize("name", UNRELATED)
async def test_no_cause_is_named_where_no_rule_knows_the_failure(plain, name):
    """Wrong assertions, serial bugs, duplicate keys that nobody looked for, timeouts, errors of the application."""
    record = await smallest_failure(plain, UNRELATED[name])
    assert (cause := cause_of(record)) is None, cause.text
    assert_lines_are_shown(record, sent_by_code(record))


def sent_by_code(record: ExecutionRecord) -> Collection[int]:
    """The steps that an actor's code takes. The lab itself closes the session that it gave, and faults are nobody's."""
    last = {step.actor: step for step in record.trace}
    closing = {step.number for step in last.values() if step.action.kind is ActionKind.ROLLBACK}
    return {step.number for step in record.trace if not step.is_fault} - closing


@pytest.mark.parametrize("name", RIGHT)
async def test_no_rule_takes_what_is_right_for_a_cause(plain, name):
    """Right programs never fail; so each of their executions is judged as if something else in it had."""
    scheduler = make_scheduler("portfolio", 1)
    for number in range(MANY):
        record = await plain.run(RIGHT[name], scheduler, execution=number, recorded=True)
        assert not record.failed, record.findings
        broken = replace(record, findings=(Finding("invariant", "something else", "it does not hold"),))
        assert (cause := cause_of(broken)) is None, f"{cause.name}: {cause.text}"
