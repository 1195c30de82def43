"""What a test found is replayed first at its next run, in a file that several processes may write."""

from __future__ import annotations

import pytest

from lab.search.kept.file import KeptFile
from lab.search.kept.known import Known

TESTS = """
import os
from hypothesis import Phase, given, settings, strategies as st
from counter import Counter, LostCount
from lab import Lab, schedules

async def right(self, session):
    counter = await session.get_one(Counter, 1, with_for_update=True)
    counter.value += self.amount
    await session.commit()

if os.environ.get("MENDED"):
    LostCount.add = right

async def test_hunted(lab: Lab):
    executions = await lab.hunt(LostCount(), executions=6)
    assert executions == 6

@settings(max_examples=6, database=None, phases=[Phase.generate])
@given(scenario=st.builds(LostCount, amount=st.integers(1, 5)), schedule=schedules())
async def test_drawn(lab: Lab, scenario, schedule):
    await lab.check(scenario, schedule)
"""


@pytest.fixture
def kept(project, monkeypatch):
    """A project that keeps what its tests find."""
    monkeypatch.delenv("LAB_NO_KEEP", raising=False)
    monkeypatch.delenv("CI", raising=False)
    project.makepyfile(test_it=TESTS)
    project.makepyprojecttoml("[project]\nname='it'\nversion='1'\n")
    return project


def states(project) -> dict[str, str]:
    file = KeptFile.open(project.path / ".lab" / "hunts.sqlite")[0]
    known = {each.test: each.state for each in Known(file).all()}
    file.close()
    return known


def run(project, *options: str):
    return project.runpytest_subprocess("-p", "no:cacheprovider", *options)


def test_what_failed_is_replayed_first_until_it_is_mended(kept, monkeypatch):
    """The second run finds nothing else first, and its report is that of the replay; the third marks it as fixed."""
    run(kept).assert_outcomes(failed=2)
    assert states(kept) == dict.fromkeys(
        ("test_it.py::test_hunted[asyncio]", "test_it.py::test_drawn[asyncio]"), "fails"
    )
    again = run(kept)
    again.assert_outcomes(failed=2)
    again.stdout.fnmatch_lines(["*This was a replay of a violation that is known since*"] * 2)
    monkeypatch.setenv("MENDED", "1")
    mended = run(kept)
    mended.assert_outcomes(passed=2)
    assert set(states(kept).values()) <= {"fixed", "changed"}
    mended.stdout.fnmatch_lines(["test_it.py::test_hunted*: 'every request counts', known since *: marked as *"])


@pytest.mark.parametrize("where", ["CI", "LAB_NO_KEEP"])
def test_nothing_is_kept_where_it_should_not_be(kept, monkeypatch, where):
    monkeypatch.setenv(where, "true")
    run(kept, "-k", "hunted").assert_outcomes(failed=1)
    assert not (kept.path / ".lab").exists()


def test_a_file_that_fails_ends_no_test(kept):
    (kept.path / ".lab").write_text("a file in the way")
    done = run(kept, "-k", "hunted")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["what tests find is not kept: *cannot be used: *"])
