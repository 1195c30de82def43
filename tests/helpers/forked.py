"""Starts command lines of the lab in forked processes, to save the imports of each.

Reads a JSON list [temporary folder, arguments] a line and answers with the process id. Each process leads a session of
its own, as one that was started by a shell would.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import tempfile
from pathlib import Path

from lab.cli import main

runpy.run_path(str(Path(__file__).with_name("preload.py")))  # what a hunt needs, imported once for all


def start(folder: str, arguments: list[str]) -> int:
    if pid := os.fork():
        return pid
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    sys.argv = ["lab", *arguments]
    main()
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes, so the kernel takes their remains
    for line in sys.stdin:
        sys.stdout.write(f"{start(*json.loads(line))}\n")
        sys.stdout.flush()
