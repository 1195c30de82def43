"""A test that the lab fails gets a page in `.lab/pages/`, and its report says where; in CI only where asked for."""

from __future__ import annotations

import pytest
from helpers.seen import Seen

TESTS = """
import pytest
from hypothesis import Phase, given, settings, strategies as st
from counter import Counter, LostCount
from lab import Lab, schedules

async def test_hunted(lab: Lab):
    await lab.hunt(LostCount(), executions=6)

@pytest.mark.parametrize("how", ["a/../b", "<c> d"])
async def test_with_names(lab: Lab, how):
    await lab.hunt(LostCount(), executions=6)

@settings(max_examples=6, database=None, phases=[Phase.generate, Phase.shrink])
@given(schedule=schedules())
async def test_drawn(lab: Lab, schedule):
    await lab.check(LostCount(), schedule)

async def test_otherwise(lab: Lab):
    assert False
"""
FOUND = {
    "test_it.py-test_hunted.html",
    "test_it.py-test_with_names-a-..-b.html",
    "test_it.py-test_with_names-c-d.html",
    "test_it.py-test_drawn.html",
}


@pytest.fixture
def kept(project, monkeypatch):
    monkeypatch.delenv("LAB_NO_KEEP", raising=False)
    monkeypatch.delenv("CI", raising=False)
    project.makepyfile(test_it=TESTS)
    project.makepyprojecttoml("[project]\nname='it'\nversion='1'\n")
    return project


def pages(project) -> set[str]:
    return {each.name.replace("-asyncio", "") for each in (project.path / ".lab" / "pages").glob("*")}


def test_each_failing_test_has_a_page_and_its_report_says_where(kept):
    """Also with several workers, under Hypothesis, and for names that are no file names; git leaves the folder out."""
    done = kept.runpytest_subprocess("-p", "no:cacheprovider", "-n", "2")
    done.assert_outcomes(failed=5)
    assert pages(kept) == FOUND
    done.stdout.fnmatch_lines(["page: .lab/pages/test_it.py-test_hunted*.html"])
    assert (kept.path / ".lab" / ".gitignore").read_text() == "*\n"
    for each in (kept.path / ".lab" / "pages").iterdir():
        page = Seen(each.read_text())
        assert "--lab-replay=" in page.text("all"), each.name


@pytest.mark.parametrize(
    ("options", "ini", "where", "written"),
    [
        (("--no-lab-pages",), "", "", False),
        ((), "lab_pages = false\n", "", False),
        (("--lab-pages",), "lab_pages = false\n", "", True),
        ((), "", "CI", False),
        (("--lab-pages",), "", "CI", True),
        ((), "", "LAB_NO_KEEP", False),
    ],
)
def test_pages_are_written_where_they_are_wanted(kept, monkeypatch, options, ini, where, written):
    kept.makeini(f"[pytest]\nfilterwarnings = error\nanyio_mode = auto\n{ini}")
    if where:
        monkeypatch.setenv(where, "true")
    done = kept.runpytest_subprocess("-p", "no:cacheprovider", "-k", "hunted", *options)
    done.assert_outcomes(failed=1)
    assert bool(pages(kept)) == written
    assert ("page: .lab" in done.stdout.str()) == written


def test_a_folder_that_cannot_be_written_costs_no_report(kept):
    (kept.path / ".lab").mkdir()
    (kept.path / ".lab" / "pages").write_text("a file in the way")
    done = kept.runpytest_subprocess("-p", "no:cacheprovider", "-k", "hunted")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*LOST UPDATE*", "no page was written: *"])
