"""Runs a scenario's setup, and checks its invariants on the final state."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from lab.checkers.unexpected import failed_actors
from lab.engine.watchdog import Watchdog, place_of, watchdog
from lab.errors import ScenarioError, ServerError, first_line, shown
from lab.explore.asgi.served import Served, asking
from lab.model.outcome import Outcome
from lab.model.record import Finding
from lab.postgres.recording.results import is_connection_loss
from lab.scenario.declare import InvariantDeclaration, Scenario, invariants_of, target_of

__all__ = ["Moment", "bounded", "broken_before", "broken_invariants", "call", "cancelled", "objection"]


@dataclass(frozen=True, slots=True)
class Moment:
    """The first moment of an execution in which an invariant did not hold: after this step, by whose COMMIT.

    `error`: it failed in another way than by `assert`, which may be the fault of somebody else.
    """

    step: int
    by: str
    message: str
    error: ScenarioError | None = None

    def finding(self, declared: InvariantDeclaration, *, holds: bool) -> Finding:
        """What is reported; `holds`: at the end it does."""
        said = f"{self.message}, after step #{self.step} ({self.by})"
        said += "; it heals before the end" if holds else ""
        where = declared.name, said, declared.location
        return Finding("invariant", *where, step=self.step, moment=self.message, healed=holds)


async def broken_invariants(
    engine: AsyncEngine,
    scenario: Scenario,
    outcome: Outcome,
    altered: str = "",
    served: Served | None = None,
    moments: Mapping[str, Moment] | None = None,
) -> tuple[Finding, ...]:
    """A finding for each invariant that does not hold. Raises `ScenarioError` for one that fails in another way.

    Where an actor `altered` the tables, or failed itself, failing in another way is not the invariant's fault. What
    did not hold in between is known by its sentence from `moments`.
    """
    broken, moments = [], moments or {}
    failed = ", ".join(failed_actors(scenario, outcome))
    excuse = altered or (failed and f"{failed} had failed before")
    declared = invariants_of(type(scenario))
    wants = {name for each in declared for name in each.wants}
    async with AsyncSession(engine) as session, asking(served, scenario, wants) as more:
        given: dict[str, object] = {"outcome": outcome, **more}
        for each in declared:
            if each.checker != "invariant":
                continue  # invariants that are judged by other executions are checked after this one
            moment = moments.get(each.name)
            try:
                if moment is not None and moment.error is not None:
                    raise moment.error
                message = await objection(session, scenario, each, given)
            except ScenarioError as error:
                if not excuse:
                    raise _after(outcome, error) from error.__cause__
                message = f"{error}; {excuse}"
            if moment is not None and moment.error is None:
                broken.append(moment.finding(each, holds=message is None))
            elif message is not None:
                broken.append(Finding("invariant", each.name, message, each.location))
    return tuple(broken)


def broken_before(scenario: Scenario, moments: Mapping[str, Moment]) -> tuple[Finding, ...]:
    """The same for an execution that came to no end at which anything can hold: only what was seen in between."""
    found = ((each, moments.get(each.name)) for each in invariants_of(type(scenario)))
    return tuple(
        moment.finding(each, holds=False) for each, moment in found if moment is not None and moment.error is None
    )


async def objection(
    session: AsyncSession, scenario: Scenario, declaration: InvariantDeclaration, given: Mapping[str, object]
) -> str | None:
    """What the invariant objects to, or None. Raises `ScenarioError` when it fails in another way.

    `given`: what it may ask for, beside the session.
    """
    method = getattr(scenario, declaration.attribute)
    try:
        await bounded(partial(call, method, session, **given), f"the invariant {declaration.name!r}", "invariant")
    except ScenarioError:
        raise  # it took too long
    except AssertionError as error:
        # A message of the author's is enough; what pytest writes below it depends on who imported the module.
        return shown(error).split("\n\n")[0].split("\nassert ")[0].strip() or "the assertion does not hold"
    except SQLAlchemyError as error:
        if is_connection_loss(error):
            raise ServerError("the server died while an invariant was checked") from error
        raise _crashed(scenario, declaration, error) from error
    except BaseException as error:
        if cancelled():
            raise asyncio.CancelledError from error
        raise _crashed(scenario, declaration, error) from error
    return None


def _after(outcome: Outcome, error: ScenarioError) -> ScenarioError:
    """The error of an invariant, behind those of the actors: it may look for what they did not come to."""
    ends = [
        f"{name} {result.kind}: {result.text}" for name, result in outcome.results.items() if result.error is not None
    ]
    return ScenarioError(f"{'; '.join(ends)}; then {error}") if ends else error


def _crashed(scenario: Scenario, declaration: InvariantDeclaration, error: BaseException) -> ScenarioError:
    return ScenarioError(
        f"the invariant {declaration.attribute} of {target_of(scenario)} raised {first_line(error)}; "
        "an invariant judges by assert"
    )


async def call(method: Callable[..., Awaitable[object]], session: AsyncSession, **more: object) -> None:
    """Call a setup or an invariant with what its parameters ask for."""
    wants = inspect.signature(method).parameters
    given: dict[str, object] = {**more, "session": session}
    if "connection" in wants:
        given["connection"] = await session.connection()
    await method(**{name: given[name] for name in wants})


async def bounded(code: Callable[[], Awaitable[object]], doing: str, bound: str) -> None:
    """Run a setup or an invariant within its bound. Raises `ScenarioError` that says where it was when time was up."""
    dog = watchdog.get() or Watchdog()
    with dog.during(doing, bound):
        try:
            async with asyncio.timeout(dog.seconds) as limit:
                await code()
        except BaseException as error:
            if dog.overdue:
                raise ScenarioError(dog.overdue) from error
            if limit.expired():
                within = error.__cause__ or error.__context__ or error  # the former since Python 3.11.4
                raise ScenarioError(dog.sentence(place_of(within))) from error
            raise


def cancelled() -> bool:
    """Whether the lab's own task was cancelled, as Ctrl-C does it, and not only somebody's code raised the error."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
