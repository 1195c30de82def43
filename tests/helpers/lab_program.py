"""The command line as a user has it, in a folder of its own with few and quick scenarios.

Nearly all are forked from a process that has the imports done (see `launcher`); `lab_started` starts the installed
program.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

CASES = Path(__file__).parents[1] / "cases"
PROGRAM = Path(sys.executable).with_name("lab")
SECONDS = 100
"""The bound of each command line."""


def environment(**more: str) -> dict[str, str]:
    """The environment without what would point the lab elsewhere."""
    kept = {name: value for name, value in os.environ.items() if name not in {"LAB_URL", "PYTHONPATH", "COLUMNS"}}
    return {**kept, **more}


def lab_started(*arguments: str, cwd: Path = CASES, **more: Any) -> subprocess.CompletedProcess[str]:
    """Start the installed `lab` and run it to its end."""
    options = {"env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run(
        [PROGRAM, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, text=True, timeout=SECONDS, check=False, **options
    )


def lab(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run `lab` to its end, in a process of its own. It is started where the environment speaks to the interpreter."""
    if _for_python(more.get("env", environment())) != _for_python(environment()):
        return lab_started(*arguments, **more)
    return _launched([list(arguments)], **more)


def _for_python(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith("PYTHON")}


@functools.cache
def _launcher() -> socket.socket:
    """A launcher for this test process; it ends when the socket is closed, so at the latest with this process."""
    ours, its = socket.socketpair()
    ours.settimeout(SECONDS)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-P", Path(__file__).with_name("launcher.py")], stdin=its, env=environment()
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _launched(
    lines: list[list[str]],
    *,
    several: bool = False,
    cwd: Path = CASES,
    env: dict[str, str] | None = None,
    stdout: IO[Any] | None = None,
) -> subprocess.CompletedProcess[str]:
    launcher = _launcher()
    with (
        tempfile.TemporaryFile("w+") as order,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
        Path(os.devnull).open() as nothing,
    ):
        json.dump(
            {"lines": lines, "several": several, "cwd": str(cwd), "environment": environment() if env is None else env},
            order,
        )
        order.flush()
        order.seek(0)
        files = [file.fileno() for file in (order, nothing, stdout or out, err)]
        socket.send_fds(launcher, [b"?"], files)
        launcher.settimeout(SECONDS * max(1, len(lines) if several else 1))
        with launcher.makefile() as answers:
            pid = int(answers.readline())
            try:
                status = int(answers.readline())
            except BaseException:
                os.kill(pid, signal.SIGKILL)
                _launcher.cache_clear()  # this one still owes an answer
                raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(lines, status, out.read(), err.read())


def _place() -> str:
    """In memory where it is roomy: a server is a thousand files."""
    with contextlib.suppress(OSError):
        room = os.statvfs("/dev/shm")
        if room.f_bavail * room.f_frsize >= 4 << 30 and os.access("/dev/shm", os.W_OK | os.X_OK):
            return "/dev/shm"
    return "/tmp"


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for TMPDIR: short enough for a server's socket and open to its account, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="t-", dir=_place()))
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
    done = _launched(lines, several=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return [tuple(each) for each in json.loads(done.stdout)]
