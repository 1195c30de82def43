"""Checks invariants that are to hold always: after each COMMIT that the server acknowledged, while all are at rest.

A look is no step: nobody decides, draws or waits meanwhile, and the clock stands still. It is a session of the lab's
own, with a snapshot of what is committed, and with a cache of compiled statements that no actor sees.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from lab.errors import ScenarioError
from lab.explore.invariants import Moment, objection
from lab.model.trace import ActionKind, Step
from lab.postgres.connections.looks import TAKEN, snapshot_of
from lab.postgres.connections.others import led_as
from lab.postgres.connections.points import commits_within
from lab.postgres.database import Database
from lab.postgres.recording.refusals import sqlstate_of
from lab.scenario.declare import InvariantDeclaration, Scenario, invariants_of

__all__ = ["InBetween", "in_between"]

_WORD = re.compile(r"[A-Za-z]+")


class InBetween:
    """The looks of one execution, and what they found."""

    def __init__(self, scenario: Scenario, database: Database) -> None:
        self._scenario, self._journal = scenario, database.journal
        self._engine = database.house.execution_options(isolation_level="AUTOCOMMIT")
        self._left = [each for each in invariants_of(type(scenario)) if each.always]
        """Those that held so far."""
        self.moments: dict[str, Moment] = {}
        """By the sentence of the invariant."""
        self.notes: list[str] = []
        """Where an invariant could not be checked, as sentences."""

    @property
    def owed(self) -> bool:
        """Whether there was a COMMIT since the last look."""
        return bool(self._journal.committed and self._left)

    async def look(self, step: Step) -> None:
        """Check what held so far, at rest after this step. Raises `ServerError` if the server fails."""
        by, self._journal.committed = _by(step, self._journal.committed), ""
        with led_as("an invariant"):
            async with AsyncSession(self._engine) as session:
                for each in list(self._left):
                    await self._check(session, each, step.number, by)

    async def _check(self, session: AsyncSession, each: InvariantDeclaration, step: int, by: str) -> None:
        raw = await (await session.connection()).get_raw_connection()
        try:
            async with snapshot_of(raw.driver_connection):  # type: ignore[arg-type]
                message = await objection(session, self._scenario, each, {})
            if message is None:
                return
            moment = Moment(step, by, message)
        except ScenarioError as error:
            if isinstance(error.__cause__, DBAPIError) and sqlstate_of(error.__cause__) == TAKEN:
                self.notes.append(
                    f"{each.name!r} was not checked after step #{step} ({by}): somebody had locked a table that it "
                    "reads, so nobody could see it then"
                )
                return
            moment = Moment(step, by, str(error), error)
        self.moments[each.name] = moment
        self._left.remove(each)


def in_between(scenario: Scenario, database: Database, actors: Collection[str] | None) -> InBetween | None:
    """The looks of an execution of these actors; None where nothing is to hold always, or only some actors run."""
    wanted = actors is None and any(each.always for each in invariants_of(type(scenario)))
    return InBetween(scenario, database) if wanted else None


def _by(step: Step, actor: str) -> str:
    """Who committed and how, for a reader: "alice's COMMIT", or "bob's UPDATE" of one that was its own transaction."""
    text = step.action.text
    own = step.actor == actor and step.action.kind is ActionKind.STATEMENT and not commits_within(text)
    word = _WORD.search(text) if own else None
    return f"{actor}'s {word[0].upper() if word else 'COMMIT'}"
