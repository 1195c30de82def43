"""One scenario at every isolation level: a hunt at each, to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from lab.analysis.overview import Row
from lab.analysis.tally import HuntResult
from lab.checkers.isolation.promises import ISOLATION
from lab.explore import Conditions, Explorer
from lab.explore.conditions import AS_IT_STANDS
from lab.scenario.declare import ISOLATION_LEVELS, Scenario, actors_of
from lab.search.hunt import Hunt

__all__ = ["at_each_level", "levels_of"]


def levels_of(scenario: Scenario) -> list[str | None]:
    """The levels to run it at; None: without an override, where its actors state levels of their own."""
    return [*([None] if len(_own(scenario)) > 1 else []), *ISOLATION_LEVELS]


async def at_each_level(
    explorer: Explorer,
    scenario: Scenario,
    progress: Callable[[str | None, int], object],
    *,
    scheduler: str,
    options: Mapping[str, int],
    executions: int,
    seed: int,
    conditions: Conditions = AS_IT_STANDS,
) -> list[Row]:
    """Hunt at each level. `progress` is called with the level and the number of all executions until now.

    When the server is gone or the user interrupts, the levels that are left have no row.
    """
    rows: list[Row] = []

    def seen(result: HuntResult) -> None:
        progress(level, len(rows) * executions + result.executions)

    for level in levels_of(scenario):
        progress(level, len(rows) * executions)
        hunt = Hunt.of(
            scenario,
            seen,
            scheduler=scheduler,
            options=options,
            executions=executions,
            seed=seed,
            keep_going=True,
            refine=False,
            # histories are recorded, and their anomalies counted
            conditions=replace(conditions, isolation=level, checks=(ISOLATION,)),
        )
        rows.append(Row(level, level is None or _own(scenario) == {level}, await hunt.run(explorer)))
        if rows[-1].result.trouble:
            break
    return rows


def _own(scenario: Scenario) -> set[str]:
    """The levels at which its actors run when nothing overrides them."""
    return {each.isolation or scenario.isolation for each in actors_of(type(scenario))}
