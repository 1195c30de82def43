"""`lab matrix`: one scenario at every isolation level, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from lab.checkers.isolation.promises import ISOLATION
from lab.commands.hunt import progress_bar
from lab.explore import Explorer
from lab.model.verdict import Verdict
from lab.postgres.server.place import Place
from lab.report.failure import count
from lab.report.tables import matrix_table
from lab.scenario.declare import ISOLATION_LEVELS, Scenario, actors_of, target_of
from lab.scenario.registry import instance_of
from lab.schedulers import describe, make_scheduler
from lab.search.hunt import Hunt, HuntResult

__all__ = ["show_matrix"]

AS_IT_STANDS = "as it stands"
"""The row of a scenario whose actors state levels of their own."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a scenario showed at one level, None where each actor has its own. `own`: the scenario is run so."""

    isolation: str | None
    own: bool
    result: HuntResult

    def dump(self) -> dict[str, Any]:
        """For programs. Aborts are counted where the server refused somebody, also where the code tried again."""
        result = self.result
        return {
            "isolation": self.isolation,
            "own": self.own,
            "verdict": result.verdict,
            "reason": result.reason,
            "violated": result.violated,
            "broken": [failure.broken for failure in result.failures],
            "anomalies": _sorted(result.anomalies),
            "aborts": _sorted(result.aborts),
            "lock_waits": result.lock_waits,
            "executions": result.executions,
            "distinct_traces": len(result.traces),
            "exhausted": result.exhausted,
            "seconds": round(result.seconds, 3),
        }

    def texts(self) -> tuple[str, ...]:
        """For a table."""
        result = self.result
        broken = "; ".join(failure.broken for failure in result.failures)
        return (
            f"{self.isolation or AS_IT_STANDS}{' *' if self.own else ''}",
            result.verdict,
            f"{result.violated}/{result.executions}",
            str(len(result.traces)),
            _told(result.anomalies),
            _told(result.aborts),
            str(result.lock_waits),
            f"{result.seconds:.1f}",
            escape(broken or result.reason),
        )


async def show_matrix(
    out: Console,
    err: Console,
    target: str,
    *,
    scheduler: str,
    executions: int,
    seed: int,
    url: str | None,
    version: str,
    as_json: bool,
) -> str:
    """Run the scenario at each level and print what it showed. Returns the verdict at its own level."""
    scenario = instance_of(target)
    place = Place(url, int(version))
    make_scheduler(scheduler, seed)  # a wrong one is refused before anything runs
    with place.server() as server, progress_bar(err, quiet=as_json) as bar:
        explorer = Explorer(server)
        try:
            rows = await _rows(explorer, scenario, bar, scheduler=scheduler, executions=executions, seed=seed)
        finally:
            await explorer.aclose()
    own = next((row.result for row in rows if row.own), None)
    verdict = Verdict.INCONCLUSIVE if own is None else own.verdict
    if as_json:
        told = {"target": target_of(scenario), "verdict": verdict, "levels": [row.dump() for row in rows]}
        out.out(json.dumps({**told, "scheduler": scheduler, "seed": seed}, indent=2))
        return verdict
    out.print(matrix_table(row.texts() for row in rows))
    searched = f"{count(executions, 'execution')} at each level at most · {describe(scheduler, seed, {})}"
    out.out(f"\n{verdict}: {target_of(scenario)}: {searched} · * its own level")
    return verdict


async def _rows(explorer: Explorer, scenario: Scenario, bar: Progress, **options: Any) -> list[Row]:
    own = {each.isolation or scenario.isolation for each in actors_of(type(scenario))}
    levels: list[str | None] = [*([None] if len(own) > 1 else []), *ISOLATION_LEVELS]
    task = bar.add_task("", total=len(levels) * options["executions"])
    rows: list[Row] = []
    for number, level in enumerate(levels):
        before = number * options["executions"]
        bar.update(task, completed=before, description=level or AS_IT_STANDS)
        hunt = Hunt(
            scenario,
            target_of(scenario),
            **options,
            isolation=level,
            checks=(ISOLATION,),  # so that histories are recorded and their anomalies counted
            keep_going=True,
            refine=False,
            progress=lambda seen, before=before: bar.update(task, completed=before + seen.executions),  # type: ignore[misc]
        )
        rows.append(Row(level, level is None or own == {level}, await hunt.run(explorer)))
        if rows[-1].result.trouble:  # the server is gone or the user has had enough: what there is is shown
            break
    return rows


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "-"
