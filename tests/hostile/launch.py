"""Runs command lines of the lab to their ends, one after the other, each in a forked process of its own.

Forking saves the imports of each. Reads a JSON object a line, {folder, arguments, cwd, gone, environment, press,
seconds}, and answers with {status, seconds, ended, stdout, stderr}. `press` lists signals as [after so many seconds,
number]. A process that does not end within its seconds is killed with its whole group; its status is then "late". What
goes wrong here is a status as well, so that it fails one test and not all that come after it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import runpy
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from lab.cli import main

runpy.run_path(str(Path(__file__).parents[1] / "helpers" / "preload.py"))  # what a hunt needs, imported once for all

LOOK = 0.02


def become(order: dict[str, Any]) -> NoReturn:
    """In the forked process: become a command line."""
    status = 99
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(order["cwd"])
        if order.get("gone"):
            Path(order["cwd"]).rmdir()
        os.environ.update(order.get("environment", {}), TMPDIR=order["folder"])
        tempfile.tempdir = order["folder"]
        sys.argv = ["lab", *order["arguments"]]
        main()
    except SystemExit as error:  # as the console script leaves, with what user code left to be done at the exit
        status = error.code if isinstance(error.code, int) else 98
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
    finally:
        os._exit(status)


def run(order: dict[str, Any]) -> dict[str, Any]:
    """One command line to its end."""
    said = {name: Path(order["folder"], name) for name in ("stdout", "stderr")}
    files = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600) for path in said.values()]
    started = time.monotonic()
    if not (pid := os.fork()):
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(files[0], 1)
        os.dup2(files[1], 2)
        os.closerange(3, 64)
        become(order)
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
    ended, seconds = time.time(), time.monotonic() - started
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if status == "late":
        os.waitpid(pid, 0)
    for file in files:
        os.close(file)
    texts = {name: path.read_bytes().decode(errors="replace") for name, path in said.items()}
    return {"status": status, "seconds": seconds, "ended": ended, **texts}


def answer(line: str) -> dict[str, Any]:
    """What becomes of one order."""
    try:
        return run(json.loads(line))
    except Exception as error:
        return {"status": f"not launched: {error!r}", "seconds": 0.0, "ended": 0.0, "stdout": "", "stderr": ""}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(line)) + "\n")
        sys.stdout.flush()
