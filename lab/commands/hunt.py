"""`lab hunt`: searches one scenario, or everything listed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from lab.commands.beforehand import early_standby, whole
from lab.commands.complete import complete_target
from lab.commands.console import print_lines, progress_bar, report_width, show_json
from lab.commands.everything import hunt_everything_listed
from lab.commands.jobs import hunt_data, job_of
from lab.commands.keep import Desk, KeptCommand, keep_options, kept_hunt
from lab.commands.on_cluster import cluster_of, who_options
from lab.commands.options import bound_options, fault_options, json_option, level_option, server_options, workers_of
from lab.commands.pages import draw_hunt, html_option, plot_option, write_hunt

if TYPE_CHECKING:
    from rich.progress import Progress

    from lab.analysis.reported import ReportedFailure
    from lab.analysis.tally import HuntResult
    from lab.explore import Explorer
    from lab.model.remedy import Remedies
    from lab.postgres.server.place import Place
    from lab.postgres.server.server import Server
    from lab.search.cluster.cluster import Cluster
    from lab.search.fresh import FreshCheck
    from lab.search.job import Job
    from lab.search.standby import Standby

__all__ = ["command"]

DEFAULT_EXECUTIONS = 200


@click.command(cls=KeptCommand)
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--executions", type=click.IntRange(min=1), help="Executions at most. [default: 200]")
@click.option(
    "--seconds", type=click.FloatRange(min=0), help="Stop after this many seconds; without TARGET, for each scenario."
)
@click.option("--seed", type=int, default=0, show_default=True)
@level_option("Run every transaction at this isolation level instead of the scenario's own.")
@fault_options
@who_options
@click.option(
    "--no-breakpoints",
    "breakpoints",
    flag_value=False,
    default=True,
    help="Never pause a statement between two rows that it locks.",
)
@click.option("--keep-going", is_flag=True, help="Do not stop at the first violation.")
@click.option(
    "--remedies/--no-remedies",
    default=True,
    show_default=True,
    help="Try remedies against a violation of TARGET and show what they cost; never with --seconds.",
)
@click.option(
    "--remedies-seconds",
    type=click.FloatRange(min=0),
    default=3.0,
    show_default=True,
    help="Try no remedy after so many seconds; those that are left are said to be.",
)
@click.option(
    "--fresh/--no-fresh",
    default=True,
    show_default=True,
    help="Replay each violation of TARGET in a fresh process, too: about a second each.",
)
@plot_option("Draw how many traces were met, and the outcomes, into this .svg or .png.")
@html_option("Draw what was found into this page, and each failure into one beside it.")
@keep_options
@server_options
@bound_options("step", "setup", "invariant", "imports")
@json_option
async def command(target: str | None, resume: str | None, **options: Any) -> str:
    """Search schedules of TARGET (module:Class or a short name) for a violation.

    Without TARGET, hunt everything listed: every right variant must pass and every planted bug be found. Known
    violations of TARGET are replayed beside the search; `lab hunts` lists what is kept.
    """
    if resume is not None:
        row, job, options = kept_hunt(resume, options)
        return await _hunt_target(job.target, row=row, job=job, **options)
    if target is None and (options["html"] or options["plot"]):
        raise click.UsageError("--html and --plot draw the hunt of one TARGET; name it")
    # An empty TARGET is a script's unset variable: it must not pass for "everything".
    return await (hunt_everything_listed(**options) if target is None else _hunt_target(target, **options))


async def _hunt_target(
    target: str, *, as_json: bool, row: dict[str, Any] | None = None, job: Job | None = None, **options: Any
) -> str:
    from lab.commands.found import Found
    from lab.engine.watchdog import importing
    from lab.postgres.server.place import Place
    from lab.report.contained import lines_of
    from lab.report.hunts import hunt_lines, struck_by
    from lab.report.remedies import remedy_lines
    from lab.scenario.declare import target_of
    from lab.scenario.registry import instance_of

    async with early_standby(fresh=options["fresh"], workers=options["workers"]) as early:
        with importing():
            scenario = instance_of(whole(target))
        place = Place(options["url"], int(options["version"]))
        cluster = cluster_of(options)
        with place.server_soon() as start, progress_bar(quiet=as_json) as bar:
            job = job or job_of(options, target_of(scenario), options["executions"] or DEFAULT_EXECUTIONS)
            job = replace(job, pages=options["html"] is not None, width=report_width())
            if job.pages:  # a page counts the executions of each anomaly
                job = replace(job, conditions=replace(job.conditions, recorded=True))
            async with aclosing(Desk(job, options, Found(bar, quiet=as_json), row)) as desk:
                result, remedies = await _hunted(start, place, cluster, job, bar, options, desk, early)
                answer = {**hunt_data(result, job), **_dumped(remedies), **desk.answer(result)}
                desk.ended(result, answer)
    faults = job.conditions.may_strike(scenario), job.conditions.most_faults(scenario)
    said = [*hunt_lines(result, job.described, struck_by(*faults))]
    if as_json:
        show_json(answer)
    else:
        if remedies is not None:
            print_lines([*lines_of("Remedies", partial(remedy_lines, remedies)), ""])
        print_lines(said)
        desk.print_end(result)
    if options["plot"] is not None:
        draw_hunt(options["plot"], result)
    if options["html"] is not None:
        write_hunt(options["html"], result, job, remedies, said)
    return desk.verdict(result)


def _dumped(remedies: Remedies | None) -> dict[str, Any]:
    return {"remedies_reason": "", "unfixed": None, "remedies": []} if remedies is None else remedies.dump()


async def _hunted(
    start: Callable[[], Server],
    place: Place,
    cluster: Cluster | None,
    job: Job,
    bar: Progress,
    options: dict[str, Any],
    desk: Desk,
    early: Standby | None,
) -> tuple[HuntResult, Remedies | None]:
    """What a hunt found, checked, and what helps. `start` gives the server, which starts while this is imported."""
    from lab.commands.progress import seen_until_now
    from lab.explore import Explorer
    from lab.search.campaign import hunt_one
    from lab.search.fresh import FreshCheck
    from lab.search.garbage import settled

    settled()
    server = start()
    task = bar.add_task(job.target, total=job.executions)

    began = time.monotonic()

    def progress(seen: HuntResult) -> None:
        bar.update(task, completed=seen.executions, description=seen_until_now(seen, time.monotonic() - began))
        desk.look()

    check = FreshCheck(place.of(server), job, early)

    def found(failure: ReportedFailure) -> None:
        desk.first(failure)
        bar.update(task, description=f"{job.target.rpartition(':')[2]} · minimising")
        if options["fresh"]:
            check.expect(failure)

    workers = workers_of(options["workers"], default=1)
    async with aclosing(check), aclosing(Explorer(server)) as explorer:
        await desk.begin(explorer, place.of(server), external=place.url is not None)
        more: dict[str, Any] = {"explorer": explorer, "cluster": cluster, "keeping": desk.keeping}
        result = await hunt_one(server, place, job, workers, progress, found, **more)
        bar.remove_task(task)
        remedies = await _afterwards(explorer, job, result, check, bar, options, desk)
        check.dismiss()
    return result, remedies


async def _afterwards(
    explorer: Explorer,
    job: Job,
    result: HuntResult,
    check: FreshCheck,
    bar: Progress,
    options: dict[str, Any],
    desk: Desk,
) -> Remedies | None:
    """Fresh processes and remedies, each on a core of its own; what helps, if it is known."""
    import asyncio

    from lab.search.remedies.curable import curable

    wanted = options["remedies"] and job.seconds is None
    if options["fresh"] and result.failures and not result.trouble:
        check.begin(result)

    def seen() -> None:
        if check.is_over and desk.look():
            desk.shown.report(result)

    seen()
    failure = curable(job, result) if wanted else None
    remedies = await _remedies(explorer, job, failure, check, bar, seen, options) if failure else None
    if (task := asyncio.current_task()) is not None and task.cancelling():
        check.cancel()
    with contextlib.suppress(asyncio.CancelledError):  # the result says so
        await check.over()
    await desk.over()
    desk.shown.report(result)
    cured = curable(job, result) if wanted else None
    if result.trouble or failure is None or (cured is not None and cured.key == failure.key):
        return remedies
    return (
        await _remedies(explorer, job, cured, check, bar, seen, options) if cured else None
    )  # no token holds elsewhere


async def _remedies(
    explorer: Explorer,
    job: Job,
    failure: ReportedFailure,
    check: FreshCheck,
    bar: Progress,
    seen: Callable[[], None],
    options: dict[str, Any],
) -> Remedies:
    """What helps against a failure that a hunt found. `seen` is called now and then."""
    from lab.explore.contained import or_else
    from lab.model.remedy import Remedies
    from lab.search.remedies.trials import try_remedies

    task = bar.add_task("remedies", total=None)

    def progress(name: str, done: int) -> None:
        bar.update(task, description=name, completed=done)
        seen()

    seconds = options["remedies_seconds"]
    trying = try_remedies(explorer, job, failure, progress, seconds=seconds, helper=check.helper)
    remedies, defect = await or_else("try remedies", trying, Remedies(job.described))
    return replace(remedies, trouble=defect) if defect else remedies
