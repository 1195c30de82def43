"""`lab hunt` without TARGET: the demonstration over everything listed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from lab.commands.console import out, print_lines, progress_bar, show_json
from lab.commands.jobs import hunt_data, job_of
from lab.commands.on_cluster import cluster_of
from lab.commands.options import workers_of
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.analysis.overview import Line

__all__ = ["hunt_everything_listed"]

WORKERS = 2


async def hunt_everything_listed(*, as_json: bool, **options: Any) -> str:
    """The demonstration over everything listed."""
    import asyncio

    from lab.analysis.overview import verdict_on
    from lab.engine.watchdog import importing
    from lab.postgres.server.place import Place
    from lab.report.hunts import demonstration_lines, demonstration_table
    from lab.scenario.registry import discover
    from lab.search.campaign import demonstration_jobs, hunt_everything
    from lab.search.hunt import INTERRUPTED
    from lab.search.tuning.tuned import as_tuned

    place = Place(options["url"], int(options["version"]))
    template = job_of(options, "", 1)
    with importing():
        scenarios = discover()
    jobs = [
        (kind, as_tuned(job, chosen=options["chosen"]))
        for kind, job in demonstration_jobs(scenarios, template, options["executions"])
    ]
    workers = workers_of(options["workers"], default=WORKERS)
    lines: list[Line] = []
    interrupted = ""
    cluster = cluster_of(options)
    with place.server() if cluster is None else contextlib.nullcontext() as server, progress_bar(quiet=as_json) as bar:
        task = bar.add_task("hunting", total=len(jobs))
        try:
            async for line in hunt_everything(server, place, jobs, workers, cluster=cluster):
                lines.append(line)
                bar.update(task, advance=1, description=line.target)
        except asyncio.CancelledError:
            interrupted = INTERRUPTED
        except LabError as error:  # what was found until now is shown below in any case
            interrupted = str(error)
    lines.sort(key=lambda line: [job.target for _, job in jobs].index(line.target))
    verdict = verdict_on(lines, interrupted=bool(interrupted))
    if as_json:
        results = [{**hunt_data(line.result, template), **line.shown()} for line in lines]
        show_json({"verdict": verdict, "seed": options["seed"], "results": results})
    else:
        out.print(demonstration_table(lines))
        out.out("")
        print_lines(demonstration_lines(lines, interrupted))
    return verdict
