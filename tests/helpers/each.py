"""Runs several command lines of the lab in one process, to save the start of an interpreter for each.

Reads a JSON list of argument lists, writes a JSON list of [status, stdout, stderr].
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

import lab.search.campaign
import lab.search.levels
import lab.search.remedies.trials  # noqa: F401 - each command line is done in a child process, which inherits these
from lab.cli import main

PARENT = os.getpid()


@contextlib.contextmanager
def redirected(descriptor: int, file: IO[bytes]) -> Iterator[None]:
    """Lead a file descriptor elsewhere: the work is done in a child process, which a replaced `sys.stdout` misses."""
    kept = os.dup(descriptor)
    os.dup2(file.fileno(), descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


def run(arguments: list[str]) -> tuple[object, str, str]:
    status: object = None
    sys.argv = ["lab", *arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with redirected(1, out), redirected(2, err):
            try:
                main()
            except SystemExit as error:
                if os.getpid() != PARENT:  # the child in which the work was done
                    raise
                status = error.code
            sys.stdout.flush()
            sys.stderr.flush()
        for file in (out, err):
            file.seek(0)
        return status, out.read().decode(), err.read().decode()


if __name__ == "__main__":
    sys.stdout.write(json.dumps([run(arguments) for arguments in json.load(sys.stdin)]))
