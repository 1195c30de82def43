"""Runs scenarios on a server: the one place that puts engine, database, schedulers and checkers together."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from lab.checkers import judged
from lab.engine import runner
from lab.engine.clock import Clock
from lab.errors import SearchOver, ServerError, UsageError
from lab.explore.asgi.applications import Applications
from lab.explore.blame import Blame
from lab.explore.conditions import AS_IT_STANDS, Conditions, body
from lab.explore.contained import caught_in_recording, said
from lab.explore.databases import Databases
from lab.explore.ending import Comparable, Recorded, clock_notes, recorded
from lab.explore.in_between import in_between
from lab.explore.invariants import broken_before, broken_invariants
from lab.explore.nature import Natures
from lab.explore.performed import Performed, insist_on_a_server
from lab.explore.retries import Retries
from lab.explore.seen import Seen
from lab.explore.serial_runs import SerialJudge
from lab.explore.starts import Beginnings
from lab.explore.unsearched import unsearched
from lab.model.nature import Places
from lab.model.outcome import Ending, Mask
from lab.model.record import ExecutionRecord
from lab.model.secret import without_urls
from lab.postgres.database import Database
from lab.postgres.locks.remedy_locks import Locking
from lab.postgres.recording.held import with_rows
from lab.postgres.recording.loads import remembering
from lab.postgres.recording.results import deadlock_cycle, is_connection_loss
from lab.postgres.recording.stale import stale_versions_heard
from lab.postgres.server.cluster import Cluster
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.monitor import LOST
from lab.postgres.server.server import Server
from lab.postgres.tables.reset import Snapshot
from lab.scenario.declare import Scenario, actors_of
from lab.schedulers.base import Scheduler
from lab.schedulers.guided import Wished
from lab.schedulers.serial import Serial

__all__ = ["Explorer"]


class Explorer:
    """Runs executions of scenarios on one server, on one event loop. Close it with `aclose`.

    `learns`: what differs by nature is learnt before, else every value is compared as it is. `later`: as `Clock`.
    """

    def __init__(self, server: Server, *, may_crash: bool = False, learns: bool = True, later: int = 0) -> None:
        self._server, self._may_crash, self._learns = server, may_crash, learns
        self._own: tuple[Server, Explorer] | None = None
        """A server for scenarios that crash it: others may be at work on `server`."""
        self._cluster: Cluster | None = None
        self._clock = Clock(server.clock, later)
        self._applications = Applications()
        self._databases = Databases(self.open, server.description, self._clock.setting_up, self._applications)
        self._watched: list[AsyncEngine] = []
        self._serial = SerialJudge(self._under)
        self._blame = Blame(self._under, self._serial)
        self._natures = Natures(self._observe, learns=learns)
        self.starts = Beginnings(self._under).starts

    async def open(self) -> Cluster:
        """Connect to the server, if that was not done yet. Raises `ServerError`."""
        if self._cluster is None:
            self._cluster = await Cluster.open(self._server)
        return self._cluster

    async def aclose(self) -> None:
        """Give everything back: watched engines, connections, databases."""
        with contextlib.suppress(*LOST, ServerError):  # the server may be gone
            await self._applications.close()
            await self._databases.close()
        with contextlib.suppress(*LOST):
            if self._cluster is not None and (left := await self._cluster.close()):
                sys.stderr.write(f"lab: {without_urls(left)}\n")  # what the run found is worth more than an error here
        self._databases.forget()
        self._cluster = None
        if self._own is not None:
            own_server, own_explorer = self._own
            self._own = None
            await own_explorer.aclose()
            own_server.close()

    def _fit(self, scenario: Scenario, scheduler: Scheduler, conditions: Conditions) -> Explorer:
        """One whose server may do what may happen: one of its own if a fault needs that. Raises `UsageError` if not."""
        fault = conditions.crashes(scenario, scheduler.faults)
        if self._may_crash or not fault:
            return self
        if self._own is None:
            if self._server.version is None:
                raise UsageError(f"a scenario with the fault {fault!r} needs the embedded server; leave the URL out")
            server = embedded_server(self._server.version, clock=self._server.clock is not None)
            self._own = server, Explorer(server, may_crash=True, learns=self._learns)
        return self._own[1]

    async def made(self, scenario: Scenario) -> Snapshot:
        """What the setup of a scenario makes; its database is made if there is none. Raises as `run`."""
        async with self._one(scenario):
            return (await self._fresh(scenario))[1]

    @contextlib.contextmanager
    def watching(self, *engines: AsyncEngine) -> Iterator[None]:
        """Also watch these engines in every execution of the block."""
        self._watched.extend(engines)
        try:
            yield
        finally:
            for engine in engines:
                self._watched.remove(engine)

    async def run(
        self,
        scenario: Scenario,
        scheduler: Scheduler,
        conditions: Conditions = AS_IT_STANDS,
        *,
        execution: int = 0,
        **changes: Any,
    ) -> ExecutionRecord:
        """One execution of a scenario under a scheduler, from its `begin` with this number to its `end`.

        `changes` are fields of the conditions that differ. Checks may run other executions. Raises `SearchOver` if the
        scheduler has no such execution, `ScenarioError` for a scenario that cannot be run, `ServerError` if the server
        fails, and whatever the scheduler raises.
        """
        conditions = replace(conditions, **changes) if changes else conditions
        return await self._under(scenario, scheduler, conditions, execution)

    async def _under(
        self, scenario: Scenario, scheduler: Scheduler, conditions: Conditions, execution: int = 0
    ) -> ExecutionRecord:
        conditions.refuse_wrong(scenario, scheduler)
        if (own := self._fit(scenario, scheduler, conditions)) is not self:
            return await own._under(scenario, scheduler, conditions, execution)  # noqa: SLF001 - the same
        if not scheduler.begin(execution):
            raise SearchOver(f"the search is over: the scheduler has no execution {execution + 1}")
        places = await self._natures.places(scenario, conditions.level, drawn=conditions.drawn)
        async with self._one(scenario):
            performed = await self._perform(scenario, scheduler, conditions)
            with said("record this execution"):
                record = await self._record(performed, conditions, places)
                news = self._natures.has_news(scenario, conditions.level, places, record.trace)
                seen = await performed.seen() if news else None
        if seen is not None:
            performed, record = await self._repeated(seen, record, conditions, places)
        scheduler.end(record.trace)
        if caught_in_recording(performed.finished.errors):
            return record
        if conditions.actors is None:
            record = await self._blame.judged(performed, record, conditions, asked=conditions.asks_serial_runs)
        return judged(record, conditions.checks)

    async def get_ready(self, scenario: Scenario, scheduler: Scheduler, conditions: Conditions) -> None:
        """Do what comes before the first execution: make the tables, learn what differs by nature. Raises as `run`."""
        conditions.refuse_wrong(scenario, scheduler)
        natures = self._fit(scenario, scheduler, conditions)._natures  # noqa: SLF001 - of one of its own kind
        await natures.places(scenario, conditions.level, drawn=conditions.drawn)

    @contextlib.asynccontextmanager
    async def _one(self, scenario: Scenario) -> AsyncIterator[None]:
        """One execution. Raises `LabError` for a server that fails."""
        try:
            with self._clock.running():
                async with self._applications.execution():
                    yield
        except (ServerError, DBAPIError, *LOST) as error:
            if isinstance(error, DBAPIError) and not is_connection_loss(error):
                raise
            raise self._databases.failed(scenario, error, self._server) from error
        finally:
            for each in self._databases:
                each.give_back()

    async def _observe(self, scenario: Scenario, level: str | None) -> Seen:
        """A serial run that nobody judges."""
        async with self._one(scenario):
            performed = await self._perform(scenario, Serial(), Conditions(level, faults=False, recorded=True))
            return await performed.seen()

    async def _repeated(
        self, seen: Seen, record: ExecutionRecord, conditions: Conditions, known: Places
    ) -> tuple[Performed, ExecutionRecord]:
        """The same execution once more, which shows what of it differs by nature. The second one is judged."""
        scenario = record.scenario
        again = Wished(record.schedule.decisions)
        again.begin(0)
        async with self._one(scenario):
            with said("repeat this execution"):
                performed = await self._perform(scenario, again, replace(conditions, starts=record.trace.starts))
                places = self._natures.teach(scenario, conditions.level, known, seen, await performed.seen())
                if places.names != known.names:
                    self._serial.forget(type(scenario))
                return performed, await self._record(performed, conditions, places)

    async def _perform(self, scenario: Scenario, scheduler: Scheduler, conditions: Conditions) -> Performed:
        declarations = conditions.of(actors_of(type(scenario)))
        level = conditions.level
        levels = {each.name: level or each.isolation or scenario.isolation for each in declarations}
        locking, retries = conditions.locking(type(scenario)), Retries(conditions.remedy, len(declarations))
        database, snapshot = await self._ready(scenario, levels, locking, conditions)
        served = await self._applications.serve(scenario, database)
        self._clock.actors_begin()
        mask = Mask(self._clock.server, snapshot.text, self._clock.time)
        once = {each.name: partial(body, database.engine, scenario, each, served) for each in declarations}
        bodies = {name: partial(retries.around, each) for name, each in once.items()}
        between = in_between(scenario, database, conditions.actors)
        plan = replace(conditions.plan(scenario, bodies, scheduler), looks=between)
        ports = database.ports(breakpoints=conditions.pauses(scenario), exact=scheduler.exact)
        if scheduler.pauses and not ports.may_pause:
            raise UsageError("a schedule that pauses a statement between two rows needs the embedded server")
        with database.leading(scenario.outside), remembering(), stale_versions_heard():
            finished = await runner.run(plan, scheduler.choose, ports, self._clock)
        await insist_on_a_server(database, finished.errors.values())
        leaks = await database.left(finished.sessions)
        await self._databases.look(database, scenario)
        applied = None if locking is None else locking.applied(retries.refused, retries.most)
        return Performed(scenario, finished, database, snapshot, mask, applied, served, between, leaks)

    async def _record(self, performed: Performed, conditions: Conditions, places: Places) -> ExecutionRecord:
        scenario, finished, database = performed.scenario, performed.finished, performed.database
        methods = {each.name: each.attribute for each in actors_of(type(scenario))}
        comparable = Comparable(performed.mask, places, methods)
        trace = comparable.trace(finished.trace)
        kept = Recorded()
        if conditions.records:
            kept = await recorded(database, performed.snapshot, comparable.text)
        lost = kept.defects if conditions.judges_history else ()
        outcome = comparable.outcome(finished, await database.rows())
        asks = outcome.ending in (Ending.COMPLETED, Ending.DEADLOCKED) and conditions.actors is None
        notes = database.meddling
        with database.leading(scenario.outside, "an invariant"):
            judged = database.house, scenario, outcome, notes.altered, performed.served, performed.moments
            broken = await broken_invariants(*judged) if asks else broken_before(scenario, performed.moments)
        steps, sessions, pauses = finished.trace.steps, finished.sessions, conditions.pauses(scenario)
        met, beyond = self._natures.met(scenario, conditions.level), database.tables.beyond
        how: dict[str, Any] = {"pauses": pauses, "faults": conditions.may_strike(scenario)}
        left = unsearched(finished, met, kept.unseen, beyond, database.limits(sessions), **how)
        return ExecutionRecord(
            scenario,
            conditions.level or scenario.isolation,
            trace,
            outcome,
            stalls=with_rows(finished.stalls, steps, sessions),
            sharings=finished.sharings,
            leaks=performed.leaks,
            deadlocks=tuple(deadlock_cycle(detail, steps[:number], sessions) for number, detail in finished.deadlocks),
            history=kept.history,
            unseen=kept.unseen,
            anomalies=kept.anomalies,
            broken=tuple(broken),
            notes=(*notes.notes, *performed.notes, *clock_notes(trace, performed.mask, self._clock)),
            unsearched=(*left, *performed.unsearched),
            unsteady=places.unsteady,
            defects=(*kept.defects, *filter(None, [finished.defect])),
            not_checked=(*caught_in_recording(finished.errors), *lost),
            applied=performed.applied,
            origins=finished.origins,
            raised=finished.raised,
        )

    async def _ready(
        self, scenario: Scenario, levels: Mapping[str, str], locking: Locking | None, conditions: Conditions
    ) -> tuple[Database, Snapshot]:
        """The database with the tables as the setup left them, and sessions for the actors."""
        database, snapshot = await self._fresh(scenario)
        options: dict[str, Any] = {"locking": locking, "recorded": conditions.records}
        options["met"] = self._natures.met(scenario, conditions.level)
        engines = (*scenario.watch, *self._watched)
        try:
            await database.prepare(snapshot, levels, engines, **options)
        except asyncpg.PostgresError as error:
            if is_connection_loss(error):
                raise
            # An actor changed the tables in a way that its statements did not show: they are made anew.
            database.journal.altered = True
            database, snapshot = await self._fresh(scenario)
            await database.prepare(snapshot, levels, engines, **options)
        return database, snapshot

    async def _fresh(self, scenario: Scenario) -> tuple[Database, Snapshot]:
        database, snapshot = await self._databases.ready(scenario)
        if self._may_crash and not database.cluster.is_fresh:
            await database.striker.crash()
        return database, snapshot
