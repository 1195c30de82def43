"""How a worker process is started: its command, its environment, and the first lines that it reads.

Where the server is, with its password if it has one, a worker reads from its standard input: arguments can be read by
every user of the machine. It has a session of its own, so that a terminal's signals do not reach it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

from lab.engine.watchdog import bounds, hurried
from lab.postgres.server.place import Place

__all__ = [
    "LONGEST_LINE",
    "Early",
    "closed",
    "command",
    "early",
    "greeting",
    "manner",
    "patience",
    "signalled",
    "start",
]

LONGEST_LINE = 64 * 1024 * 1024
"""Of an answer: a result with its reports."""
LEAVING_SECONDS = 5.0
"""How long a worker may take to clean up, or one that was interrupted to say what it found."""
HURRIED_SECONDS = 0.7
"""The same when this process was asked to end: it has less than two seconds for everything."""


def command(lifeline: int) -> tuple[str, ...]:
    """What is run. `lifeline` is the reading end of a pipe of which this process alone holds the writing end.

    -P: the working folder is searched for the user's modules, and not for the lab, of whose name there may be a folder.
    """
    return sys.executable, "-P", "-m", "lab.search.begin", "lab.search.workers", str(lifeline)


def manner(lifeline: int) -> dict[str, Any]:
    """The keywords of its start."""
    env = {name: value for name, value in os.environ.items() if name != "LAB_URL"}
    return {"env": env, "pass_fds": (lifeline,), "start_new_session": True}


async def start(lifeline: int) -> asyncio.subprocess.Process:
    """Start one. It imports what it needs, and then waits for its greeting."""
    return await asyncio.create_subprocess_exec(
        *command(lifeline),
        **manner(lifeline),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
    )


@dataclass
class Early:
    """One that was started before it is known what for, and its lifeline."""

    process: asyncio.subprocess.Process
    lifeline: tuple[int, int]
    taken: bool = False
    """By somebody who greets it and ends it."""


@contextlib.asynccontextmanager
async def early() -> AsyncIterator[Early]:
    """Start one for a block, at whose end it is killed if nobody has taken it: then it has run nothing."""
    lifeline = os.pipe()
    started: Early | None = None
    try:
        started = Early(await start(lifeline[0]), lifeline)
        yield started
    finally:
        if started is None or not started.taken:
            if started is not None:
                signalled(started.process.pid, signal.SIGKILL)
                await started.process.communicate()
                await closed(started.process)
            for descriptor in lifeline:
                os.close(descriptor)


async def closed(process: asyncio.subprocess.Process) -> None:
    """Return when the pipe to one that has ended is closed.

    It may have broken, which is known by then. asyncio of Python 3.11.2 reports that later, to whatever runs then,
    unless somebody asks.
    """
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        await process.stdin.wait_closed()


def greeting(place: Place) -> bytes:
    """The first lines of its standard input."""
    return f"{place.dump()}\n{json.dumps(asdict(bounds()))}\n".encode()


def patience() -> float:
    """How many seconds one may take to leave."""
    return HURRIED_SECONDS if hurried() else LEAVING_SECONDS


def signalled(pid: int, number: int) -> None:
    """Send it a signal, if it is there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
