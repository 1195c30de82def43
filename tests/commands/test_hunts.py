"""What `lab hunt` keeps: `lab hunts`, going on, and what is known, which is replayed before the next hunt."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.lab_program import CASES, PROGRAM, answer, environment, lab
from jsonschema import Draft202012Validator

from lab.search.kept.tables import APPLICATION

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())
FEW = ("--no-remedies", "--no-fresh")
LOST = ("hunt", "LostCount", *FEW)


def keeping() -> dict[str, str]:
    """The environment of somebody who keeps hunts."""
    return {name: each for name, each in environment().items() if name not in {"LAB_NO_KEEP", "CI"}}


@pytest.fixture
def project(tmp_path) -> Path:
    """A folder with the scenarios of the counter."""
    shutil.copytree(CASES / "scenarios", tmp_path / "scenarios")
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return lab(*words, cwd=project, env=keeping())


def told(project: Path, *words: str) -> Any:
    return answer(run(project, *words, "--json"))


def fits(value: Any, shape: str) -> bool:
    return Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{shape}"}]}).is_valid(value)


def test_a_hunt_is_kept_and_what_it_found_is_replayed_before_the_next_one(project):
    """The second hunt finds what a hunt without kept ones finds; the known violation stands beside it, and first."""
    first = told(project, *LOST)
    assert fits(first, "hunt")
    assert first["known"] == []
    (listed,) = told(project, "hunts")
    assert fits([listed], "hunts")
    assert (listed["id"], listed["state"], listed["verdict"], listed["failures"]) == (
        first["hunt"],
        "finished",
        "fail",
        1,
    )
    one = told(project, "hunts", "show", first["hunt"][:4])
    assert fits(one, "kept_hunt")
    assert one["failures"] == first["failures"]
    assert one["versions"]["postgresql"]
    assert first["failures"][0]["token"] in run(project, "hunts", "show", first["hunt"]).stdout

    again = told(project, *LOST)
    (known,) = again["known"]
    assert (known["state"], known["hunt"], known["token"]) == ("fails", first["hunt"], first["failures"][0]["token"])
    assert {name for name in first if first[name] != again[name]} <= {"seconds", "hunt", "known"}
    assert run(project, *LOST).stdout.startswith("KNOWN  'every request counts', found ")


def test_a_known_violation_decides_where_the_search_finds_nothing_until_it_is_mended(project):
    """A search of one execution finds nothing. Then the scenario itself is mended, which is a change of it."""
    told(project, *LOST)
    nothing = (*LOST, "--executions", "1", "--scheduler", "serial")
    done = run(project, *nothing)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("a known violation still fails")
    elsewhere = told(project, *nothing, "--isolation", "SERIALIZABLE")
    assert elsewhere["known"][0]["state"] == "fails"
    assert elsewhere["verdict"] != "fail"  # it is known at another level

    counter = project / "scenarios" / "counter.py"
    counter.write_text(f"{counter.read_text()}\n\nLostCount.add = Counted.add\n")
    assert [each["state"] for each in told(project, *nothing)["known"]] == ["changed"]
    assert told(project, *nothing)["known"] == []


def test_a_hunt_that_was_killed_goes_on(project):
    """Nothing of what was shown is missing, and what the hunt comes to is what it would have come to."""
    words = ("hunt", "LostCount", "--keep-going", *FEW)
    whole = told(project, *words, "--no-keep")
    with subprocess.Popen(
        [PROGRAM, *words], cwd=project, env=keeping(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:  # fmt: skip
        wait_for_a_checkpoint(project / ".lab" / "hunts.sqlite", process)
        process.send_signal(signal.SIGKILL)
    (row,) = told(project, "hunts")
    assert row["state"] == "dead"
    went_on = told(project, "hunt", "--resume", row["id"])
    assert {name for name in whole if whole[name] != went_on[name]} - {"seconds"} == {"hunt"}
    assert went_on["hunt"] == row["id"]
    (row,) = told(project, "hunts")
    assert (row["state"], row["executions"]) == ("finished", whole["executions"])


def wait_for_a_checkpoint(file: Path, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        if file.exists():
            connection = sqlite3.connect(file)
            try:
                if connection.execute("SELECT count(*) FROM checkpoints").fetchone() != (0,):
                    return
            except sqlite3.OperationalError:
                pass  # its tables are not there yet
            finally:
                connection.close()
        time.sleep(0.005)
    pytest.fail("the hunt ended before it was killed")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("hunt", "--resume", "nobody"), "no hunts are kept here"),
        (("hunt", "LostCount", "--resume", "nobody"), "leave out TARGET"),
        (("hunt", "--resume", "nobody", "--seed", "1"), "leave out --seed"),
        (("hunts", "show", "nobody"), "no hunts are kept here"),
        (("hunts", "forget"), "give the id of a hunt"),
        (("hunts", "forget", "--before", "soon"), "a date is written as in"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(project, words, sentence):
    done = run(project, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_an_id_of_nobody_and_one_that_is_finished(project):
    first = told(project, "hunt", "Counted", "--executions", "2")["hunt"]
    for words, sentence in (
        (("hunts", "show", "nobody"), "no hunt 'nobody' is kept"),
        (("hunt", "--resume", first), f"the hunt {first} is finished"),
    ):
        done = run(project, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert sentence in done.stderr
    assert run(project, "hunts", "forget", first).stdout == f"forgotten: {first}\n"
    assert run(project, "hunts").stdout == "no hunts are kept here\n"


def broken(folder: Path) -> None:
    folder.mkdir()
    (folder / "hunts.sqlite").write_text("no database, and longer than the hundred bytes of a header" * 10)


def foreign(folder: Path) -> None:
    folder.mkdir()
    with sqlite3.connect(folder / "hunts.sqlite") as file:
        file.execute("CREATE TABLE others (id)")


def newer(folder: Path) -> None:
    foreign(folder)
    with sqlite3.connect(folder / "hunts.sqlite") as file:
        file.execute(f"PRAGMA application_id={APPLICATION}")
        file.execute("PRAGMA user_version=99")


@pytest.mark.parametrize(
    ("spoil", "sentence", "kept"),
    [
        (lambda folder: folder.write_text(""), "cannot be used: File exists", False),
        (broken, "was damaged; it is hunts.sqlite.damaged-", True),
        (foreign, "is not a file of the lab's; it is left as it is", False),
        (newer, "is of a newer form (99) than this version of the lab knows (1)", False),
    ],
    ids=["in the way", "broken", "foreign", "newer"],
)
def test_a_file_that_cannot_be_used_costs_one_sentence(project, spoil, sentence, kept):
    """The hunt goes on, and its answer is what it is without."""
    spoil(project / ".lab")
    before = None if kept or not (project / ".lab").is_dir() else (project / ".lab" / "hunts.sqlite").read_bytes()
    done = run(project, "hunt", "Counted", "--executions", "2", "--json")
    (line,) = done.stderr.splitlines()
    assert sentence in line
    value = json.loads(done.stdout)
    assert (value["executions"], bool(value["hunt"])) == (2, kept)
    if before is not None:
        assert (project / ".lab" / "hunts.sqlite").read_bytes() == before
    if spoil is broken:
        assert [each.read_text()[:11] for each in (project / ".lab").glob("*.damaged-*")] == ["no database"]


def test_nothing_is_kept_where_nobody_wants_it(project):
    few = ("hunt", "Counted", "--executions", "2")
    told(project, *few, "--no-keep")
    (project / "pyproject.toml").write_text("[tool.lab]\nkeep = false\n")
    assert told(project, *few)["hunt"] is None
    assert not (project / ".lab").exists()
