"""`lab matrix`: one scenario at every level, counted to the end, as a table and as JSON."""

from __future__ import annotations

import json

import pytest
from helpers.lab_program import CASES, answer, lab, lab_each

from lab.analysis.overview import Row
from lab.analysis.tally import HuntResult
from lab.report.hunts import levels_table
from lab.scenario.declare import ISOLATION_LEVELS

ROOT = CASES.parents[1]
ROW = {
    "isolation",
    "own",
    "verdict",
    "reason",
    "violated",
    "broken",
    "anomalies",
    "aborts",
    "lock_waits",
    "executions",
    "distinct_traces",
    "exhausted",
    "seconds",
}
FEW = ("--executions", "20", "--json")


def matrix(target: str, *options: str):
    done = lab("matrix", target, *FEW, *options, cwd=ROOT)
    assert done.stderr == ""
    result = answer(done)
    return done.returncode, result, {each["isolation"]: each for each in result["levels"]}


def test_every_level_is_run_to_the_end_and_counted():
    """A lost update: broken at READ COMMITTED and counted on, refused with 40001 above it."""
    status, result, levels = matrix("scenarios.isolation:LostUpdateAnomaly", "--seed", "3", "--scheduler", "random")
    assert status == 1
    assert (
        result.items()
        >= {
            "target": "scenarios.isolation:LostUpdateAnomaly",
            "verdict": "fail",
            "seed": 3,
            "scheduler": "random",
        }.items()
    )
    assert tuple(levels) == ISOLATION_LEVELS
    assert all(each.keys() >= ROW for each in levels.values())
    assert {each["executions"] for each in levels.values()} == {20}
    assert [each["own"] for each in levels.values()] == [True, False, False]
    assert [each["verdict"] for each in levels.values()] == ["fail", "pass", "pass"]
    lowest = levels["READ COMMITTED"]
    assert 3 < lowest["violated"] <= 20
    lost = {"P4": lowest["violated"]}
    assert (lowest["broken"], lowest["aborts"], lowest["anomalies"]) == (["no deposit is lost"], {}, lost)
    for level in ISOLATION_LEVELS[1:]:
        assert (levels[level]["violated"], levels[level]["broken"]) == (0, [])
        assert levels[level]["aborts"].keys() == {"40001"}
        assert 0 < levels[level]["lock_waits"] < 20
        assert levels[level]["seconds"] > 0
        assert levels[level]["distinct_traces"] > 1
    assert matrix("scenarios.isolation:LostUpdateAnomaly", "--seed", "3", "--scheduler", "random")[1] == {
        **result,
        "levels": [{**each, "seconds": pytest.approx(each["seconds"], abs=60)} for each in result["levels"]],
    }


@pytest.mark.parametrize(
    ("target", "status", "verdicts"),
    [
        # The status is that of its own level, whatever the others show.
        ("scenarios.last_admin:LastAdminAtSerializable", 0, {"READ COMMITTED": "fail", "SERIALIZABLE": "pass"}),
        ("scenarios.booking:LooksByAnOlderSnapshot", 1, {"READ COMMITTED": "pass", "REPEATABLE READ": "fail"}),
    ],
)
def test_the_status_is_that_of_the_scenarios_own_level(target, status, verdicts):
    found, result, levels = matrix(target)
    assert found == status
    assert {level: levels[level]["verdict"] for level in verdicts} == verdicts
    (own,) = (each for each in result["levels"] if each["own"])
    assert own["verdict"] == result["verdict"]


def test_levels_of_the_actors_own_are_a_row_of_their_own():
    """One actor at REPEATABLE READ, one at READ COMMITTED: as it stands it holds, at READ COMMITTED alone it breaks."""
    status, _, levels = matrix("scenarios.isolation:ConsistentReport")
    assert status == 0
    assert list(levels) == [None, *ISOLATION_LEVELS]
    assert [each["own"] for each in levels.values()] == [True, False, False, False]
    assert [each["verdict"] for each in levels.values()] == ["pass", "fail", "pass", "pass"]


def test_people_get_a_table_and_wrong_use_a_sentence():
    """The table names what breaks; a search that proves nothing is 3; a bad target, level or number is 2."""
    (status, out, err), (serial, serial_out, _), *wrong, (help_status, help_text, _) = lab_each(
        [
            ["matrix", "LostCount", "--executions", "20"],
            ["matrix", "LostCount", "--executions", "20", "--scheduler", "serial"],
            ["matrix", "LostCout"],
            ["matrix"],
            ["matrix", "LostCount", "--executions", "0"],
            ["matrix", "hostile:NoActor"],
            ["matrix", "--help"],
        ]
    )
    assert (status, err) == (1, "")
    head, lowest, *_ = out.splitlines()
    columns = ["isolation", "verdict", "broken", "traces", "anomalies", "aborts", "waits", "seconds"]
    assert [*columns, "what", "breaks"] == head.split()
    assert lowest.split()[:4] == ["READ", "COMMITTED", "*", "fail"]
    assert "every request counts" in lowest
    assert "40001" in out
    assert out.splitlines()[-1] == (
        "fail: scenarios.counter:LostCount: 20 executions at each level at most · portfolio(seed=0) · * its own level"
    )
    assert serial == 3
    assert "nothing overlapped" in " ".join(serial_out.split())
    assert [each[0] for each in wrong] == [2] * 4
    assert "did you mean scenarios.counter:LostCount" in wrong[0][2]
    assert all("Traceback" not in each[2] for each in wrong)
    assert help_status == 0
    assert "3: inconclusive there" in " ".join(help_text.split())


def test_trouble_ends_it_and_shows_what_there_is():
    """The server dies at the first level: status 3 or 1, never 0, and no further level is claimed."""
    done = lab("matrix", "hostile:ServerDies", "--scheduler", "random", "--executions", "3000", "--json")
    result = answer(done)
    assert done.returncode in (1, 3)
    assert len(result["levels"]) == 1
    assert "the server" in result["levels"][0]["reason"]


def test_anomalies_are_counted_where_they_are_known():
    """By executions that showed them."""
    result = HuntResult("x", 0)
    result.anomalies.update({"P4": 3, "G2-item": 1})
    row = Row("READ COMMITTED", own=True, result=result)
    assert json.dumps(row.shown()["anomalies"]) == '{"G2-item": 1, "P4": 3}'
    (column,) = (each for each in levels_table([row]).columns if each.header == "anomalies")
    assert list(column.cells) == ["G2-item 1, P4 3"]


def test_a_level_shows_every_counter_that_a_hunt_shows():
    """So that a program reads a row of the matrix as it reads a hunt."""
    row = Row("READ COMMITTED", own=True, result=HuntResult("x", 0))
    assert row.shown().keys() - HuntResult("x", 0).shown().keys() == {"isolation", "own", "broken"}
    assert HuntResult("x", 0).shown().keys() >= {
        "verdict",
        "reason",
        "bound",
        "distinct_traces",
        "aborts",
        "lock_waits",
    }
