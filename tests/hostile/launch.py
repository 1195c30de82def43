"""Runs command lines of the lab to their ends, one after the other, each in a forked process of its own.

Forking saves the imports of each. Reads a JSON object a line, {folder, arguments, cwd, gone, environment, press,
seconds}, and answers with {status, seconds, stdout, stderr}. `press` lists signals as [after so many seconds, number].
A process that does not end within its seconds is killed with its whole group; its status is then "late".
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy.dialects.postgresql.asyncpg  # noqa: F401 - what a hunt needs, imported once for all

import lab.explore
import lab.search.campaign  # noqa: F401 - the same
from lab.cli import main

LOOK = 0.02


def begin(order: dict[str, Any]) -> None:
    """In the forked process: become a command line."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["cwd"])
    if order.get("gone"):
        Path(order["cwd"]).rmdir()
    folder = order["folder"]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND), descriptor)
    os.environ.update(order.get("environment", {}), TMPDIR=folder)
    tempfile.tempdir = folder
    sys.argv = ["lab", *order["arguments"]]


def run(order: dict[str, Any]) -> dict[str, Any]:
    """One command line to its end."""
    started = time.monotonic()
    if not (pid := os.fork()):
        begin(order)
        main()  # leaves by SystemExit, as the console script does
        os._exit(99)
    press = sorted(order.get("press", ()))
    status: int | str = "late"
    while (passed := time.monotonic() - started) < order["seconds"]:
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(code)
            break
        while press and passed >= press[0][0]:
            os.kill(pid, press.pop(0)[1])
        time.sleep(LOOK)
    seconds = time.monotonic() - started
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if status == "late":
        os.waitpid(pid, 0)
    said = {name: Path(order["folder"], name).read_bytes().decode(errors="replace") for name in ("stdout", "stderr")}
    return {"status": status, "seconds": seconds, **said}


if __name__ == "__main__":
    parent = os.getpid()
    try:
        for line in sys.stdin:
            sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
            sys.stdout.flush()
    finally:
        if os.getpid() != parent:  # a command line that left: nothing of the loop above is its business
            sys.stdin = None  # type: ignore[assignment]
