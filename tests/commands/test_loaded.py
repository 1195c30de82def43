"""What a command loads: libraries that it does not use would take longer than its work."""

from __future__ import annotations

import json
import subprocess
import sys

from helpers.lab_program import CASES, PROGRAM, environment


def loaded(*command: str, status: int = 0) -> tuple[set[str], str]:
    """The packages that a Python process imports, and what it prints."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        cwd=CASES, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr[-2000:]
    names = (line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {name.partition(".")[0] for name in names}, done.stdout


def test_a_hunt_and_a_replay_load_neither_networkx_nor_hypothesis():
    """Not even where the hunt finds a cycle of dependencies and says so."""
    found, out = loaded(
        str(PROGRAM), "hunt", "scenarios.counter:LostCount", "--no-remedies", "--no-fresh", "--json", status=1
    )
    token = json.loads(out)["failures"][0]["token"]
    assert token.split(":")[-2].startswith("invariant.P4")
    for names in (found, loaded(str(PROGRAM), "replay", token, "--times", "1", status=1)[0]):
        assert {"sqlalchemy", "asyncpg"} <= names
        assert not {"networkx", "hypothesis"} & names


def test_a_standby_begins_before_anything_heavy_is_loaded():
    found, _ = loaded("-c", "import lab.search.standby")
    assert "asyncio" in found
    assert not {"sqlalchemy", "asyncpg", "networkx", "hypothesis"} & found
