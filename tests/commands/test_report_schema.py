"""What `--json` prints has the form of docs/report.schema.json: every shape, and nothing that it does not name."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.decided import decided
from helpers.lab_program import CASES, answer, lab, lab_each
from jsonschema import Draft202012Validator

from lab.commands.console import REPORT_VERSION
from lab.model.replay_token import ReplayToken, encode
from lab.model.schedule import Schedule

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())
MAY_BE_MISSING = {"at", "cause", "about_database"}
"""Fields that a report need not have."""


def token(schedule: str) -> str:
    return encode(ReplayToken("scenarios.counter:LostCount", {}, "", Schedule(decided(schedule), ""), None))


FEW = ("--executions", "30", "--no-remedies", "--no-fresh")
WITH_CASES = {
    "pass": ("hunt", "hunt", "Counted", "--executions", "30"),
    "violation": ("hunt", "hunt", "LostCount", "--executions", "6"),
    "compared with serial runs": ("hunt", "hunt", "unstated:Unstated", *FEW),
    "two workers": ("hunt", "hunt", "LostCount", "--workers", "2", *FEW),
    "nothing overlaps": ("hunt", "hunt", "LostCount", "--scheduler", "serial"),
    "several": ("hunt_of_all", "hunt", "--executions", "30"),
    "replay": ("replay", "replay", token("ann ben ben ben ann ann"), "--times", "2"),
    "replay that passes": ("replay", "replay", token("ann ann ann ben ben ben"), "--times", "1"),
    "replay that diverges": ("replay", "replay", token("ann ben ann ben ann"), "--times", "1"),
    "what a token holds": ("token", "replay", token("ann ann ann ben ben ben"), "--dry-run"),
    "list": ("list", "list"),
    "matrix": ("matrix", "matrix", "LostCount", "--executions", "10"),
    "tune": ("tune", "tune", "LostCount", "--schedulers", "random,dpor", "--seeds", "2", "--seconds", "2"),
    "tune without a violation": ("tune", "tune", "Counted", "--schedulers", "random,dpor", "--seeds", "2"),
    "doctor": ("doctor", "doctor"),
    "specs": ("specs", "spec", "specs/specs/markers.spec", "specs/specs/broken_setup.spec"),
    "specs searched": ("specs", "spec", "counter.spec", "--search"),
    "races": ("races", "races", "asked:app", "--requests", "asked.jsonl", "--seconds", "20"),
    "wrong target": ("error", "hunt", "LostCoun"),
    "wrong token": ("error", "replay", "lab1:nothing"),
    "no file": ("error", "check-history", "there_is_no_such_file.json"),
    "cannot be made": ("error", "hunt", "hostile:BadSetup"),
}
"""Name -> the shape, and a command line."""
WITH_CATALOGUE = {
    "deadlock": ("hunt", "hunt", "CoreUpdatesInOppositeOrder", *FEW),
    "pause": ("hunt", "hunt", "PriceListsInOrderOfTheFile", "--no-remedies", "--no-fresh"),
    "not searched": ("hunt", "hunt", "PriceListsInOrderOfTheFile", "--no-breakpoints", *FEW),
    "fault": ("hunt", "hunt", "OneLegPerCommit", *FEW),
    "predicate": ("hunt", "hunt", "NameCheckedByTheApplication", *FEW),
    "history": ("check_history", "check-history", "docs/histories/list_append.json"),
    "history with anomalies": ("check_history", "check-history", "docs/histories/write_skew.json"),
    "whole catalogue": ("list", "list"),
}
LINES = WITH_CASES | WITH_CATALOGUE


def validator(shape: str) -> Draft202012Validator:
    return Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{shape}"}]})


def faults(value: Any, shape: str) -> list[str]:
    """What does not fit, with its place; of a choice, what was wrong with the shape that was meant."""
    found = [inner for error in validator(shape).iter_errors(value) for inner in (error.context or [error])]
    return [f"{error.json_path}: {error.message[:300]}" for error in found]


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    """What each command line prints. One that fails looks at its own arguments, so it has a process of its own."""
    values = {}
    for lines, cwd in ((WITH_CASES, CASES), (WITH_CATALOGUE, ROOT)):
        failing = [name for name, (shape, *_) in lines.items() if shape == "error"]
        others = [name for name in lines if name not in failing]
        outputs = lab_each([[*lines[name][1:], "--json"] for name in others], cwd=cwd)
        values |= {name: json.loads(out) for name, (_, out, _) in zip(others, outputs, strict=True)}
        values |= {name: answer(lab(*lines[name][1:], "--json", cwd=cwd)) for name in failing}
    return values


@pytest.mark.parametrize("name", LINES)
def test_each_shape_fits_the_schema(printed, name):
    """It is of the shape that its command has, and of no other one."""
    shape, *_ = LINES[name]
    assert faults(printed[name], shape) == []
    assert Draft202012Validator(SCHEMA).is_valid(printed[name])


def test_the_lines_above_print_what_they_are_named_after(printed):
    """Else a shape would be held to the schema by its name only."""
    verdicts = {name: printed[name]["verdict"] for name, (shape, *_) in LINES.items() if shape == "hunt"}
    assert verdicts == {
        "pass": "pass",
        "violation": "fail",
        "compared with serial runs": "fail",
        "two workers": "fail",
        "nothing overlaps": "inconclusive",
        "deadlock": "fail",
        "pause": "fail",
        "not searched": "pass",
        "fault": "fail",
        "predicate": "fail",
    }
    assert printed["not searched"]["unsearched"]
    assert printed["replay that diverges"]["story"] is None
    assert printed["history with anomalies"]["anomalies"]


def test_a_failure_is_told_as_data(printed):
    """Steps with actor, SQL, parameters, result and preemption; needed and irrelevant by numbers; the cycle."""
    (failure,) = printed["violation"]["failures"]
    steps = failure["story"]["steps"]
    assert [step["actor"] for step in steps] == ["ann", "ben", "ben", "ben", "ann", "ann"]
    assert len(steps) == failure["steps"]
    read, write = steps[0], steps[2]
    assert (read["sql"].split()[0], read["parameters"], read["result"]["rows"]) == ("SELECT", ["1"], [["1", "0"]])
    assert write["text"] == "UPDATE counter SET value=1 WHERE id = 1 → 1 row"
    assert [step["preempted"] for step in steps] == [None, "ann", None, None, None, None]
    needs = failure["relevance"]
    assert (needs["preemptions"], needs["swaps"]) == ([1], [[1, 2], [4, 5]])
    assert needs["passes"] == [{"step": 4, "before": 1, "onward": ""}]
    assert [link["kind"] for link in failure["explanation"]["links"]] == ["rw", "ww"]
    assert failure["story"]["results"]["ann"] == {"kind": "returned", "text": "None", "sqlstate": "", "detail": ""}


def test_waits_pauses_faults_and_cycles_of_locks_are_data(printed):
    """Each where it happened, by a value and not in a sentence only."""
    (deadlock,), (pause,), (fault,) = (printed[name]["failures"] for name in ("deadlock", "pause", "fault"))
    (cycle,) = deadlock["story"]["deadlocks"]
    assert [(edge["waiter"], edge["holder"]) for edge in cycle] == [("alice", "bob"), ("bob", "alice")]
    (wait,) = [step["wait"] for step in deadlock["story"]["steps"] if step["wait"]]
    assert (wait["holders"], wait["target"]) == (["alice"], "row (0,1) of counter")
    assert [step["number"] for step in pause["story"]["steps"] if step["pause"]] == pause["relevance"]["breakpoints"]
    (struck,) = [step for step in fault["story"]["steps"] if step["fault"]]
    assert (struck["actor"], struck["kind"], [struck["number"]]) == (None, "fault", fault["relevance"]["faults"])


def test_a_replay_tells_the_same_story_as_the_hunt(printed):
    """Where it is the same schedule."""
    hunted, replayed = printed["violation"]["failures"][0], printed["replay"]
    assert replayed["story"]["steps"] == hunted["story"]["steps"]
    assert replayed["explanation"] == hunted["explanation"]


def test_the_version_is_in_every_object_and_in_the_schema(printed):
    """`list` is an array of such objects, and `version` of `doctor` is the server's: both keep what they always had."""
    assert SCHEMA["$id"].endswith(f":{REPORT_VERSION}")
    assert SCHEMA["$defs"]["version"]["const"] == REPORT_VERSION
    for name, (shape, *_) in LINES.items():
        key = "report_version" if shape == "doctor" else "version"
        objects = printed[name] if shape == "list" else [printed[name]]
        assert {each[key] for each in objects} == {REPORT_VERSION}
    assert printed["doctor"]["version"] >= 90000


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(each)
    if isinstance(value, dict):
        yield value


def test_every_object_of_the_schema_is_closed_and_has_all_its_fields():
    """Without this an unknown or a missing field would pass; maps say what their values are."""
    Draft202012Validator.check_schema(SCHEMA)
    parts = {ref for each in _objects(SCHEMA) for one in each.get("allOf", ()) for ref in one.values()}
    for each in _objects(SCHEMA["$defs"]):
        if isinstance(each.get("properties"), dict) and "type" in each:
            open_ = each in [SCHEMA["$defs"][ref.rpartition("/")[2]] for ref in parts]
            assert open_ or each.get("additionalProperties", each.get("unevaluatedProperties")) is False
            assert set(each["properties"]) - set(each["required"]) <= MAY_BE_MISSING


def test_an_unknown_field_and_a_missing_one_are_refused_wherever_they_are(printed):
    """In each object of each shape, so that the schema cannot fall behind what is printed."""
    maps = {
        "turns",
        "outcomes",
        "aborts",
        "anomalies",
        "sqlstates",
        "options",
        "parameters",
        "lock_first",
        "key",
        "results",
    }

    def places(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        if isinstance(value, dict) and not (path and path[-1] in maps):
            yield path
        for key, each in pairs:
            yield from places(each, *path, key)

    for name in (
        "violation",
        "deadlock",
        "several",
        "matrix",
        "replay",
        "history with anomalies",
        "doctor",
        "list",
        "tune",
    ):
        shape, *_ = LINES[name]
        tried = {tuple("*" if isinstance(key, int) else key for key in path): path for path in places(printed[name])}
        for path in tried.values():
            changed = copy.deepcopy(printed[name])
            inner = changed
            for key in path:
                inner = inner[key]
            inner["never_heard_of"] = 1
            assert not validator(shape).is_valid(changed), path
            del inner["never_heard_of"]
            inner.pop(next(iter(inner)))
            assert not validator(shape).is_valid(changed), path
