"""The command line, from the outside: calls, JSON, exit statuses, and what it says to wrong input."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import asyncpg
import pytest
from helpers.decided import decided
from helpers.lab_program import CASES, answer, environment, lab, lab_each, lab_started

from lab.model.replay_token import ReplayToken, encode
from lab.model.schedule import Schedule
from lab.model.token_verdict import TokenVerdict
from lab.postgres.server.server import Server

LOST = "scenarios.counter:LostCount"
HUNT_KEYS = {
    "verdict",
    "executions",
    "distinct_traces",
    "exhausted",
    "outcomes",
    "failures",
    "seconds",
    "seed",
}
FAILURE_KEYS = {"token", "checker", "anomaly", "invariant", "preemptions", "steps"}


def token(schedule: str, target: str = LOST, isolation: str = "", choices: str = "", **parameters: object) -> str:
    return encode(ReplayToken(target, parameters, isolation, Schedule(decided(schedule), choices)))


def url_of(server: Server, **more: str) -> str:
    user = more.get("user", server.connect["user"])
    return f"postgresql://{user}@/postgres?host={server.connect['host']}"


# ---------------------------------------------------------------------------------------------- what is promised


def test_hunt_and_replay_speak_json_with_the_fixed_keys():
    """A hunt ends at the first violation with 1, and its token replays identically."""
    done = lab_started("hunt", "LostCount", "--seed", "3", "--json", "--no-remedies")
    result = answer(done)
    assert (done.returncode, done.stderr) == (1, "")
    assert result.keys() >= HUNT_KEYS
    assert (result["verdict"], result["seed"], result["exhausted"]) == ("fail", 3, False)
    assert sum(result["outcomes"].values()) == result["executions"] >= result["distinct_traces"] >= 1
    (failure,) = result["failures"]
    assert failure.keys() >= FAILURE_KEYS
    assert (failure["checker"], failure["invariant"], failure["preemptions"]) == (
        "invariant",
        "every request counts",
        1,
    )
    assert failure["anomaly"] == failure["explanation"]["name"] == "P4"
    links = [(each["before"], each["kind"], each["after"], each["item"]) for each in failure["explanation"]["links"]]
    assert links == [("ann", "rw", "ben", "counter 1"), ("ben", "ww", "ann", "counter 1")]
    refused = {"refused": [["ann", "40001"]], "broken": True}  # its invariant knows of no aborts
    assert failure["levels"] == [{"isolation": each, **refused} for each in ("REPEATABLE READ", "SERIALIZABLE")]
    replayed = lab("replay", failure["token"], "--times", "7", "--json")
    assert replayed.returncode == 1
    assert answer(replayed).items() >= {"times": 7, "identical": 7, "diverged": 0, "verdict": "fail"}.items()
    assert answer(replayed).items() >= {"expected": "LOST UPDATE", "otherwise": ""}.items()


def test_a_replay_that_ends_otherwise_than_its_token_says_so():
    """The exit status is that of what this replay gave."""
    serial = Schedule(decided("ann ann ann ben ben ben"))
    text = encode(ReplayToken(LOST, {}, "", serial, TokenVerdict("invariant", "P4", "abcd")))
    done = lab("replay", text, "--times", "1")
    assert "\nthe token was of LOST UPDATE; this replay passed: the bug is fixed here, or it needs " in done.stdout
    assert done.returncode == 0


def test_checks_can_be_asked_for_and_one_is_on_where_nothing_else_is_stated():
    """By hunts, over workers as well, and by a replay; `lab list` says where a check is on by itself."""
    both = ["--check", "serial", "--check", "isolation", "--executions", "30", "--json"]
    right = lab("hunt", "Counted", *both)
    assert (right.returncode, answer(right)["checks"]) == (0, ["serial", "isolation"])
    for workers in ("1", "2"):
        wrong = lab("hunt", "unstated:Unstated", "--workers", workers, "--no-remedies", "--no-fresh", "--json")
        (failure,) = answer(wrong)["failures"]
        assert (wrong.returncode, failure["checker"], failure["anomaly"]) == (1, "serial", "P4")
    replayed = lab("replay", failure["token"])
    assert replayed.returncode == 1
    assert replayed.stdout.startswith("LOST UPDATE  counter 1 holds (1,1); after ")
    assert lab("hunt", "Counted", "--check", "sereal").returncode == 2
    assert "some serial order gives the same results and rows (default)" in lab("list").stdout


def test_every_kind_of_hunt_has_its_exit_status():
    """0 for a pass, 1 for a violation, 3 where the search proved nothing; options change what they say."""
    few = ["--executions", "30", "--json", "--no-remedies", "--no-fresh"]
    lines = {
        "pass": ["hunt", "Counted", "--executions", "30", "--workers", "auto", "--json"],
        "other level": ["hunt", "LostCount", "--isolation", "repeatable read", *few],
        "serial": ["hunt", "LostCount", "--scheduler", "serial", "--json"],
        "no time": ["hunt", "Counted", "--seconds", "0", "--json"],
        "little time": ["hunt", "Counted", "--seconds", "1", "--executions", "1000000", "--json"],
        "endless": ["hunt", "hostile:Endless", "--executions", "1", "--json"],
        "keep going": ["hunt", "LostCount", "--keep-going", *few],
    }
    done = dict(zip(lines, lab_each(list(lines.values())), strict=True))
    result = {name: json.loads(out) for name, (_, out, _) in done.items()}
    assert {name: status for name, (status, _, _) in done.items()} == {
        "pass": 0,
        "other level": 1,  # at REPEATABLE READ one of the two is refused, so a request does not count
        "serial": 3,  # nothing overlaps
        "no time": 3,
        "little time": {"pass": 0, "inconclusive": 3}[result["little time"]["verdict"]],  # by how much was run in it
        "endless": 3,
        "keep going": 1,
    }
    assert result["pass"]["executions"] == 30
    assert result["pass"]["failures"] == []
    assert (result["serial"]["executions"], result["serial"]["exhausted"]) == (2, True)
    assert (result["no time"]["executions"], result["no time"]["verdict"]) == (0, "inconclusive")
    assert 0.5 < result["little time"]["seconds"] < 20  # no execution is begun for which it is too short
    assert "step limit" in result["endless"]["reason"]
    assert (result["keep going"]["executions"], len(result["keep going"]["failures"])) == (30, 1)
    assert result["other level"]["isolation"] == "REPEATABLE READ"


@pytest.mark.parametrize(
    "options",
    [
        ("LostCount", "--executions", "16", "--keep-going"),
        ("Counted",),
        pytest.param(("LostCount", "--seed", "5", "--no-remedies"), marks=pytest.mark.long),
        pytest.param(("Counted", "--scheduler", "random"), marks=pytest.mark.long),
    ],
    ids=["keep going", "every trace", "stop at the first", "parts"],
)
def test_the_number_of_workers_changes_nothing_but_the_time(options):
    """Two workers give the same counts, outcomes and failures as one, with --keep-going and without.

    They end with the portfolio's reduction, too, and then say that every trace was run.
    """

    def hunted(*options: str) -> dict[str, object]:
        result = answer(lab("hunt", "--no-fresh", "--remedies-seconds", "600", "--json", *options))
        for price in filter(None, (result["unfixed"], *(each["price"] for each in result["remedies"]))):
            del price["milliseconds"], price["times"]
        return {key: value for key, value in result.items() if key != "seconds"}

    assert hunted("--workers", "2", *options) == hunted("--workers", "1", *options)


def test_workers_share_the_time_that_is_given():
    """`--seconds` bounds the whole hunt, not each worker's part of it."""
    started = time.monotonic()
    done = lab("hunt", "Counted", "--workers", "2", "--seconds", "1", "--executions", "100000", "--json")
    assert done.returncode in {0, 3}  # 3 where the machine is too slow for two orders in a second
    assert answer(done)["executions"] < 100000
    assert time.monotonic() - started < 30  # a second for each of its 2,000 parts would be far more


def test_the_demonstration_holds_every_scenario_against_its_kind():
    """Without TARGET the status is 0 when right variants pass and planted bugs are found, and the report is shown."""
    done = lab("hunt", "--executions", "40")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 planted bugs found, 1 of 1 right variants pass" in done.stdout
    assert "Replay   lab replay lab1:scenarios.counter:LostCount:" in done.stdout
    assert done.stdout.count("ok  scenarios.counter:") == 3


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("isolation = 'SERIALIZABLE'\n    every_request_counts = None", 1, "0 of 1 planted bugs found"),
        (
            "async def setup(self, session):\n        raise OSError('no rows')",
            3,
            "the setup of scenarios.more:More failed",
        ),
    ],
)
def test_the_demonstration_fails_when_a_planted_bug_is_missed_or_cannot_run(tmp_path, body, status, says):
    """A missed planted bug is a failure of the demonstration; a scenario that cannot run leaves it inconclusive."""
    package = tmp_path / "scenarios"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "counter.py").write_text(
        (CASES / "scenarios" / "counter.py").read_text().split("@planted_bug")[0].replace("planted_bug, ", "")
    )
    (package / "more.py").write_text(
        "from dataclasses import dataclass\n"
        "from lab import planted_bug\n"
        "from scenarios import counter\n\n"
        "@planted_bug(of=counter.Counted)\n"
        f"@dataclass(frozen=True)\nclass More(counter.Counted):\n    {body}\n"
    )
    done = lab("hunt", "--executions", "10", "--workers", "1", "--no-fresh", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (status, "")
    assert says in done.stdout
    assert "1 of 1 right variants pass" in done.stdout


def test_the_demonstration_fails_when_a_right_variant_breaks(tmp_path):
    """A violation in a right variant is a failure, and its report is shown."""
    package = tmp_path / "scenarios"
    package.mkdir()
    (package / "__init__.py").write_text("")
    text = (CASES / "scenarios" / "counter.py").read_text().split("@probe")[0]
    (package / "counter.py").write_text(
        text.replace('@planted_bug(of=Counted, cause="a stale read", fix="count in the database")\n', "").replace(
            ", planted_bug, probe", ""
        )
    )
    done = lab("hunt", "--executions", "40", "--json", "--no-fresh", cwd=tmp_path)
    result = answer(done)
    assert (done.returncode, result["verdict"]) == (1, "fail")
    assert {each["target"]: each["as_expected"] for each in result["results"]} == {
        "scenarios.counter:Counted": True,
        LOST: False,
    }


def test_list_and_doctor_speak_json():
    """`list` gives every scenario with its kind and right variant; `doctor` what works here."""
    (status, listed, _), (other_status, plain, _), (doctor_status, found, _), (help_status, help_text, _) = lab_each(
        [["list", "--json"], ["list"], ["doctor", "--json"], ["--help"]]
    )
    assert (status, other_status, doctor_status, help_status) == (0, 0, 0, 0)
    entries = {each["target"]: each for each in json.loads(listed)}
    assert {target: (each["kind"], each["of"]) for target, each in entries.items()} == {
        "scenarios.counter:Counted": ("right", None),
        LOST: ("planted", "scenarios.counter:Counted"),
        "scenarios.counter:Refused": ("probe", None),
    }
    assert entries[LOST] == {
        "version": 1,
        "target": LOST,
        "kind": "planted",
        "of": "scenarios.counter:Counted",
        "token": None,
        "isolation": "READ COMMITTED",
        "actors": ["ann", "ben"],
        "invariants": ["every request counts"],
        "checks": [],
    }
    assert f"{LOST}  planted of scenarios.counter:Counted  READ COMMITTED  ann, ben" in plain
    abilities = {"server", "version", "superuser", "may_create_databases", "pushed", "frozen", "clock_follows"}
    assert json.loads(found).keys() == abilities | {"report_version"}
    assert "hunt" in help_text


# ---------------------------------------------------------------------------------------------- wrong use

WRONG = {
    "unknown short name": (["hunt", "Conted"], 2, "did you mean scenarios.counter:Counted"),
    "unknown class": (["hunt", "scenarios.counter:LostCout"], 2, f"did you mean {LOST}"),
    "nothing near": (["hunt", "hostile:Xyzzy"], 2, "`lab list hostile` lists the scenarios"),
    "a module": (["hunt", "scenarios.counter"], 2, "is a module; name a scenario of it, such as scenarios.counter:"),
    "a file": (["hunt", "hostile.py"], 2, "hostile.py is a module; name a scenario of it, such as hostile:NAME"),
    "a folder around": (["hunt", ".."], 2, "no scenario named '..'"),
    "the root": (["hunt", "/"], 2, "no scenario named '/'"),
    "longer than a path": (["hunt", "a" * 5000], 2, "no scenario named 'aaa"),
    "empty target": (["hunt", ""], 2, "no scenario named ''"),
    "empty class": (["hunt", "hostile:"], 2, "no scenario ''"),
    "empty module": (["hunt", ":X"], 2, "is not a module name"),
    "unknown module": (["hunt", "nowhere:X"], 2, "no module named 'nowhere'"),
    "missing dependency": (["hunt", "missing_dependency:X"], 2, "No module named 'no_such_dependency'"),
    "module raises": (["hunt", "raises:X"], 2, "does not import: RuntimeError: no configuration ("),
    "module reads the environment": (["hunt", "configured:X"], 2, "configured.py:3)"),
    "emoji in what was entered": (["explain", ":b:"], 2, "no page of ':b:'"),
    "module leaves": (["hunt", "leaves:X"], 2, "does not import: SystemExit: not without a terminal"),
    "no scenario class": (["hunt", "scenarios.counter:Counter"], 2, "does not derive from lab.Scenario"),
    "list of nowhere": (["list", "nowhere"], 2, "no module named 'nowhere'"),
    "no actor": (["hunt", "hostile:NoActor"], 2, "has no actor"),
    "one actor": (["hunt", "hostile:OneActor"], 2, "has one actor (only)"),
    "no dataclass": (["hunt", "hostile:NoDataclass"], 2, "declares colour but is not a dataclass"),
    "no default": (["hunt", "hostile:NoDefault"], 2, "give every parameter a default"),
    "refuses to be made": (["hunt", "hostile:BadParameter"], 2, "ValueError: start is never right"),
    "unknown parameter": (["hunt", "hostile:UnknownParameter"], 2, "UnknownParameter.cleo asks for 'sesion'"),
    "not async": (["hunt", "hostile:NotAsync"], 2, "NotAsync.cleo must be `async def`"),
    "isolation of class": (["hunt", "hostile:BadLevel"], 2, "asks for isolation 'READ UNCOMITTED'"),
    "setup raises": (["hunt", "hostile:BadSetup"], 2, "the setup of hostile:BadSetup failed: KeyError: 'the file"),
    "setup breaks a key": (["hunt", "hostile:BadRows"], 2, "duplicate key value violates unique constraint"),
    "bad tables": (["hunt", "hostile:BadTables"], 2, "the tables cannot be created"),
    "invariant raises": (["hunt", "hostile:BadInvariant"], 2, "invariant divides of hostile:BadInvariant raised Zero"),
    "invariant's SQL": (["hunt", "hostile:BadInvariantSql"], 2, 'relation "nowhere" does not exist'),
    "in a worker": (["hunt", "hostile:BadSetup", "--workers", "2"], 2, "KeyError: 'the file of accounts'"),
    "foreign option": (["hunt", "Counted", "--depth", "2"], 2, "'portfolio' has no option 'depth'; its options are"),
    "foreign token": (["replay", "hello"], 2, "'hello' is not a replay token"),
    "empty token": (["replay", ""], 2, "is not a replay token"),
    "truncated token": (["replay", token("ann ben ben ann")[:-1]], 2, "was cut short"),
    "mistyped token": (["replay", token("ann ben").replace("ann", "ben")], 2, "was mistyped or cut"),
    "other version": (["replay", token("ann").replace("lab1", "lab9")], 2, "is of version lab9"),
    "token's module": (["replay", token("ann ben", "nowhere:X")], 2, "no module named 'nowhere'"),
    "token's class": (["replay", token("ann ben", "scenarios.counter:Gone")], 2, "no scenario 'Gone'"),
    "token's actor": (["replay", token("ann cleo")], 2, "has no actor 'cleo'"),
    "token's parameter": (["replay", token("ann ben", size=1)], 2, "has no parameter 'size'"),
    "token's value": (["replay", token("ann ben", start="x")], 2, "the setup of scenarios.counter:LostCount failed"),
    "token without actors": (["replay", token("ann", "hostile:NoActor")], 2, "has no actor"),
    "never runnable": (
        ["replay", token("ann ann ann ann")],
        3,
        "diverged at step 4: expected ann to go on, but runnable were: ben.",
    ),
    "more steps": (["replay", token("ann ann ann")], 3, "expected the end, but still runnable: ben"),
    "fewer steps": (
        ["replay", token("ann ann ann ben ben ben ben")],
        3,
        "after step 6: the execution ended, but expected ben to go on",
    ),
    "other choices": (
        ["replay", token("ann ann ann ben ben ben", choices="aaaaa")],
        3,
        "who else was runnable differs",
    ),
    "unknown fault": (
        ["hunt", "Counted", "--faults", "kill,meteor"],
        2,
        "there is no fault 'meteor' to ask for; known are cancel, kill, crash",
    ),
    "a fault that comes unasked": (["matrix", "Counted", "--faults", "time"], 2, "there is no fault 'time' to ask for"),
    "unknown fault in a token": (["replay", token("ann meteor@ben")], 2, "has a fault 'meteor' that this lab does not"),
    "garbage URL": (["doctor", "--url", "garbage"], 2, "not a database URL"),
    "URL of MySQL": (["hunt", "Counted", "--url", "mysql://h/d"], 2, "this URL names mysql"),
    "port in letters": (["doctor", "--url", "postgresql://h:port/d"], 2, "not a database URL"),
    "nobody there": (
        ["doctor", "--url", "postgresql://127.0.0.1:1/d"],
        3,
        "cannot connect to postgresql://127.0.0.1:1/d",
    ),
    "unknown option of a URL": (
        ["doctor", "--url", "postgresql://127.0.0.1:1/d?odd=1"],
        2,
        "a parameter that neither asyncpg nor PostgreSQL knows",
    ),
}


def complaints(case: str, status: int, out: str, err: str) -> list[str]:
    """What is wrong with the answer to a wrong use."""
    _, expected, says = WRONG[case]
    err = "".join(line for line in err.splitlines(keepends=True) if not line.startswith("lab: imports "))
    demands = {
        f"names the cause, {says!r}": says in err,
        "no traceback": "Traceback" not in out + err,
        "one sentence on one line": err.startswith("lab: ") and err.count("\n") == 1,
        f"status {expected}": status == expected,
        "nothing on standard output": not out or expected == 3,
    }
    return [f"{case}: {demand}, but: {status} {err}" for demand, met in demands.items() if not met]


def test_wrong_use_gets_one_clear_sentence():
    """One line on standard error that names the cause, no traceback, and the status of wrong use or of a failure.

    One test for all, since they share a process: each of its own would cost the start of an interpreter.
    """
    answers = lab_each([line for line, _, _ in WRONG.values()])
    assert len(answers) == len(WRONG)
    assert [each for case, given in zip(WRONG, answers, strict=True) for each in complaints(case, *given)] == []


@pytest.mark.parametrize(
    "line", [["hunt", "Counted", "--executions", "0"], ["hunt", "--scheduler", "best"], ["frobnicate"]]
)
def test_wrong_options_are_refused_as_wrong_use(line):
    """What click itself refuses exits with 2 and says so."""
    ((status, out, err),) = lab_each([line])
    assert (status, out) == (2, "")
    assert "Error: " in err


def test_a_folder_without_scenarios_is_named_as_such(tmp_path):
    """Without a package `scenarios` each command says what is missing, and how to go on."""
    for status, _, err in lab_each([["list"], ["hunt"], ["hunt", "Counted"]], cwd=tmp_path):
        assert status == 2
        assert "'scenarios'" in err
        assert "module:Class" in err or "run the lab from the folder that holds it" in err
        assert err.count("\n") == 1


# ---------------------------------------------------------------------------------------------- what goes wrong midway


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("ServerDies", "the server "),
        ("ServerCrashes", "the server "),
        ("Interrupted", "interrupted"),
    ],
)
def test_what_was_found_is_shown_when_a_hunt_ends_early(target, reason, workers):
    """The server dies, loses a backend, or Ctrl-C is pressed: the failures found before are there, and why it ended."""
    started = time.monotonic()
    endless = ("--scheduler", "random", "--executions", "20000")  # the portfolio would have run every trace before
    done = lab("hunt", f"hostile:{target}", "--keep-going", *endless, "--workers", workers, "--json")
    result = answer(done)
    assert (done.returncode, done.stderr) == (1, "")
    assert reason in result["reason"]
    assert 0 < result["executions"] < 20000
    assert [failure["invariant"] for failure in result["failures"]] == ["every request counts"]
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_the_demonstration_and_shows_its_table(workers, tmp_path):
    """Ctrl-C ends the whole demonstration, not one scenario of it, and what was done is shown with status 3."""
    package = tmp_path / "scenarios"
    package.mkdir()
    for name in ("__init__.py", "counter.py"):
        (package / name).write_text((CASES / "scenarios" / name).read_text())
    (tmp_path / "hostile.py").write_text((CASES / "hostile.py").read_text())
    (package / "a_first.py").write_text(
        "from hostile import Interrupted\nfrom scenarios.counter import Counted\n\n"
        "class Stopped(Interrupted):\n    async def every_request_counts(self) -> None: ...\n"
    )
    done = lab("hunt", "--scheduler", "random", "--executions", "3000", "--workers", workers, cwd=tmp_path)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "scenarios.a_first:Stopped" in done.stdout
    assert "ended early: interrupted" in done.stdout


def test_an_invariant_that_crashes_late_hides_no_violation():
    """What was found before a scenario turned out to be broken is shown, with the reason for the end."""
    done = lab("hunt", "hostile:BreaksLate", "--scheduler", "random", "--keep-going", "--json")
    result = answer(done)
    assert done.returncode == 1
    assert "ZeroDivisionError" in result["reason"]
    assert [failure["invariant"] for failure in result["failures"]] == ["every request counts"]


@pytest.mark.parametrize(
    ("line", "statuses"),
    [
        (["list"], {0, 3}),
        (["hunt", "LostCount", "--no-remedies", "--no-fresh"], {3}),
        (["hunt", "--executions", "5", "--no-fresh"], {3}),
    ],
)
def test_a_reader_that_leaves_is_no_violation(line, statuses):
    """Standard output closed early ends the lab quietly, and never with the status of a violation."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as nobody:
        done = lab(*line, stdout=nobody)
    assert done.stderr == ""
    assert done.returncode in statuses


def test_a_full_disk_is_told_in_one_sentence():
    """Output that cannot be written is no traceback and no violation."""
    with Path("/dev/full").open("w") as full:
        done = lab_started("hunt", "LostCount", "--no-remedies", "--no-fresh", stdout=full)
    assert (done.returncode, done.stderr) == (3, "lab: cannot go on: [Errno 28] No space left on device\n")


# ------------------------------------------------------------------------------------------ servers and surroundings


async def databases(server: Server) -> list[str]:
    connection = await asyncpg.connect(**server.connect)
    try:
        return [name for (name,) in await connection.fetch("SELECT datname FROM pg_database ORDER BY datname")]
    finally:
        await connection.close()


@pytest.fixture
async def other_role(server: Server):
    connection = await asyncpg.connect(**server.connect)
    await connection.execute("CREATE ROLE lab_test_guest LOGIN")
    yield "lab_test_guest"
    await connection.execute("DROP ROLE lab_test_guest")
    await connection.close()


async def test_a_role_that_may_not_create_databases_is_told_so(server, other_role):
    """The lab works only in databases of its own, so a role without CREATEDB cannot be used; the sentence says why."""
    url = url_of(server, user=other_role)
    for line in (["hunt", "Counted"], ["doctor"], ["hunt", "Counted", "--workers", "2"]):
        done = lab(*line, env=environment(LAB_URL=url))
        assert done.returncode == 3
        assert "may not create databases" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_server_given_by_url_is_left_as_it_was(server, workers):
    """LAB_URL is used, the verdict is the same, and the lab's databases are gone afterwards."""
    before = await databases(server)
    line = ["hunt", "LostCount", "--json", "--workers", workers, "--no-remedies"]
    done = lab(*line, env=environment(LAB_URL=url_of(server)))
    assert (done.returncode, answer(done)["verdict"]) == (1, "fail")
    assert await databases(server) == before


def test_a_long_temporary_folder_and_a_home_that_cannot_be_written_do_not_matter(tmp_path):
    """The embedded server starts where TMPDIR is too long for a socket and HOME is read-only.

    Root may write there all the same; anybody else has the cache of templates in the temporary folder then.
    """
    long = tmp_path / ("t" * 90)
    home = tmp_path / "home"
    long.mkdir()
    home.mkdir()
    home.chmod(stat.S_IRUSR | stat.S_IXUSR)
    done = lab(
        "hunt", "LostCount", "--json", "--no-remedies", "--no-fresh", env=environment(TMPDIR=str(long), HOME=str(home))
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert {each.name for each in long.iterdir()} <= {f"concurrency-lab-{os.getuid()}"}
