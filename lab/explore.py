"""Runs scenarios on a server: the one place that puts engine, database, schedulers and checkers together."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import MetaData
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from lab.checkers import judge
from lab.engine import runner
from lab.errors import LabError, ScenarioError, ServerError, UsageError
from lab.faults import FaultKind
from lab.outcome import ActorResult, Ending, Mask, Outcome, ResultKind
from lab.postgres.cluster import Cluster
from lab.postgres.database import Database
from lab.postgres.embedded import embedded_server
from lab.postgres.monitor import LOST
from lab.postgres.reset import Snapshot
from lab.postgres.results import aborted_or_raised, deadlock_cycle, is_connection_loss, returned
from lab.postgres.server import Server
from lab.record import ExecutionRecord, Finding
from lab.scenario import (
    ActorDeclaration,
    InvariantDeclaration,
    Scenario,
    actors_of,
    invariants_of,
    parameters_of,
    target_of,
)
from lab.schedulers.base import Scheduler
from lab.trace import Step, Trace
from lab.validation import validate

__all__ = ["STEP_LIMIT", "Explorer"]

STEP_LIMIT = 2000
"""Steps after which an execution counts as endless; the shipped scenarios need at most some sixty."""
DATABASES_KEPT = 4
SNAPSHOTS_KEPT = 200


class Explorer:
    """Runs executions of scenarios on one server, on one event loop. Close it with `aclose`."""

    def __init__(self, server: Server, *, may_crash: bool = False) -> None:
        self._server = server
        self._may_crash = may_crash
        self._own: tuple[Server, Explorer] | None = None
        """A server for scenarios that crash it: others may be at work on `server`."""
        self._cluster: Cluster | None = None
        self._databases: dict[int, tuple[MetaData | None, Database]] = {}
        self._snapshots: dict[tuple[int, type[Scenario], str], Snapshot] = {}
        self._watched: list[AsyncEngine] = []

    async def open(self) -> Cluster:
        """Connect to the server, if that was not done yet. Raises `ServerError`."""
        if self._cluster is None:
            self._cluster = await Cluster.open(self._server)
        return self._cluster

    async def aclose(self) -> None:
        """Give everything back: watched engines, connections, databases."""
        with contextlib.suppress(*LOST):  # the server may be gone
            for _, database in self._databases.values():
                await database.close()
            if self._cluster is not None:
                await self._cluster.close()
        self._databases.clear()
        self._cluster = None
        if self._own is not None:
            own_server, own_explorer = self._own
            self._own = None
            await own_explorer.aclose()
            own_server.close()

    def _private(self) -> Explorer:
        """An explorer on a server of its own. Raises `UsageError` where the lab cannot crash one."""
        if self._own is None:
            if self._server.version is None:
                raise UsageError("a scenario with the fault 'crash' needs the embedded server; leave the URL out")
            server = embedded_server(self._server.version)
            self._own = server, Explorer(server, may_crash=True)
        return self._own[1]

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
        *,
        isolation: str | None = None,
        step_limit: int = STEP_LIMIT,
        breakpoints: bool = True,
    ) -> ExecutionRecord:
        """One execution of a scenario under a scheduler that has begun; the scheduler learns its end.

        Raises `ScenarioError` for a scenario that cannot be run, `ServerError` if the server fails, and whatever
        the scheduler raises.
        """
        validate(type(scenario))
        if FaultKind.CRASH in scenario.faults and not self._may_crash:
            return await self._private().run(
                scenario, scheduler, isolation=isolation, step_limit=step_limit, breakpoints=breakpoints
            )
        try:
            record = await self._run(scenario, scheduler, isolation, step_limit, breakpoints=breakpoints)
        except LOST as error:
            raise ServerError(f"the server {self._server.description} failed: {error}") from error
        finally:
            for _, database in self._databases.values():
                database.give_back()
        scheduler.end(record.trace)
        return record

    async def _run(
        self, scenario: Scenario, scheduler: Scheduler, isolation: str | None, step_limit: int, *, breakpoints: bool
    ) -> ExecutionRecord:
        declarations = actors_of(type(scenario))
        database = await self._database(scenario.metadata)
        snapshot = await self._snapshot(database, scenario)
        levels = {each.name: isolation or each.isolation or scenario.isolation for each in declarations}
        if self._may_crash and not database.cluster.is_fresh:
            await database.crash()
        await database.prepare(snapshot, levels, (*scenario.watch, *self._watched))
        mask = Mask(datetime.now(UTC), snapshot.text)
        bodies = {each.name: partial(_body, database.engine, scenario, each) for each in declarations}
        plan = runner.Plan(bodies, step_limit, scenario.faults, scenario.faults_at_least, scenario.faults_at_most)
        row_locks = database.row_locks if breakpoints and scenario.breakpoints else None
        finished = await runner.run(plan, scheduler.choose, database.waits, database, row_locks)
        await self._insist_on_a_server(database, finished.errors.values())
        await database.end_open_transactions()
        outcome = await _outcome(database, finished, mask)
        findings = judge(scenario, outcome, finished.stalls)
        if outcome.ending in (Ending.COMPLETED, Ending.DEADLOCKED):
            findings += await _broken_invariants(database.engine, scenario, outcome)
        steps, sessions = finished.trace.steps, finished.sessions
        return ExecutionRecord(
            scenario,
            isolation or scenario.isolation,
            _masked(finished.trace, mask),
            outcome,
            tuple(findings),
            finished.stalls,
            tuple(deadlock_cycle(detail, steps[:number], sessions) for number, detail in finished.deadlocks),
        )

    async def _database(self, metadata: MetaData | None) -> Database:
        cluster = await self.open()
        if id(metadata) not in self._databases:
            if len(self._databases) >= DATABASES_KEPT:
                oldest = next(iter(self._databases))
                await self._databases.pop(oldest)[1].close()
                self._snapshots = {key: kept for key, kept in self._snapshots.items() if key[0] != oldest}
            self._databases[id(metadata)] = metadata, await Database.create(cluster, metadata)
        return self._databases[id(metadata)][1]

    async def _snapshot(self, database: Database, scenario: Scenario) -> Snapshot:
        key = id(scenario.metadata), type(scenario), repr(parameters_of(scenario))
        if key not in self._snapshots:
            if len(self._snapshots) >= SNAPSHOTS_KEPT:
                self._snapshots.pop(next(iter(self._snapshots)))
            await database.tables.empty()
            try:
                async with AsyncSession(database.engine) as session:
                    await _call(scenario.setup, session)
                    await session.commit()
            except LabError:
                raise
            except Exception as error:
                await self._insist_on_a_server(database, [error])
                raise ScenarioError(f"the setup of {target_of(scenario)} failed: {_told(error)}") from error
            self._snapshots[key] = await database.tables.capture()
        return self._snapshots[key]

    async def _insist_on_a_server(self, database: Database, errors: Iterable[BaseException]) -> None:
        """An actor that lost its connection is no finding when the reason is that the server is gone."""
        if any(is_connection_loss(error) for error in errors) and not await database.alive():
            raise ServerError(f"the server {self._server.description} died during an execution")


async def _body(engine: AsyncEngine, scenario: Scenario, actor: ActorDeclaration) -> object:
    """What an actor's task runs: its method, with what its parameters ask for."""
    method: Callable[..., Awaitable[object]] = getattr(scenario, actor.attribute)
    async with contextlib.AsyncExitStack() as stack:
        given: dict[str, object] = {}
        for name in actor.wants:
            if name == "session":
                given[name] = await stack.enter_async_context(AsyncSession(engine, **scenario.session_options))
            elif name == "connection":
                given[name] = await stack.enter_async_context(engine.connect())
            elif name == "sessions":
                given[name] = async_sessionmaker(engine, **scenario.session_options)
            else:
                given[name] = engine if name == "engine" else actor.name
        return await method(**given)


async def _outcome(database: Database, finished: runner.Finished, mask: Mask) -> Outcome:
    results: dict[str, ActorResult] = {}
    for name in finished.trace.actors:
        if name in finished.errors:
            struck = name in finished.struck
            results[name] = aborted_or_raised(finished.errors[name], finished.sessions, mask, struck=struck)
        elif name in finished.values:
            results[name] = returned(finished.values[name], mask)
        else:
            results[name] = ActorResult(ResultKind.UNFINISHED, "did not end")
    ending = finished.ending
    if ending is Ending.COMPLETED and any(r.sqlstate == "40P01" for r in results.values()):
        ending = Ending.DEADLOCKED
    rows = {table: tuple(map(mask, texts)) for table, texts in (await database.tables.rows()).items()}
    return Outcome(ending, results, rows, tuple(sorted(mask.found)))


def _masked(trace: Trace, mask: Mask) -> Trace:
    """The trace without what no schedule controls, in bound values and results."""
    return dataclasses.replace(trace, steps=tuple(_masked_step(step, mask) for step in trace.steps))


def _masked_step(step: Step, mask: Mask) -> Step:
    action, result = step.action, step.result
    wait = step.wait and dataclasses.replace(step.wait, target=mask(step.wait.target))
    parameters = tuple(_masked_value(p, mask) for p in action.parameters)
    if parameters != action.parameters:
        action = dataclasses.replace(action, parameters=parameters)
    if result is not None and result.rows:
        rows = tuple(tuple(map(mask, row)) for row in result.rows)
        if rows != result.rows:
            result = dataclasses.replace(result, rows=rows)
    return dataclasses.replace(step, action=action, result=result, wait=wait)


def _masked_value(value: object, mask: Mask) -> object:
    return tuple(map(mask, value)) if isinstance(value, tuple) else mask(str(value))


async def _broken_invariants(engine: AsyncEngine, scenario: Scenario, outcome: Outcome) -> list[Finding]:
    broken = []
    async with AsyncSession(engine) as session:
        for each in invariants_of(type(scenario)):
            if (message := await _objection(session, scenario, each, outcome)) is not None:
                broken.append(Finding("invariant", each.name, message, each.location))  # noqa: PERF401 - awaits
    return broken


async def _objection(
    session: AsyncSession, scenario: Scenario, declaration: InvariantDeclaration, outcome: Outcome
) -> str | None:
    """What the invariant objects to, or None. Raises `ScenarioError` when it fails in another way."""
    method = getattr(scenario, declaration.attribute)
    try:
        await _call(method, session, outcome=outcome)
    except AssertionError as error:
        return str(error).split("\n\n")[0].strip() or "the assertion does not hold"
    except SQLAlchemyError as error:
        if is_connection_loss(error):
            raise ServerError("the server died while an invariant was checked") from error
        raise _crashed(scenario, declaration, error) from error
    except Exception as error:
        raise _crashed(scenario, declaration, error) from error
    return None


def _crashed(scenario: Scenario, declaration: InvariantDeclaration, error: Exception) -> ScenarioError:
    return ScenarioError(
        f"the invariant {declaration.attribute} of {target_of(scenario)} raised {_told(error)}; "
        "an invariant judges by assert"
    )


async def _call(method: Callable[..., Awaitable[object]], session: AsyncSession, **more: object) -> None:
    """Call a setup or an invariant with what its parameters ask for."""
    wants = inspect.signature(method).parameters
    given: dict[str, object] = {**more, "session": session}
    if "connection" in wants:
        given["connection"] = await session.connection()
    await method(**{name: given[name] for name in wants})


def _told(error: BaseException) -> str:
    text = str(getattr(error, "orig", None) or error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
