"""Whatever code of a scenario does, the lab ends clearly: in time, with the right exit status and a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.lab_program import environment, temporary_folder

from hostile.cases import AFRESH, BRIEF, CASES, Case

HERE = Path(__file__).parent
SECONDS = 15.0
"""The bound of each case."""
ANSWER_SECONDS = 2.0
"""Within which a signal is answered. The server takes its leave in it, too."""

LEFT_SECONDS = 5.0

Launch = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    """Runs a command line in a process forked from one that has the imports done."""
    with (
        tempfile.TemporaryFile("w+") as words,
        subprocess.Popen(
            [sys.executable, "-P", HERE / "launch.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env=environment(),
            text=True,
            start_new_session=True,  # what a case signals as its group must never be this one
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None

        def run(order: dict[str, Any]) -> dict[str, Any]:
            try:
                process.stdin.write(json.dumps(order) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except OSError:
                line = ""
            if not line:
                words.seek(0)
                pytest.fail(f"the launcher ended with {process.wait()}: {words.read()}")
            return json.loads(line)

        yield run
        process.stdin.close()


def what_is_left(folder: Path) -> list[str]:
    """The folders of servers that are still there some seconds later; a keeper may outlive the lab by a moment."""
    until = time.monotonic() + LEFT_SECONDS
    while (left := [path.name for path in folder.glob("lab-*")]) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def marks_of(case: Case) -> list[pytest.MarkDecorator]:
    """What is timed runs beside nothing else."""
    marks = [pytest.mark.alone] if case.press or case.pressed else []
    return marks if case.name in BRIEF else [*marks, pytest.mark.long]


TIMED = [pytest.param(case, id=case.name, marks=marks_of(case)) for case in CASES + AFRESH]


@pytest.mark.parametrize("case", TIMED)
def test_it_ends_clearly(case: Case, launch: Launch) -> None:
    """In time, with its exit status, a sentence and no traceback; with --json, one value on standard output."""
    with temporary_folder() as folder:
        cwd = HERE / case.folder
        if case.folder == "gone":
            cwd = folder / "gone"
            cwd.mkdir()
        done = launch(
            {
                "folder": str(folder),
                "arguments": case.arguments,
                "cwd": str(cwd),
                "gone": case.folder == "gone",
                "environment": dict(case.environment),
                "press": case.press,
                "seconds": SECONDS,
            }
        )
        left = what_is_left(folder)
        pressed = (folder / "pressed").stat().st_mtime if case.pressed else 0.0
    said = done["stdout"][-3000:] + done["stderr"][-3000:]
    everything = done["stdout"] + done["stderr"]
    assert done["status"] == case.status, said
    assert case.says in everything, said
    assert "Traceback (most recent call last)" not in everything, said
    assert "never retrieved" not in everything, said
    assert "Exception ignored" not in everything, said
    assert not left, said
    if case.press:
        assert done["seconds"] - case.press[-1][0] < ANSWER_SECONDS, said
    if case.pressed:
        assert done["ended"] - pressed < ANSWER_SECONDS, said
    if case.json is not None:
        value = json.loads(done["stdout"])
        assert case.json.items() <= (value.items() if isinstance(value, dict) else {}.items()), said
