"""The benches run, and print the figures that scripts rely on. How large the figures are is no matter of tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def bench(name: str, *options: str, may_fail: bool = False) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, BENCH / name, *options, "--json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 or (may_fail and done.returncode == 1), done.stderr
    return json.loads(done.stdout)


def test_the_overhead_bench_compares_both_workloads_with_and_without_the_lab():
    figures = bench("overhead.py", "--pairs", "1")
    for suffix in ("", "_contended"):
        with_lab, without, ratio = (figures[key + suffix] for key in ("lab_ms", "plain_ms", "ratio"))
        assert ratio == pytest.approx(with_lab / without, rel=0.01)


def test_the_bench_of_invariants_in_between_compares_both_decorators():
    figures = bench("always.py", "--pairs", "1")
    for suffix in ("", "_small"):
        always, at_the_end, ratio = (figures[key + suffix] for key in ("always_ms", "invariant_ms", "ratio"))
        assert ratio == pytest.approx(always / at_the_end, rel=0.01)


def test_the_replay_bench_counts_every_execution_and_no_replay_of_frozen_waiters_diverges():
    figures = bench("replay.py", "--executions", "15", "--unfrozen", "1", "--workers", "1")
    assert (figures["executions"], figures["executions_unfrozen"]) == (15, 1)
    assert figures["diverged"] == 0
    assert figures["diverged_unfrozen"] in range(figures["replays_unfrozen"] + 1)
    assert sum(workload["frozen"]["executions"] for workload in figures["workloads"].values()) == 15
    assert all("lock wait" in workload["frozen"]["schedules_with"] for workload in figures["workloads"].values())


def test_the_start_bench_tells_a_first_start_from_a_cached_one():
    figures = bench("start.py", "--starts", "1", "--pairs", "1", "--commands", "list")
    assert 0 < figures["cached_seconds"] < figures["first_seconds"]
    assert figures["close_seconds"] > 0
    assert figures["help_ratio"] == pytest.approx(figures["help_seconds"] / figures["imports_seconds"], rel=0.1)
    listed = figures["commands"]["list"]
    assert listed["ratio"] == pytest.approx(listed["seconds"] / listed["bare_seconds"], rel=0.1)


def test_the_reporting_bench_counts_reports_that_fail():
    figures = bench("reporting.py", "--records", "40")
    assert (figures["records"], figures["failed"]) == (40, 0)
    assert 0 < figures["median_ms"] <= figures["slowest_ms"]


def test_the_minimise_bench_holds_a_minimised_failure_against_brute_force():
    figures = bench("minimise.py", "--seeds", "1", "--tries", "10", "--targets", "LostUpdate")
    assert figures["rows"]
    assert {(row["judgement"], row["least"]) for row in figures["rows"]} == {("", 1)}


def test_the_workers_bench_compares_the_results_of_one_and_two_workers():
    """The second worker has not joined by then."""
    options = ("--schedulers", "random", "--workers", "1,2", "--servers", "shared", "--rounds", "1")
    figures = bench("workers.py", *options, "--executions", "10", "--target", "scenarios.transfer:Transfer")
    rows = figures["rows"]
    assert [(row["workers"], row["executions"], row["equal"]) for row in rows] == [(1, 10, True), (2, 10, True)]
    assert figures["different"] == []


def test_the_first_bug_bench_compares_the_portfolio_with_single_schedulers():
    """On one bug, which each of them finds; a scheduler without chance is run once."""
    options = ("--targets", "transfer:LostUpdate", "--schedulers", "random,dpor,portfolio", "--seeds", "2")
    figures = bench("first_bug.py", *options, "--executions", "20")
    hunts = {each["scheduler"]: each for each in figures["hunts"]}
    assert {name: each["hunts"] for name, each in hunts.items()} == {"random": 2, "dpor": 1, "portfolio": 2}
    assert all(len(each["first"]) == len(each["seconds"]) == each["hunts"] for each in hunts.values())
    for each in hunts.values():
        low, high = each["chance"][1:]
        assert low < len(each["first"]) / each["spent"] <= high
    best = min(hunts["random"]["median"], hunts["dpor"]["median"])
    comparison = figures["portfolio"]["scenarios.transfer:LostUpdate"]
    assert comparison["ratio"] == pytest.approx(hunts["portfolio"]["median"] / best, abs=0.001)
    assert figures["worst_ratio"] == comparison["ratio"]


def test_the_bench_of_faults_says_where_each_was_found_and_finds_none_where_there_is_none():
    figures = bench("reduction_faults.py", "--only", "rule _both_publish", "--programs", "1")
    found = figures["faults"]["rule _both_publish"]
    assert found["program"]
    assert found["missed"] or found["contradiction"]
    assert figures["faults"]["no fault"]["program"] == ""


def test_the_history_bench_judges_clean_and_faulty_histories():
    figures = bench("history.py", "--executions", "10", "--transactions", "100")
    assert (figures["external_clean_verdict"], figures["external_faulty_verdict"]) == ("pass", "fail")
    assert figures["execution_clean_not_serializable"] == 0 < figures["execution_faulty_not_serializable"]
    assert min(figures[key] for key in ("execution_clean_ms", "execution_faulty_ms", "external_largest_mib")) > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of its own need root")
@pytest.mark.skipif(
    str(BENCH).startswith(("/tmp/", "/dev/shm/")), reason="each case has a /tmp of its own, over the clone"
)
def test_the_endurance_bench_strikes_and_counts_what_is_left():
    """A kill in mid-hunt, and a growth run too short to be judged."""
    few = ("--kills", "1", "--seed", "4", "--executions", "50", "--every", "10", "--only", "kill,growth")
    figures = bench("endurance.py", *few, may_fail=True)
    assert figures["counts"]["kill"]["runs"] == 1
    assert figures["counts"]["kill"]["left"] == 0
    assert figures["growth"]["status"] == 0
    assert figures["growth"]["left"] == []
    assert len(figures["growth"]["samples"]) >= 5


def test_the_throughput_bench_times_each_size_and_fits_the_growth():
    figures = bench("throughput.py", "--rounds", "1", "--hunts", "0")
    for what in ("actors", "statements"):
        assert all(row["ms"] > 0 for row in figures[f"by_{what}"])
        assert figures[f"exponent_of_{what}"] > 0


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="asks Linux")
def test_the_memory_bench_samples_the_lab_and_its_server():
    figures = bench("memory.py", "--executions", "8", "--every", "2", "--kept", "2")
    assert [each["executions"] for each in figures["samples"]] == [2, 4, 6, 8]
    assert min(figures["lab_mib"], figures["server_mib"], figures["kept_record_kib"]) > 1
