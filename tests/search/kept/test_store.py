"""The file in which hunts are kept: several processes at once, older forms, and what is written when."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from lab.analysis.tally import HuntResult
from lab.errors import UsageError
from lab.schedulers import make_scheduler
from lab.search.job import Job
from lab.search.kept import file as of_file
from lab.search.kept.file import KeptFile, NotKept
from lab.search.kept.frozen import frozen, thawed
from lab.search.kept.known import Known
from lab.search.kept.store import Checkpoint, Store, state_of

JOB = Job("scenarios.transfer:LostUpdate")
TOKEN = "lab1:counter:LostCount::-:ann.ben3.ann2:27s7y:invariant.P4.7uws:63y7td"


def written(path: Path, number: int) -> None:
    """What a hunt writes, in a process of its own."""
    file = KeptFile.open(path)[0]
    store = Store(file)
    hunt = store.begin(JOB, {}, {}, "")
    for each in range(5):
        store.reached(hunt, Checkpoint(each, HuntResult("a:B", 0, executions=each), None))
        Known(file).remember(TOKEN, "invariant", f"{number} {each}", source="", versions={}, durable=True)
    store.ended(hunt, HuntResult("a:B", 0, executions=5), "pass", {})


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".lab" / "hunts.sqlite"


@pytest.fixture
def store(path):
    file = KeptFile.open(path)[0]
    yield Store(file)
    file.close()


def test_ten_processes_make_and_write_one_file_at_once(path):
    """Nothing of what one wrote is missing."""
    forks = multiprocessing.get_context("fork")
    writers = [forks.Process(target=written, args=(path, number)) for number in range(10)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 10
    file = KeptFile.open(path)[0]
    rows = Store(file).hunts()
    assert [(row["state"], row["executions"]) for row in rows] == [("finished", 5)] * 10
    assert len({row["id"] for row in rows}) == 10
    assert len(Known(file).all()) == 50
    with file.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
    file.close()
    assert (path.parent / ".gitignore").read_text() == "*\n"


def test_an_older_form_is_brought_to_this_one_and_a_newer_one_is_left_alone(path, monkeypatch):
    """As it will be with the next form: what stands in the file stays."""
    file = KeptFile.open(path)[0]
    hunt = Store(file).begin(JOB, {}, {}, "")
    file.close()
    monkeypatch.setattr(of_file, "FORM", 3)
    migrations = {1: ["ALTER TABLE hunts ADD COLUMN note TEXT"], 2: ["UPDATE hunts SET note = 'new'"]}
    monkeypatch.setattr(of_file, "MIGRATIONS", migrations)
    KeptFile.open(path)[0].close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT id, note FROM hunts").fetchall() == [(hunt, "new")]
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    monkeypatch.undo()
    with pytest.raises(NotKept, match=r"newer form \(3\)"):
        KeptFile.open(path)


def test_a_file_that_is_damaged_while_it_is_used_is_set_aside(store, path):
    for _ in range(40):
        store.begin(JOB, {"": "x" * 2000}, {}, "")
    store.file.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(NotKept, match=r"is damaged; it is hunts\.sqlite\.damaged-\S+ now"):
        store.hunts()
    fresh = KeptFile.open(path)[0]
    assert Store(fresh).hunts() == []
    fresh.close()


def test_a_hunt_whose_process_is_gone_is_dead(store):
    hunt = store.begin(JOB, {}, {}, "")
    (row,) = store.hunts()
    assert state_of(row) == "running"
    assert state_of({**row, "process": {**row["process"], "begun": "before"}}) == "dead"
    with pytest.raises(UsageError, match="still running"):
        store.forget(name=hunt)
    assert store.forget(before="9999") == []


def test_what_is_reached_comes_back_as_it_was(store):
    """The counters, the scheduler, and what reduction found; the last one counts."""
    hunt = store.begin(JOB, {}, {}, "")
    result = HuntResult("a:B", 7, executions=3)
    scheduler = make_scheduler("random", 5)
    scheduler.begin(4)
    store.reached(hunt, Checkpoint(1, HuntResult("a:B", 7), None))
    store.reached(hunt, Checkpoint(3, result, frozen(scheduler), ["b", "a"]))
    point = store.checkpoint(hunt)
    assert (point.number, point.result, point.reduced) == (3, result, ["a", "b"])
    assert vars(thawed(point.scheduler)).keys() == vars(scheduler).keys()
    store.ended(hunt, result, "pass", {"seconds": 1})
    assert store.checkpoint(hunt) is None
    assert json.loads(json.dumps(store.hunt(hunt)["answer"])) == {"seconds": 1}


@pytest.mark.parametrize(
    "held",
    [
        b"",
        b"no pickle",
        b"cposix\nsystem\n(S'touch here'\ntR.",
        b"cbuiltins\ngetattr\n(cbuiltins\nlist\nS'append'\ntR.",
        frozen(lambda: 0),
    ],
)
def test_bytes_that_are_no_scheduler_run_nothing(held, tmp_path, monkeypatch):
    """A file may come from anybody: what is read from it names classes of schedulers and nothing else."""
    monkeypatch.chdir(tmp_path)
    assert thawed(held) is None
    assert list(tmp_path.iterdir()) == []
