"""`lab replay`: one execution again, from its token."""

from __future__ import annotations

from contextlib import aclosing

import click

from lab.commands.console import err, out, show_json
from lab.commands.options import CheckedCommand, bound_options, json_option, server_options

__all__ = ["command"]


@click.command(cls=CheckedCommand)
@click.argument("token")
@click.option("--times", type=click.IntRange(min=1), default=5, show_default=True, help="How often.")
@server_options
@bound_options("step", "setup", "invariant", "imports")
@json_option
async def command(
    token: str, *, times: int, checks: tuple[str, ...], url: str | None, version: str, as_json: bool
) -> str:
    """Repeat exactly the execution that TOKEN names, and say how many of the replays were identical."""
    from lab.engine.watchdog import importing
    from lab.explore import Conditions, Explorer
    from lab.model.replay_token import decode, scenario_of
    from lab.postgres.server.place import Place
    from lab.report.failure import execution_report
    from lab.scenario.registry import resolve
    from lab.shrink.replays import replay_times

    named = decode(token)
    with importing():
        scenario = scenario_of(named, resolve(named.target))
    with Place(url, int(version)).server() as server:
        async with aclosing(Explorer(server)) as explorer:
            conditions = Conditions(named.isolation or None, checks=checks)
            replays = await replay_times(explorer, scenario, named.schedule, conditions, times)
    if as_json:
        show_json({"target": named.target, **replays.shown()})
        return replays.verdict
    if replays.record is not None:
        out.out(execution_report(replays.record))
        out.out("")
    if replays.divergence:
        err.out(f"lab: {replays.divergence}")
    out.out(f"replayed {replays.identical}/{replays.times} identical · verdict {replays.verdict}")
    return replays.verdict
