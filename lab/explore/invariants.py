"""Asks a scenario for its own judgement: the rows of its setup, and its invariants on the final state."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from lab.errors import ScenarioError, ServerError, first_line
from lab.model.outcome import Outcome
from lab.model.record import Finding
from lab.postgres.recording.results import is_connection_loss
from lab.scenario.declare import InvariantDeclaration, Scenario, invariants_of, target_of

__all__ = ["broken_invariants", "call"]


async def broken_invariants(engine: AsyncEngine, scenario: Scenario, outcome: Outcome) -> tuple[Finding, ...]:
    """A finding for each invariant that does not hold. Raises `ScenarioError` for one that fails in another way."""
    broken = []
    async with AsyncSession(engine) as session:
        for each in invariants_of(type(scenario)):
            if each.checker != "invariant":
                continue  # what is judged by other executions has its turn when this one is over
            if (message := await _objection(session, scenario, each, outcome)) is not None:
                broken.append(Finding("invariant", each.name, message, each.location))
    return tuple(broken)


async def _objection(
    session: AsyncSession, scenario: Scenario, declaration: InvariantDeclaration, outcome: Outcome
) -> str | None:
    """What the invariant objects to, or None. Raises `ScenarioError` when it fails in another way."""
    method = getattr(scenario, declaration.attribute)
    try:
        await call(method, session, outcome=outcome)
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
