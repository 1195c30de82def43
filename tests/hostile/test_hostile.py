"""Whatever code of a scenario does, the lab ends clearly: in time, with the right exit status and a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.lab_program import environment, temporary_folder

from hostile.cases import CASES, Case

HERE = Path(__file__).parent
SECONDS = 15.0
"""The bound of each case."""
ANSWER_SECONDS = 2.0
"""Within which a signal is answered. The server takes its leave in it, too."""

Launch = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    """Runs a command line in a process forked from one that has the imports done."""
    with subprocess.Popen(
        [sys.executable, "-P", HERE / "launch.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(order: dict[str, Any]) -> dict[str, Any]:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield run
        process.stdin.close()


LEFT = {
    "Indexes": "an index that is made concurrently beside open transactions is reported as a violation",
    "LeavesOpen": "a transaction that an actor leaves open keeps the next execution from its tables",
    "StopsLoop": "the sentence is that of Ctrl-C and does not name the actor",
    "ExitsInLoop": "the sentence is that of Ctrl-C and does not name the actor",
    "Recursion": "a recursion limit that an actor lowers is still low when the lab goes on",
}
"""What does not end clearly yet."""


def marks_of(case: Case) -> list[pytest.MarkDecorator]:
    if case.name in LEFT:
        return [pytest.mark.xfail(reason=LEFT[case.name])]
    return [pytest.mark.alone] if case.press else []


TIMED = [pytest.param(case, id=case.name, marks=marks_of(case)) for case in CASES]


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
    said = done["stdout"][-3000:] + done["stderr"][-3000:]
    everything = done["stdout"] + done["stderr"]
    assert done["status"] == case.status, said
    assert case.says in everything, said
    assert "Traceback (most recent call last)" not in everything, said
    assert "never retrieved" not in everything, said
    if case.press:
        assert done["seconds"] - case.press[-1][0] < ANSWER_SECONDS, said
    if case.json is not None:
        value = json.loads(done["stdout"])
        assert case.json.items() <= (value.items() if isinstance(value, dict) else {}.items()), said
