"""The `lab` fixture in a user's test run."""

from __future__ import annotations

import re

import pytest

TOKEN = re.compile(r"lab1:\S+")

LOSES = """
from hypothesis import given, settings, strategies as st
from lab import schedules
from counter import LostCount

@settings(derandomize=True, database=None)
@given(scenario=st.builds(LostCount, amount=st.integers(1, 5)), schedule=schedules())
async def test_counts(lab, scenario, schedule):
    await lab.check(scenario, schedule)
"""

COUNTS = LOSES.replace("LostCount", "Counted").replace("database=None", "database=None, max_examples=20")


def token_in(text: str) -> str:
    found = set(TOKEN.findall(text))
    assert len(found) == 1, found
    return found.pop()


def test_data_and_schedule_shrink_together_and_the_token_reproduces(project):
    """A lost update ends at one preemption, two context switches and the smallest data; its token fails the same way.

    The deadline of Hypothesis is not hit, though an execution on a server takes its time.
    """
    project.makepyfile(LOSES)
    result = project.runpytest_subprocess("-p", "no:cacheprovider")
    text = result.stdout.str()
    result.assert_outcomes(failed=1)
    assert "6 steps" in text
    assert re.search(r"→ 6 steps, \d+ → 1 preemption, 2 context switches", text), text
    assert "LostCount(start=0, amount=1)" in text
    assert "Needed: the preemption after #1" in text
    assert "Irrelevant: the order " in text
    assert "DeadlineExceeded" not in text
    assert "Flaky" not in text
    assert "internal error" not in text.lower()
    token = token_in(text)
    again = project.runpytest_subprocess(f"--lab-replay={token}")
    again.assert_outcomes(failed=1)
    assert token_in(again.stdout.str()) == token
    # A token of another scenario leaves the test to its own schedules, and a run that replayed nothing is no pass.
    project.makepyfile(COUNTS)
    unmet = project.runpytest_subprocess(f"--lab-replay={token}")
    unmet.assert_outcomes(passed=1)
    assert unmet.ret == 1
    assert "nothing was replayed: the token is of counter:LostCount, and no test of this run" in unmet.stdout.str()


def test_a_schedule_may_be_drawn_by_a_scheduler(project):
    """URW measures a serial run of each example's data first, which draws nothing: Hypothesis repeats what it found."""
    test = LOSES.replace("schedules()", 'schedules(scheduler="urw")')
    project.makepyfile(
        test.replace("database=None", "database=None, phases=[Phase.generate]").replace("given,", "given, Phase,")
    )
    result = project.runpytest_subprocess("-p", "no:cacheprovider")
    text = result.stdout.str()
    result.assert_outcomes(failed=1)
    assert re.search(r"→ 6 steps, (\d+ → )?1 preemption, 2 context switches", text), text
    assert "Flaky" not in text


def test_a_right_variant_passes_and_an_isolation_level_is_obeyed(project):
    """All examples pass; `--lab-isolation` changes what the database does."""
    project.makepyfile(
        COUNTS.replace("database=None", "database=None, phases=[Phase.generate]").replace("given,", "given, Phase,")
        + """
async def test_level(lab):
    record = await lab.check(LevelCount())
    print("ran at", record.isolation)

from dataclasses import dataclass
from sqlalchemy import text
from counter import Counted
from lab import invariant

@dataclass(frozen=True)
class LevelCount(Counted):
    async def add(self, session):
        self_level = await session.scalar(text("SHOW transaction_isolation"))
        assert self_level == "serializable", self_level
        await super().add(session)
"""
    )
    result = project.runpytest_subprocess("--lab-isolation=serializable", "-s")
    assert "ran at SERIALIZABLE" in result.stdout.str()
    result.assert_outcomes(passed=1, failed=1)  # at SERIALIZABLE one of two counts may be refused
    result = project.runpytest_subprocess()
    result.assert_outcomes(passed=1, failed=1)
    assert "AssertionError: read committed" in result.stdout.str()


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--lab-isolation=chaos", "--lab-isolation=chaos: known levels are READ COMMITTED, REPEATABLE READ"),
        ("--lab-replay=hello", "'hello' is not a replay token: expected text that begins with lab1:"),
        ("--lab-url=garbage", "not a database URL"),
        ("--lab-url=mysql://h/d", "the lab needs PostgreSQL, and this URL names mysql"),
        ("--lab-url=postgresql://127.0.0.1:1/d", "cannot connect to postgresql://127.0.0.1:1/d"),
    ],
)
def test_a_wrong_option_is_one_sentence(project, option, says):
    """Wrong options end the run with their reason and without a traceback of the lab."""
    project.makepyfile("from counter import Counted\n\nasync def test_it(lab):\n    await lab.check(Counted())\n")
    result = project.runpytest_subprocess(option)
    text = result.stdout.str() + result.stderr.str()
    assert result.ret != 0
    assert text.count(says) <= 2  # pytest repeats the first line of an error in its summary
    assert says in text
    assert "lab/postgres" not in text
    assert "During handling" not in text
    assert "INTERNALERROR" not in text


def test_every_way_to_use_the_fixture_works_in_one_run(project):
    """Plain checks, hunts, a watched engine, synchronous tests beside, and no `anyio` marker anywhere."""
    project.makeini("[pytest]\nfilterwarnings = error\n")
    project.makepyfile(
        """
import pytest
from dataclasses import dataclass
from sqlalchemy import update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from counter import Counted, Counter, LostCount
from lab import UsageError, Violation, actor

ENGINE = create_async_engine("postgresql+asyncpg://app@db.example/app", pool_size=2)
SESSIONS = async_sessionmaker(ENGINE)

async def count_up():
    "The application's own function, with its own sessions."
    async with SESSIONS() as session:
        counter = await session.get_one(Counter, 1)
        counter.value += 1
        await session.commit()

@dataclass(frozen=True)
class Application(Counted):
    @actor
    async def ann(self):
        await count_up()

    @actor
    async def ben(self):
        await count_up()

def test_sync():
    assert True

async def test_serial(lab):
    record = await lab.check(LostCount())
    assert record.trace.preemptions == 0 and not record.failed

async def test_hunt_passes(lab):
    assert await lab.hunt(Counted(), executions=20) == 20

async def test_hunt_finds(lab):
    with pytest.raises(Violation, match="1 preemption") as caught:
        await lab.hunt(LostCount(), seed=1)
    assert "Replay   " in str(caught.value)

async def test_watch(lab):
    with lab.watch(ENGINE):
        await lab.check(Application())
        with pytest.raises(Violation, match="the counter stands at 1"):
            await lab.hunt(Application())

def test_sync_with_fixture_beside(request):
    assert request.node.name

async def test_wrong_scenario(lab):
    with pytest.raises(UsageError, match="no actor"):
        from lab import Scenario
        class Empty(Scenario):
            pass
        await lab.check(Empty())
"""
    )
    project.runpytest_subprocess().assert_outcomes(passed=7)


def test_a_synchronous_test_is_told_that_it_needs_await(project):
    """A test that asks for `lab` but is no coroutine fails with a sentence that says so."""
    project.makepyfile("def test_it(lab):\n    lab.anything()\n")
    result = project.runpytest_subprocess()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    assert "asks for `lab` and must be `async def`" in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str()


def test_trio_is_refused_in_one_sentence(project):
    """asyncpg runs on asyncio only; the parameter `trio` of anyio's fixture is refused, and says why."""
    project.makepyfile(
        """
import pytest
from counter import Counted

@pytest.fixture(params=["asyncio", "trio"], scope="module")
def anyio_backend(request):
    return request.param

async def test_it(lab):
    await lab.check(Counted())
"""
    )
    result = project.runpytest_subprocess()
    text = result.stdout.str()
    result.assert_outcomes(passed=1, failed=1)
    assert "the lab runs on asyncio, not on trio" in text
    assert "Traceback" not in text


def test_a_huge_schedule_does_not_break_the_run(project):
    """An example that draws more than Hypothesis allows is discarded; the run goes on and passes."""
    project.makepyfile(
        """
from dataclasses import dataclass
from hypothesis import HealthCheck, given, settings
from sqlalchemy import text
import lab as package
from lab import Scenario, actor, schedules

@dataclass(frozen=True)
class Long(Scenario):
    @actor
    async def ann(self, session):
        for _ in range(900):
            await package.point("on the way")

    @actor
    async def ben(self, session):
        for _ in range(900):
            await package.point("on the way")

    @actor
    async def cleo(self, session):
        for _ in range(100):
            await package.point("on the way")

@settings(derandomize=True, database=None, max_examples=2, suppress_health_check=list(HealthCheck))
@given(schedule=schedules())
async def test_long(lab, schedule):
    record = await lab.check(Long(), schedule)
    assert len(record.trace) >= 1900

async def test_next(lab):
    await lab.check(Long())
"""
    )
    result = project.runpytest_subprocess()
    result.assert_outcomes(passed=2)
