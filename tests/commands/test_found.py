"""The first failure is shown at once; the smaller one replaces it on a terminal, and follows it elsewhere."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from helpers.lab_program import lab_each
from rich.console import Console

from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.commands import found as module
from lab.commands.found import AS_IT_WAS_MET, REPLACED, Found
from lab.commands.progress import ProgressBelow
from lab.search.hunt import Hunt
from scenarios.transfer import LostUpdate

LARGE = ReportedFailure("lab1:x", "invariant", None, None, "it holds", 5, 9, 2, 0, 0, "LARGE, in nine steps")
SMALL = replace(LARGE, report="SMALL, in eight steps", steps=8)


async def test_a_hunt_hands_out_a_failure_before_it_is_minimised(explorer):
    """As it was met, with its lines of code; what the result has in the end is smaller."""
    met: list[ReportedFailure] = []
    result = await replace_found(Hunt.of(LostUpdate()), met).run(explorer)
    (first,), (last,) = met, result.failures
    assert (first.steps, first.preemptions, first.replays) == (9, 5, 0)
    assert (last.steps, last.preemptions, last.replays) == (8, 1, 5)
    assert first.token == last.found_token
    assert "transfer.py:115" in first.report


def replace_found(hunt: Hunt, met: list[ReportedFailure]) -> Hunt:
    hunt.found = met.append
    return hunt


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What goes to standard output."""
    stream = io.StringIO()
    monkeypatch.setattr(module, "out", Console(file=stream, width=100))
    return stream


def shown(*, terminal: bool, quiet: bool = False) -> str:
    """What goes to standard error, until the bar is left."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, height=20)
    with ProgressBelow(console=console, transient=True, disable=not terminal) as bar:
        found = Found(bar, quiet=quiet)
        found.first(LARGE)
        found.first(SMALL)
        result = HuntResult("x", 0, failures=[SMALL])
        found.report(result)
        found.report(result)
    return stream.getvalue()


def test_on_a_terminal_the_smaller_one_replaces_it(written):
    """The first stands above the bar, and goes with it; standard output has the smaller one only, once."""
    assert LARGE.report in shown(terminal=True)
    assert written.getvalue() == f"{SMALL.report}\n\n"


def test_elsewhere_the_smaller_one_follows_it(written):
    assert shown(terminal=False) == ""
    assert written.getvalue() == f"{AS_IT_WAS_MET}\n\n{LARGE.report}\n\n{REPLACED}\n\n{SMALL.report}\n\n"


def test_programs_see_nothing_of_it(written):
    assert shown(terminal=False, quiet=True) == written.getvalue() == ""


def test_the_command_line_shows_both_and_json_stays_one_value():
    """The report as it was met comes first, and each says which of the two stands; --json gives one value."""
    line = ["hunt", "LostCount", "--no-remedies", "--no-fresh"]
    (_, plain, _), (_, value, errors) = lab_each([line, [*line, "--json"]])
    assert plain.startswith(f"{AS_IT_WAS_MET}\n\n")
    assert plain.count("Replay   lab replay") == 2
    assert plain.count(f"\n\n{REPLACED}\n\n") == 1
    assert plain.index(REPLACED) < plain.index("minimised ")
    assert plain.index(json.loads(value)["failures"][0]["found_token"]) < plain.index("minimised ")
    assert errors == ""
