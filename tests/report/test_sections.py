"""The failure message is a list of sections: what each keeps to, and how they are put together."""

from __future__ import annotations

import pytest
from helpers.simulated import Simulation

from lab.model.record import ExecutionRecord, Failure
from lab.report.failure import SECTIONS
from lab.report.section import Message, Section, laid_out
from lab.schedulers import make_scheduler


@pytest.fixture(scope="module")
def record() -> ExecutionRecord:
    return Simulation({"alice": 2, "bob": 1}, lambda order: ["bob comes last"]).record(make_scheduler("serial", 0))


@pytest.fixture(params=sorted(SECTIONS))
def section(request) -> Section:
    return SECTIONS[request.param]


def test_a_section_says_the_same_of_the_same_and_leaves_no_spaces(section, record):
    """With a failure and without."""
    for message in (Message(record), Message(record, Failure(record, "lab1:…", record), "lab replay TOKEN")):
        lines = list(section.lines(message))
        assert list(section.lines(message)) == lines
        assert all(line == line.rstrip() for line in lines)


def of(name: str, *lines: str, **more) -> Section:
    return Section(name, lambda message: lines, **more)


def test_sections_stand_apart_share_headings_and_are_left_out_when_empty(record):
    sections = (
        of("empty first"),
        of("what", "1", "2"),
        of("where", "3", apart=False),
        of("nothing", heading="Never"),
        of("one", "4", heading="Why"),
        of("none", heading="Why"),
        of("other", "5", "6", heading="Why"),
        of("last", "7"),
    )
    text = "1\n2\n3\n\nWhy\n  4\n  5\n  6\n\n7"
    assert laid_out(sections, Message(record)) == text
