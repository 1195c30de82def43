"""The command line as a user has it: the installed program, in a folder of its own with few and quick scenarios."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CASES = Path(__file__).parents[1] / "cases"
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


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for TMPDIR: short enough for a server's socket and open to its account, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    try:
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder)


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """What `--json` printed."""
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def lab_each(lines: list[list[str]], *, cwd: Path = CASES) -> list[tuple[int, str, str]]:
    """Run several command lines in one process: (status, stdout, stderr) of each."""
    done = subprocess.run(
        [sys.executable, "-P", Path(__file__).with_name("each.py")],
        cwd=cwd,
        input=json.dumps(lines),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return [tuple(each) for each in json.loads(done.stdout)]
