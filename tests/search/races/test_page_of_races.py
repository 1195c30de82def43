"""The page of races says what their text and their JSON say, of failures of every kind; hostile texts are text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from helpers.failures import KINDS, failure_of
from helpers.races import HOSTILE, Report, pair_of, report_of, sent
from helpers.seen import HTML, Seen, leaves, squeezed

from lab.analysis.reported import ReportedFailure
from lab.errors import printable
from lab.report.html.contents import FailurePage
from lab.report.html.texts import harmless
from lab.search.races.page import races_html
from lab.search.races.pairs import TIMES
from lab.search.races.table import races_data, races_lines, races_of
from lab.search.result import reported

FEW = ["LimitCheckedInPython", "RetryOfTheLastStatement", "LocksInOppositeOrder", "OneLegPerCommit", "GetThenCreate"]


def words_of(report: Report) -> str:
    """The text for people, all of it, without blanks."""
    return squeezed("\n".join(races_lines(*report, verbose=True)))


def missing(lines: list[str], seen: str) -> list[str]:
    """Those of which a word stands nowhere on the page, but for punctuation and for how a line begins."""
    page = seen.lower()
    words = {line: [squeezed(harmless(word.strip(",;:()").lower())) for word in line.split()] for line in lines}
    return [line for line, each in words.items() if not all(word in page for word in each)]


def facts(data: dict[str, Any]) -> Iterator[str]:
    """What the page says beside the stories, of which the text has the same."""
    yield data["summary"]
    for race in data["races"]:
        yield from (race["anomaly"], race["cause"], race["line"], race["accepted"])
        yield from (each for pair in race["pairs"] for each in (pair["title"], pair["kind"], pair["test"]))
        yield from (each["body"] for each in race["sent"])
    for pair in data["pairs"]:
        yield from (pair["title"], *([] if pair["race"] else [pair["limits"]]))
    yield from (each["why"] for each in data["not_raced"])
    yield from (each["trouble"] for each in data["tests"])


@pytest.mark.parametrize("names", [FEW, pytest.param(list(KINDS), marks=pytest.mark.long)], ids=["few", "all kinds"])
async def test_the_page_of_races_has_every_fact_of_their_text_and_of_their_json_and_the_text_has_those_of_the_page(
    explorer, names
):
    """Of each story also every line of the report that the terminal has."""
    failures = [reported(await failure_of(explorer, name), page=True) for name in names]
    report = report_of(failures)
    data = json.loads(json.dumps(races_data(*report)))
    assert len({each["line"] or (each["anomaly"], each["cause"]) for each in data["races"]}) == len(data["races"])
    text = races_html(*report)
    page = Seen(text)
    seen = page.text()
    shown = [
        each
        for race in data["races"]
        for each in leaves({**race, "failure": {**race["failure"], "fresh_process": None}})
    ]
    rest = [each for pair in (*data["pairs"], *data["not_raced"]) for each in leaves({**pair, "numbers": []})]
    assert not [each for each in (*shown, *rest) if squeezed(harmless(each)) not in seen]
    lines = [line for line in races_lines(*report, verbose=True) if not line.startswith("    ")]
    assert not missing(lines, seen)
    shown_ones = [pairs[0].failure for pairs in races_of(report[0]).values()]  # where two show one line, the first one
    for each in shown_ones:
        parts = [part for part in FailurePage.load(each.page).dump()["parts"] if part["name"] != "story"]
        assert not missing([line for part in parts for line in part["lines"]], seen)
    words = words_of(report)
    assert not [each for each in facts(data) if squeezed(printable(each)) not in words and squeezed(each) not in words]


def test_a_race_that_another_pair_shows_as_well_is_one_race_and_it_is_said_that_it_was_minimised_once(failure):
    report = report_of([failure])
    data = races_data(*report)
    assert len(data["races"]) == 1
    assert [each["race"] for each in data["pairs"]] == [1, 1, 0, 0, 0, 0]
    assert "minimised for one pair: the others show the same line, and are as they were met" in "\n".join(
        races_lines(*report)
    )


def test_hostile_paths_bodies_and_reasons_are_text(failure):
    text = races_html(*report_of([failure]), said=HOSTILE)
    page = Seen(text)
    assert {tag for tag, _ in page.elements} <= HTML | {"article", "h4", "h5"}
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    assert not [name for _, values in page.elements for name in values if name.startswith("on") or name == "style"]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    seen = page.text()
    assert all(squeezed(harmless(each)) in seen for each in HOSTILE)


def test_no_id_stands_twice_and_every_link_leads_to_one(failure):
    """Each story begins its ids with the number of its race."""
    other = replace(failure, cause={**(failure.cause or {}), "steps": [1]})
    page = Seen(races_html(*report_of([failure, other])))
    ids = [values["id"] for _, values in page.elements if values.get("id")]
    assert len(ids) == len(set(ids))
    links = {(values.get("href") or "")[1:] for tag, values in page.elements if tag == "a"}
    assert links <= set(ids)
    assert {"race-1-step-1", "race-2-step-1"} <= set(ids)


def test_a_page_without_a_race_says_what_was_not_found():
    page = Seen(races_html([], [], [], said=["no test sent a request"]))
    for each in (
        "No race found",
        "0 tests sent 0 requests; no race found",
        "There was no pair to race",
        "no test sent a request",
    ):
        assert squeezed(each) in page.text()


@pytest.fixture
async def failure(explorer) -> ReportedFailure:
    return reported(await failure_of(explorer, "LimitCheckedInPython"), page=True)


def test_a_pair_is_written_with_a_times_sign():
    assert pair_of("/a").title == f"{sent('/a').title} {TIMES} itself"
