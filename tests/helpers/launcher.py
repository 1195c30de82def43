"""Forks command lines of the lab from a process that has the imports done: each saves the second that they take.

A forked process has its own arguments, environment, folder, standard files and exit status, and ends as an interpreter
does. Only what a scenario imports, and what reads the environment while it is imported, is loaded in it anew.

Its standard input is a socket. Each message brings four open files: the order, which is a JSON object {lines, several,
cwd, environment}, and standard input, output and error. The answers are the process id at once, and its exit status
when it has ended, as `subprocess` gives it. Several lines are run in one forked process, whose output is then a JSON
list of [status, stdout, stderr].
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from lab.cli import main

runpy.run_path(str(Path(__file__).with_name("preload.py")))


def asked(channel: socket.socket) -> dict[str, Any] | None:
    """In a forked process: what it is to do. In the launcher: None, when nobody asks any more."""
    while True:
        message, files, _, _ = socket.recv_fds(channel, 1, 4)
        if not message:
            return None
        if not (pid := os.fork()):
            channel.close()
            for descriptor, file in enumerate(files[1:]):
                os.dup2(file, descriptor)
            with open(files[0], closefd=False) as order:
                asked = json.load(order)
            for file in files:
                os.close(file)
            return asked
        for file in files:
            os.close(file)
        channel.sendall(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        channel.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


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
    """One command line. Its work is done in a child process, which leaves from here."""
    status: object = None
    parent = os.getpid()
    sys.argv = ["lab", *arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with redirected(1, out), redirected(2, err):
            try:
                main()
            except SystemExit as error:
                if os.getpid() != parent:  # the child in which the work was done
                    raise
                status = error.code
            sys.stdout.flush()
            sys.stderr.flush()
        for file in (out, err):
            file.seek(0)
        return status, out.read().decode(), err.read().decode()


if __name__ == "__main__" and (order := asked(socket.socket(fileno=os.dup(0)))):
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    tempfile.tempdir = None
    if order["several"]:
        sys.stdout.write(json.dumps([run(line) for line in order["lines"]]))
    else:
        (line,) = order["lines"]
        sys.argv = ["lab", *line]
        main()
