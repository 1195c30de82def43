"""`lab replay`: one execution again, from its token."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import click

from lab.commands.console import err, out, report_width, show_json
from lab.commands.options import CheckedCommand, bound_options, json_option, server_options
from lab.commands.pages import draw_replay, html_option, plot_option, write_replay
from lab.model.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from lab.model.replay_token import ReplayToken
    from lab.postgres.server.place import Place
    from lab.scenario.whereabouts import Whereabouts
    from lab.shrink.replays import Replays

__all__ = ["command"]


@click.command(cls=CheckedCommand)
@click.argument("token")
@click.option("--times", type=click.IntRange(min=1), default=5, show_default=True, help="Number of replays.")
@click.option("--dry-run", is_flag=True, help="Show what TOKEN holds and what would be imported; run nothing.")
@html_option("Draw the execution into this page: lanes, waits, rows, why.")
@plot_option("Draw the lanes of the execution into this .svg or .png.")
@click.option("--as-spec", is_flag=True, help="Print the execution as a PostgreSQL isolation spec, which was tried.")
@server_options
@bound_options("step", "setup", "invariant", "imports")
@json_option
async def command(
    token: str,
    *,
    times: int,
    dry_run: bool,
    html: Path | None,
    plot: Path | None,
    as_spec: bool,
    checks: tuple[str, ...],
    url: str | None,
    version: str,
    as_json: bool,
) -> str:
    """Repeat exactly the execution that TOKEN names, and say how many of the replays were identical.

    The module that TOKEN names is imported, which runs it, if it is of this project or an installed package. A scenario
    that ships with the lab is found anywhere.
    """
    from lab.model.replay_token import decode
    from lab.postgres.server.place import Place
    from lab.report.otherwise import otherwise

    named = decode(token)
    module = _whereabouts(named.target.partition(":")[0])
    if dry_run:
        _show(named, module, as_json=as_json)
        return Verdict.PASS
    module.insist()
    if as_spec:
        from lab.commands.as_spec import show_spec

        return await show_spec(named, module, Place(url, int(version)))
    if module.file and not as_json:
        err.out(f"lab: imports {module.module} from {module.file}")
    replays = await _replays(named, module, checks, Place(url, int(version)), times)
    said = "" if replays.diverged else otherwise(named.verdict, replays.record, checks)
    if as_json:
        show_json(_json(named, module, replays, said))
    else:
        _print(replays, said)
    if html is not None:
        write_replay(html, replays, token, [*filter(None, [replays.divergence, said]), _sure(replays)])
    if plot is not None:
        draw_replay(plot, replays)
    return replays.verdict


async def _replays(
    named: ReplayToken, module: Whereabouts, checks: tuple[str, ...], place: Place, times: int
) -> Replays:
    from lab.engine.watchdog import importing
    from lab.model.replay_token import scenario_of
    from lab.scenario.registry import imported, resolve
    from lab.search.direct.hints import is_of_a_race

    with importing():
        imported(module.module)
        scenario = None if is_of_a_race(named.target) else scenario_of(named, resolve(named.target))
    with place.server_soon() as start:  # it starts while this is imported
        from lab.explore import Conditions, Explorer
        from lab.search.garbage import settled
        from lab.shrink.replays import replay_times

        conditions = Conditions(named.isolation or None, checks=checks)
        settled()
        async with aclosing(Explorer(start())) as explorer:
            if scenario is None:
                from lab.search.direct.calling import replayed_race

                return await replayed_race(explorer, named, times)
            return await replay_times(explorer, scenario, named.schedule, conditions, times)


def _whereabouts(name: str) -> Whereabouts:
    """Where a module is, also one that ships with the lab."""
    from lab.scenario.shipped import run_from_shipped, ships
    from lab.scenario.whereabouts import whereabouts_of

    module = whereabouts_of(name)
    if not module.file and ships(module.module):
        run_from_shipped()
        module = whereabouts_of(module.module)
    return module


def _print(replays: Replays, said: str) -> None:
    from lab.report.failure import execution_report

    if replays.record is not None:
        out.out(execution_report(replays.record, width=report_width()))
        out.out("")
    if replays.divergence:
        err.out(f"lab: {replays.divergence}")
    if said:
        out.out(said)
    out.out(_sure(replays))


def _sure(replays: Replays) -> str:
    return f"replayed {replays.identical}/{replays.times} identical · verdict {replays.verdict}"


def _json(named: ReplayToken, module: Whereabouts, replays: Replays, said: str) -> dict[str, Any]:
    """For programs: what was replayed, and the execution; null where no replay was identical."""
    from lab.report.data import plain, story_data
    from lab.report.otherwise import title
    from lab.report.section import explanation_of

    record = replays.record
    return {
        "target": named.target,
        "imports": module.shown(),
        **replays.shown(),
        "expected": named.verdict and title(named.verdict),
        "otherwise": said,
        "explanation": record and plain(explanation_of(record)),
        "story": record and story_data(record),
    }


def _show(named: ReplayToken, module: Whereabouts, *, as_json: bool) -> None:
    """What a token holds."""
    from lab.model.schedule_text import schedule_text
    from lab.report.otherwise import title

    broke = named.verdict and title(named.verdict)
    if as_json:
        held = {"parameters": dict(named.parameters), "isolation": named.isolation or None, "expected": broke}
        show_json(
            {"target": named.target, **held, "schedule": schedule_text(named.schedule), "imports": module.shown()}
        )
        return
    would = {"project": "of this project", "installed": "installed"}.get(module.kind, "which `lab replay` refuses")
    out.out(f"scenario    {named.target}")
    for name, value in named.parameters.items():
        out.out(f"parameter   {name} = {value!r}")
    out.out(f"isolation   {named.isolation or 'of the scenario'}")
    out.out(f"schedule    {schedule_text(named.schedule)}")
    if broke:
        out.out(f"verdict     {broke}")
    out.out(f"imports     {f'{module.file}, {would}' if module.file else 'nothing: there is no such module here'}")
