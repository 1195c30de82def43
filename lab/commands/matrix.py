"""`lab matrix`: one scenario at every isolation level, side by side."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import click

from lab.commands.complete import complete_target
from lab.commands.console import out, progress_bar, show_json
from lab.commands.options import SchedulerCommand, bound_options, fault_options, json_option, server_options
from lab.commands.pages import html_option, write_matrix
from lab.model.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from lab.analysis.overview import Row

__all__ = ["command"]


@click.command(cls=SchedulerCommand)
@click.argument("target", shell_complete=complete_target)
@click.option(
    "--executions", type=click.IntRange(min=1), default=100, show_default=True, help="Executions at each level."
)
@click.option("--seed", type=int, default=0, show_default=True)
@fault_options
@html_option("Show the levels side by side on this page.")
@server_options
@bound_options("step", "setup", "invariant", "imports")
@json_option
async def command(
    target: str,
    *,
    executions: int,
    html: Path | None,
    url: str | None,
    version: str,
    as_json: bool,
    **search: Any,
) -> str:
    """Run TARGET at each isolation level: verdict, anomalies, aborts, lock waits and time.

    All executions are run, also after a violation. Exit status 0: no violation at the scenario's own level; 1: a
    violation there, whatever the other levels show; 3: inconclusive there. Where actors state levels of their own, the
    scenario as it stands has a row of its own.
    """
    from lab.engine.watchdog import importing
    from lab.explore import Conditions, Explorer
    from lab.postgres.server.place import Place
    from lab.report.hunts import AS_IT_STANDS
    from lab.scenario.declare import target_of
    from lab.scenario.registry import instance_of
    from lab.search.garbage import settled
    from lab.search.levels import at_each_level, levels_of

    with importing():
        scenario = instance_of(target)
    settled()
    conditions = Conditions(added_faults=search.pop("added_faults"), faults_at_most=search.pop("faults_at_most"))
    with Place(url, int(version)).server() as server, progress_bar(quiet=as_json) as bar:
        task = bar.add_task("", total=len(levels_of(scenario)) * executions)
        async with aclosing(Explorer(server)) as explorer:
            rows = await at_each_level(
                explorer,
                scenario,
                lambda level, done: bar.update(task, completed=done, description=level or AS_IT_STANDS),
                executions=executions,
                conditions=conditions,
                **search,
            )
    faults = conditions.may_strike(scenario), conditions.most_faults(scenario)
    return _answered(target_of(scenario), rows, executions, search, faults, html, as_json=as_json)


def _answered(
    target: str,
    rows: list[Row],
    executions: int,
    search: dict[str, Any],
    faults: tuple[tuple[str, ...], int],
    html: Path | None,
    *,
    as_json: bool,
) -> str:
    """Print the rows; the verdict at the scenario's own level. `faults`: which could strike, and how many."""
    from lab.model.text import count
    from lab.report.hunts import levels_table, struck_by, unsearched_lines
    from lab.schedulers import describe

    own = next((row.result for row in rows if row.own), None)
    verdict = Verdict.INCONCLUSIVE if own is None else own.verdict
    described = describe(search["scheduler"], search["seed"], search["options"])
    searched = f"{count(executions, 'execution')} at each level at most · {described}"
    end = f"{verdict}: {target}: {searched} · * its own level"
    said = [*unsearched_lines(rows), *struck_by(*faults)]
    if html is not None:
        write_matrix(html, target, rows, [*said, end])
    if as_json:
        levels = [row.shown() for row in rows]
        asked = {"scheduler": search["scheduler"], "seed": search["seed"], "faults": list(faults[0])}
        show_json({"target": target, "verdict": verdict, "levels": levels, **asked})
        return verdict
    out.print(levels_table(rows))
    for line in said:
        out.out(line)
    out.out(f"\n{end}")
    return verdict
