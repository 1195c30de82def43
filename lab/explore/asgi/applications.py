"""The applications of scenarios while they are up, as their scenarios choose: for an execution, or for a hunt."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from lab.errors import ScenarioError
from lab.explore.asgi.lifespan import Lifespan
from lab.explore.asgi.served import Served
from lab.explore.invariants import bounded
from lab.postgres.database import Database
from lab.scenario.declare import Scenario
from lab.scenario.http import Application, application_of

__all__ = ["Applications"]


@dataclass(frozen=True, slots=True, eq=False)
class _Up:
    """An application that was started, for which scenario, and the database that it was led to."""

    application: Application
    scenario: Scenario
    database: Database
    lifespan: Lifespan

    def led(self) -> AbstractContextManager[None]:
        return self.database.leading(self.scenario.outside, "the application")


class Applications:
    """Those of one explorer. One is up at a time, since an explorer makes one execution at a time."""

    def __init__(self) -> None:
        self._up: _Up | None = None

    async def serve(self, scenario: Scenario, database: Database) -> Served | None:
        """The application of a scenario, started if it is not up; None if the scenario names none.

        Raises `ScenarioError` if it does not start.
        """
        application = application_of(type(scenario))
        if application is None:
            return None
        if application.lifespan is None:
            return Served(application, {})
        if self._up is not None and (self._up.application, self._up.database) != (application, database):
            await self.close()
        if self._up is None:
            up = _Up(application, scenario, database, Lifespan(application.app))
            with up.led():
                await _start(up.lifespan)
            self._up = up
        return Served(application, self._up.lifespan.state)

    @contextlib.asynccontextmanager
    async def execution(self) -> AsyncIterator[None]:
        """One execution; what was started for it is stopped with it. Raises `ScenarioError` if it does not stop."""
        try:
            yield
        except BaseException:
            if self._is_for_an_execution:
                await self.close()
            raise
        if self._is_for_an_execution:
            assert self._up is not None
            up, self._up = self._up, None
            with up.led():
                await _stop(up.lifespan)

    @property
    def _is_for_an_execution(self) -> bool:
        return self._up is not None and self._up.application.lifespan == "execution"

    async def close(self) -> None:
        """Stop what is up; that belongs to no execution, so it only says if it does not stop."""
        up, self._up = self._up, None
        if up is None:
            return
        try:
            with up.led():
                await _stop(up.lifespan)
        except ScenarioError as error:
            sys.stderr.write(f"lab: {error}\n")

    @contextlib.asynccontextmanager
    async def for_setup(self, scenario: Scenario) -> AsyncIterator[Served | None]:
        """The application for the time of a setup, which has a start of its own. Call `close` before."""
        application = application_of(type(scenario))
        if application is None or application.lifespan is None:
            yield None if application is None else Served(application, {})
            return
        lifespan = Lifespan(application.app)
        await _start(lifespan)
        try:
            yield Served(application, lifespan.state)
        finally:
            await _stop(lifespan)


async def _start(lifespan: Lifespan) -> None:
    try:
        await bounded(lifespan.start, "the start of the application", "setup")
    except BaseException:
        lifespan.abandon()
        raise


async def _stop(lifespan: Lifespan) -> None:
    try:
        await bounded(lifespan.stop, "the end of the application", "setup")
    except BaseException:
        lifespan.abandon()
        raise
