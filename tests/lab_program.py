"""The command line as a user has it: the installed program, in a folder of its own with few and quick scenarios."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases"
PROGRAM = Path(sys.executable).with_name("lab")


def environment(**more: str) -> dict[str, str]:
    """The environment without what would point the lab elsewhere."""
    kept = {name: value for name, value in os.environ.items() if name not in {"LAB_URL", "PYTHONPATH", "COLUMNS"}}
    return {**kept, **more}


def lab(*arguments: str, cwd: Path = CASES, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run `lab` to its end."""
    options = {"env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run(
        [PROGRAM, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, text=True, timeout=100, check=False, **options
    )


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """What `--json` printed."""
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def lab_each(lines: list[list[str]], *, cwd: Path = CASES) -> list[tuple[int, str, str]]:
    """Run several command lines in one process: (status, stdout, stderr) of each."""
    done = subprocess.run(
        [sys.executable, CASES.with_name("each.py")],
        cwd=cwd,
        input=json.dumps(lines),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return [tuple(each) for each in json.loads(done.stdout)]
