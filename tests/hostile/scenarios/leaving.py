"""Ends the process, in each place: `InActorLeaves` calls `os._exit(0)` in an actor."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
import sys
import threading
from dataclasses import dataclass

from scenarios.quiet import Quiet, hostile
from scenarios.raising import plain_before, plain_judge, plain_setup
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor


def forges() -> None:
    """Write into every pipe what might pass for the end of a hunt that passed, and leave."""
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                os.write(number, b"\0")
    os._exit(0)


WAYS = {
    "Forges": forges,
    "ForksAndReturns": lambda: os.fork(),
    "Leaves": lambda: os._exit(0),
    "LeavesOne": lambda: os._exit(1),
    "LeavesInC": lambda: ctypes.CDLL(None)._exit(0),
    "Killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "Terminated": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "Stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "Aborts": os.abort,
    "Becomes": lambda: os.execv("/bin/true", ["true"]),
    "LeavesInThread": lambda: (threading.Thread(target=os._exit, args=(0,)).start(), threading.Event().wait(5)),
    "ExitsInThread": lambda: threading.Thread(target=sys.exit, args=(0,)).start(),
    "ForksAndLeaves": lambda: os.fork() or os._exit(0),
}
for _name, _way in WAYS.items():
    globals()[f"InActor{_name}"] = hostile(__name__, f"InActor{_name}", before=plain_before(_way))
    globals()[f"InSetup{_name}"] = hostile(__name__, f"InSetup{_name}", setup=plain_setup(_way))
    globals()[f"InInvariant{_name}"] = hostile(__name__, f"InInvariant{_name}", judge=plain_judge(_way))


@dataclass(frozen=True)
class NamedTwice(Quiet):
    """An actor whose name another has already."""

    @actor(names=("ann", "cleo"))
    async def others(self, session: AsyncSession, name: str) -> None:
        """Does nothing."""


@dataclass(frozen=True)
class NamedTwiceAtOnce(Quiet):
    """One name that stands twice in one declaration."""

    @actor(names=("cleo", "cleo"))
    async def others(self, session: AsyncSession, name: str) -> None:
        """Does nothing."""
