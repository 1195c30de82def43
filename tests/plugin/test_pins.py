"""`@replays`: a found interleaving beside a test; what a run says at its end, also to GitHub and in JUnit's XML."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from lab import UsageError, replays
from lab.search.direct.pins import pinned_on

LOST = "lab1:counter:LostCount::-:ann.ben3.ann2:27s7y:invariant.P4.7uws:63y7td"
"""ann reads, ben reads, writes and commits, ann writes and commits."""

PINNED = f"""
import pytest
from hypothesis import given, strategies as st
from counter import Counted, Counter, LostCount
from lab import Lab, Violation, replays, schedules

PIN = "{LOST}"
EXAMPLES = []

@replays(PIN)
async def test_broken(lab: Lab):
    await lab.hunt(LostCount())

@pytest.mark.xfail(raises=Violation, strict=True)
@replays(PIN)
@given(scenario=st.builds(LostCount, amount=st.integers(1, 5)), schedule=schedules())
async def test_drawn(lab: Lab, scenario, schedule):
    EXAMPLES.append(scenario)
    await lab.check(scenario, schedule)

async def test_one_example_was_drawn(lab: Lab):
    assert len(EXAMPLES) == 2  # and run once more, to be shown

@replays(PIN)
async def test_other(lab: Lab):
    await lab.check(Counted())

@replays(PIN)
async def test_fixed(lab: Lab, monkeypatch):
    async def add(self, session):
        counter = await session.get_one(Counter, 1, with_for_update=True)
        counter.value += self.amount
        await session.commit()
    monkeypatch.setattr(LostCount, "add", add)
    await lab.hunt(LostCount())

@replays(PIN)
async def test_changed_and_still_broken(lab: Lab, monkeypatch):
    async def add(self, session):
        await session.get_one(Counter, 1)
        await LostCount.add_before(self, session)
    monkeypatch.setattr(LostCount, "add_before", LostCount.add, raising=False)
    monkeypatch.setattr(LostCount, "add", add)
    await lab.hunt(LostCount())

@replays(PIN[:-3])
async def test_mistyped(lab: Lab):
    await lab.hunt(LostCount())

@replays(PIN)
def test_sync():
    pass
"""


def parts_of(text):
    """Test -> what is said of its failure."""
    found = re.split(r"^_{3,} (?:ERROR at setup of )?(test_\w+)\S* _{3,}$", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def test_a_pinned_token_is_replayed_and_says_when_the_scenario_has_changed(project, monkeypatch):
    """It fails where the bug is there, where it cannot be replayed, and where nothing is of it; never silently."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path))
    project.makepyfile(test_it=PINNED)
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "--junitxml=junit.xml")
    text = result.stdout.str()
    result.assert_outcomes(failed=5, errors=1, xfailed=1, passed=1)
    said = parts_of(text)
    assert "LOST UPDATE  the counter stands at 1, expected 2" in said["test_broken"]
    assert "This was the replay of @replays, token 1 of 1." in said["test_broken"]
    assert "counter.py:62" in said["test_broken"]  # the lines of code behind the steps
    assert "token 1 of 1 is of counter:LostCount; the scenarios of this test are: counter:Counted" in said["test_other"]
    assert "the scenario has changed since its token was made: the replay diverged at step 3" in said["test_fixed"]
    assert "taken as far as they can be, break nothing" in said["test_fixed"]
    assert "During handling" not in text
    assert "taken as far as they can be, still break something:" in said["test_changed_and_still_broken"]
    assert "LOST UPDATE" in said["test_changed_and_still_broken"]
    assert "the replay token was cut short" in said["test_mistyped"]
    assert "test_sync has @replays, but asks for no `lab` that could replay" in said["test_sync"]

    assert "  counter:LostCount: 4 executions, 4 tokens replayed, broken" in text
    line, _ = [line for line in text.splitlines() if line.startswith("::error ")]  # what was expected to fail has none
    assert line.startswith("::error file=counter.py,line=49,title=LOST UPDATE::LOST UPDATE  the counter stands at 1")
    assert line.endswith(f"--lab-replay={LOST}")
    cases = {each.get("name"): each for each in ET.parse(project.path / "junit.xml").iter("testcase")}
    broken = next(each for name, each in cases.items() if name.startswith("test_broken"))
    properties = {each.get("name"): each.get("value") for each in broken.iter("property")}
    assert properties == {"lab_verdict": "fail", "lab_token": LOST, "lab_anomaly": "P4", "lab_finding": "LOST UPDATE"}

    # What replays now, as it was offered, is pinned instead: the fixed code passes.
    now = re.search(r"What replays now is (lab1:\S+)", said["test_fixed"])[1]
    project.makepyfile(test_it=PINNED.replace(LOST, now))
    again = project.runpytest_subprocess("-p", "no:cacheprovider", "-k", "test_fixed")
    again.assert_outcomes(passed=1, deselected=7)
    assert "counter:LostCount: " in again.stdout.str()
    assert "1 token replayed, nothing broken" in again.stdout.str()
    assert "    searched: " in again.stdout.str()


def test_tokens_are_texts_and_the_first_decorator_comes_first():
    """`replays` needs no pytest: it only notes what is to be replayed."""

    @replays("one", "two")
    @replays("three")
    def test():
        pass

    assert pinned_on(test) == ("one", "two", "three")
    for wrong in ((), (test,)):
        with pytest.raises(UsageError, match="takes the texts of replay tokens"):
            replays(*wrong)
