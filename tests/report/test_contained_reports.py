"""Nothing in a record ends a report: what cannot be written is named in one sentence, and the rest stands."""

from __future__ import annotations

import json
import os
import random

import pytest
from helpers import records

from lab.errors import DEFECTS, defect, printable
from lab.model.text import reprs
from lab.report import section
from lab.report.failure import SECTIONS, execution_report, failure_report
from lab.report.section import Message, Section, laid_out
from lab.search.result import reported

FUZZ = int(os.environ.get("LAB_FUZZ", "300"))
LONGEST = 1002


def is_fit_to_be_shown(report: str) -> bool:
    """It is on lines of a bounded length, can be written to any file, and moves no cursor."""
    shown, _, _ = report.partition("\nReplay ")  # a token is as long as it must be
    return max(map(len, shown.split("\n"))) <= LONGEST and printable(report) == report


def test_no_record_leads_to_a_traceback_or_to_characters_that_move_a_cursor():
    """Each report is whole: no part of it fails, which one sentence would say."""
    chance = random.Random(13)
    for number in range(FUZZ):
        failure = records.failure(chance)
        report = failure_report(failure)
        assert is_fit_to_be_shown(report), number
        assert "a defect of its own" not in report, report
        assert is_fit_to_be_shown(execution_report(failure.record)), number
        assert json.loads(json.dumps(reported(failure).shown()))


@pytest.mark.parametrize("name", SECTIONS)
def test_a_part_that_fails_says_so_in_one_sentence_and_the_others_stand(name, monkeypatch):
    failure = records.failure(random.Random(1))
    whole = failure_report(failure)

    def fail(message: Message) -> list[str]:
        raise KeyError("x")

    parts = [each if each.name != name else Section(name, fail, each.heading, each.apart) for each in SECTIONS.values()]
    report = laid_out(parts, Message(failure.record, failure, "lab replay TOKEN"))
    (said,) = (line for line in report.split("\n") if "which is a defect of its own (KeyError: 'x'" in line)
    assert repr(name) in said
    others = [each for each in SECTIONS.values() if each.name != name]
    for line in laid_out(others, Message(failure.record, failure, "lab replay TOKEN")).split("\n"):
        assert line in whole.split("\n")
        assert line in report.split("\n")


def test_an_explanation_that_fails_costs_neither_the_headline_nor_the_data(monkeypatch):
    """The sentence stands once, where the explanation would."""

    def fail(record: object) -> None:
        raise ZeroDivisionError("of the lab")

    monkeypatch.setattr(section, "explanation_of", fail)
    monkeypatch.setattr("lab.search.result.explanation_of", fail)
    failure = records.failure(random.Random(2))
    report = failure_report(failure)
    assert report.count("a defect of its own (ZeroDivisionError: of the lab") == 1
    assert "write the part" not in report
    assert reported(failure).explanation is None


def test_a_defect_names_the_place_in_the_labs_own_code():
    with pytest.raises(DEFECTS) as caught:
        laid_out(None, None)
    assert ", lab/report/section.py:" in defect("write", caught.value)


class Loud(str):
    __slots__ = ()

    def __repr__(self) -> str:
        raise SystemExit(3)


def test_a_value_that_cannot_be_shown_is_named_beside_those_that_can():
    assert reprs([1, Loud("x"), "é", 10**5000]) == (
        "1",
        "<Loud that cannot be shown: SystemExit>",
        "'é'",
        "<int that cannot be shown: ValueError>",
    )


def test_lines_are_cut_each_for_itself_and_tokens_never():
    """A part of many lines is longer than any line may be, and half a token is none."""
    rows = [f"{number:>3} {'x' * 90}" for number in range(40)]
    token = f"Replay   lab replay {'alice.bob.' * 400}"
    parts = [
        Section("story", lambda message: ("\n".join(rows),)),
        Section("values", lambda message: ("y" * 5000,)),
        Section("replay", lambda message: (token,), whole=True),
    ]
    lines = laid_out(parts, Message(records.record(random.Random(1)))).splitlines()
    assert [line for line in lines if line in rows] == rows
    assert max(len(line) for line in lines if line.startswith("y")) == 1000
    assert lines[-1] == token
    assert SECTIONS["replay"].whole
