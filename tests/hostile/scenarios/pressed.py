"""Asks for the lab's end in the middle of a phase, as a terminal does: the whole process group gets the signal.

HOSTILE_SIGNAL is its number, HOSTILE_TIMES how often it is sent. The file "pressed" in the temporary folder is as old
as the signal, so that the time to the end is known.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenarios.quiet import Quiet, counter
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, actor, invariant
from lab.search.remedies import trials
from lab.search.remedies.trials import try_remedies

seen: dict[str, list[str]] = {"failed": [], "remedies": [], "later": []}


def press() -> None:
    mark = Path(tempfile.gettempdir(), "pressed")
    if mark.exists():
        return
    mark.touch()  # its time is real; what `time.time` says to an actor is not
    for _ in range(int(os.environ.get("HOSTILE_TIMES", "1"))):
        os.killpg(0, int(os.environ["HOSTILE_SIGNAL"]))


@dataclass(frozen=True)
class InSetup(Quiet):
    """While the rows are made."""

    async def setup(self, session: AsyncSession) -> None:
        press()
        await session.execute(insert(counter).values(id=1, value=0))


@dataclass(frozen=True)
class InSearch(Quiet):
    """In the fourth execution."""

    async def before(self, session: AsyncSession) -> object:
        seen["later"].append("")
        if len(seen["later"]) == 4:
            press()
        return None


@dataclass(frozen=True)
class InInvariant(Quiet):
    """While it is judged."""

    async def judge(self, session: AsyncSession) -> None:
        press()


@dataclass(frozen=True)
class Racing(Quiet):
    """Loses an update."""

    async def tried(self, session: AsyncSession) -> None:
        """What ann does first."""

    async def count(self, session: AsyncSession) -> None:
        value = await session.scalar(select(counter.c.value))
        await session.execute(update(counter).values(value=value + 1))
        await session.commit()

    @actor
    async def ann(self, session: AsyncSession) -> object:
        await self.tried(session)
        return await self.count(session)

    @actor
    async def ben(self, session: AsyncSession) -> None:
        await self.count(session)

    @invariant
    async def what_is_committed_counts(self, session: AsyncSession, outcome: Outcome) -> None:
        total = await session.scalar(select(func.sum(counter.c.value)))
        if total != len(outcome.committed):
            seen["failed"].append("")
        assert total == len(outcome.committed)


@dataclass(frozen=True)
class InMinimise(Racing):
    """In the third execution after the first that failed."""

    async def tried(self, session: AsyncSession) -> None:
        seen["later"] += seen["failed"][:1]
        if len(seen["later"]) == 3:
            press()


@dataclass(frozen=True)
class InMinimiseDeaf(Racing):
    """The same, and then nothing of it runs on, so that its process has to be ended."""

    async def tried(self, session: AsyncSession) -> None:
        seen["later"] += seen["failed"][:1]
        if len(seen["later"]) == 3:
            press()
            sum(range(10**11))  # no signal's handler runs meanwhile


@dataclass(frozen=True)
class InRemedies(Racing):
    """In the second execution of the remedies."""

    async def tried(self, session: AsyncSession) -> None:
        if seen["remedies"]:
            seen["remedies"].append("")
        if len(seen["remedies"]) == 3:
            press()


async def _noticed(*positional: Any, **named: Any) -> Any:
    seen["remedies"].append("")
    return await try_remedies(*positional, **named)


trials.try_remedies = _noticed
