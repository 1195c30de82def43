"""What the commands of the command line do. Each returns a verdict; `cli` turns it into an exit status."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lab.errors import LabError
from lab.explore import Explorer
from lab.model.remedy import Remedies
from lab.model.replay_token import decode, scenario_of
from lab.model.verdict import Verdict
from lab.postgres.server.place import Place
from lab.postgres.server.server import Server
from lab.report.failure import count, execution_report
from lab.report.limits import limits, not_compared, seen
from lab.report.remedies import remedy_lines
from lab.report.tables import hunt_table
from lab.scenario.declare import target_of
from lab.scenario.registry import discover, instance_of, resolve
from lab.schedulers import describe, make_scheduler
from lab.search.campaign import Line, demonstration_jobs, hunt_everything, hunt_one
from lab.search.hunt import INTERRUPTED, HuntResult
from lab.search.remedies import curable, try_remedies
from lab.search.workers import Job
from lab.shrink.replays import Replays, replay_times

__all__ = ["hunt_all", "hunt_target", "progress_bar", "replay_token"]

DEFAULT_EXECUTIONS = 200
DEMONSTRATION_WORKERS = 2


async def hunt_target(out: Console, err: Console, target: str, *, as_json: bool, **options: Any) -> str:
    """`lab hunt TARGET`."""
    scenario = instance_of(target)
    place = Place(options["url"], int(options["version"]))
    job = _job(options, target_of(scenario), options["executions"] or DEFAULT_EXECUTIONS)
    remedies: Remedies | None = None
    with place.server() as server:
        with progress_bar(err, quiet=as_json) as bar:
            task = bar.add_task(job.target, total=job.executions)
            result = await hunt_one(
                server, place, job, options["workers"] or 1, lambda seen: bar.update(task, completed=seen.executions)
            )
        if not as_json:
            _print_failures(out, result)
        if options["remedies"] and job.seconds is None:
            with progress_bar(err, quiet=as_json) as bar:
                remedies = await _remedies(server, job, result, bar)
    if as_json:
        tried = {"remedies_reason": "", "unfixed": None, "remedies": []} if remedies is None else remedies.dump()
        out.out(json.dumps({**_hunt_json(result, job), **tried}, indent=2))
    else:
        if remedies is not None:
            out.out("\n".join([*remedy_lines(remedies), ""]))
        _print_hunt(out, result, job)
    return result.verdict


async def _remedies(server: Server, job: Job, result: HuntResult, bar: Progress) -> Remedies | None:
    """What helps against the failure that a hunt found, if it found one of that kind."""
    failure = curable(job, result)
    if failure is None:
        return None
    task = bar.add_task("remedies", total=None)
    explorer = Explorer(server)
    try:
        return await try_remedies(
            explorer, job, failure, lambda name, done: bar.update(task, description=name, completed=done)
        )
    finally:
        await explorer.aclose()


async def hunt_all(out: Console, err: Console, *, as_json: bool, **options: Any) -> str:
    """`lab hunt` without a target: the demonstration over everything listed."""
    place = Place(options["url"], int(options["version"]))
    jobs = demonstration_jobs(discover(), _job(options, "", 1), options["executions"])
    lines: list[Line] = []
    interrupted = ""
    with place.server() as server, progress_bar(err, quiet=as_json) as bar:
        task = bar.add_task("hunting", total=len(jobs))
        try:
            async for line in hunt_everything(server, place, jobs, options["workers"] or DEMONSTRATION_WORKERS):
                lines.append(line)
                bar.update(task, advance=1, description=line.target)
        except asyncio.CancelledError:
            interrupted = INTERRUPTED
        except LabError as error:  # what was found until now is shown below in any case
            interrupted = str(error)
    lines.sort(key=lambda line: [job.target for _, job in jobs].index(line.target))
    unexpected = [line for line in lines if not line.as_expected]
    verdict = Verdict.PASS
    if interrupted:
        verdict = Verdict.INCONCLUSIVE
    if unexpected:
        # A violation in a right variant is a finding; anything else left the search incomplete.
        found = any(line.kind == "right" and line.done.result.failures for line in unexpected)
        missed = any(line.kind == "planted" and line.done.result.verdict == Verdict.PASS for line in unexpected)
        verdict = Verdict.FAIL if found or missed else Verdict.INCONCLUSIVE
    if as_json:
        results = [{**_hunt_json(line.done.result, line.done.job), **_line_json(line)} for line in lines]
        out.out(json.dumps({"verdict": verdict, "seed": options["seed"], "results": results}, indent=2))
    else:
        _print_demonstration(out, lines, unexpected, interrupted)
    return verdict


async def replay_token(out: Console, err: Console, text: str, *, times: int, as_json: bool, **options: Any) -> str:
    """`lab replay TOKEN`."""
    token = decode(text)
    scenario = scenario_of(token, resolve(token.target))
    place = Place(options["url"], int(options["version"]))
    with place.server() as server:
        explorer = Explorer(server)
        try:
            level, checks = token.isolation or None, options["checks"]
            replays = await replay_times(explorer, scenario, token.schedule, level, times, checks=checks)
        finally:
            await explorer.aclose()
    if as_json:
        out.out(json.dumps({"target": token.target, **_replays_json(replays)}, indent=2))
        return replays.verdict
    if replays.record is not None:
        out.out(execution_report(replays.record))
        out.out("")
    if replays.divergence:
        err.out(f"lab: {replays.divergence}")
    out.out(f"replayed {replays.identical}/{replays.times} identical · verdict {replays.verdict}")
    return replays.verdict


def _job(options: dict[str, Any], target: str, executions: int) -> Job:
    own = {name: options[name] for name in ("depth", "preemptions") if options[name] is not None}
    make_scheduler(options["scheduler"], options["seed"], **own)  # a wrong option is refused before anything runs
    return Job(
        target=target,
        scheduler=options["scheduler"],
        executions=executions,
        seconds=options["seconds"],
        seed=options["seed"],
        isolation=options["isolation"],
        keep_going=options["keep_going"],
        options=own,
        breakpoints=options["breakpoints"],
        checks=options["checks"],
    )


def progress_bar(err: Console, *, quiet: bool) -> Progress:
    """How far a command is, on standard error; nothing where that is no terminal or a program listens."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
        transient=True,
    )


def _hunt_json(result: HuntResult, job: Job) -> dict[str, Any]:
    failures = [
        {key: value for key, value in asdict(failure).items() if key != "report"} for failure in result.failures
    ]
    return {
        "target": result.target,
        "verdict": result.verdict,
        "reason": result.reason,
        "executions": result.executions,
        "distinct_traces": len(result.traces),
        "exhausted": result.exhausted,
        "predicted": result.predicted,
        "came_true": result.came_true,
        "complete": result.complete,
        "bound": result.bound,
        "preemption_bound": result.preemption_bound,
        "coverage": result.coverage.summary(),
        "outcomes": dict(result.outcomes),
        "failures": failures,
        "seconds": round(result.seconds, 3),
        "seed": result.seed,
        "scheduler": job.scheduler,
        "options": dict(job.options),
        "isolation": job.isolation,
        "checks": list(job.checks),
        "not_compared": result.not_compared,
    }


def _line_json(line: Line) -> dict[str, Any]:
    return {"kind": line.kind, "as_expected": line.as_expected, "error": line.done.error}


def _replays_json(replays: Replays) -> dict[str, Any]:
    return {
        "times": replays.times,
        "identical": replays.identical,
        "diverged": replays.diverged,
        "verdict": replays.verdict,
        "divergence": replays.divergence,
    }


def _print_failures(out: Console, result: HuntResult) -> None:
    for failure in result.failures:
        out.out(failure.report)
        out.out("")


def _print_hunt(out: Console, result: HuntResult, job: Job) -> None:
    runs, traces = count(result.executions, "execution"), count(len(result.traces), "distinct trace")
    searched = f"{runs}, {traces}, {result.seconds:.1f} s"
    end = "; every schedule of this scheduler was run" if result.exhausted else ""
    out.out(f"{result.verdict}: {result.target}: {searched} · {describe(job.scheduler, job.seed, job.options)}{end}")
    if result.verdict == Verdict.PASS:
        for line in limits(
            len(result.traces),
            result.coverage,
            complete=result.complete,
            bound=result.bound,
            preemption_bound=result.preemption_bound,
        ):
            out.out(f"searched: {line}")
    if not result.failures and result.executions:
        for line in [*seen(result.coverage), *not_compared(result.not_compared)]:
            out.out(line)
    if result.reason:
        out.out(f"{'ended early' if result.trouble else 'why'}: {result.reason}")


def _print_demonstration(out: Console, lines: list[Line], unexpected: list[Line], interrupted: str) -> None:
    shown = next((line for line in lines if line.kind == "planted" and line.done.result.failures), None)
    rows = []
    for line in lines:
        result = line.done.result
        smallest = ""
        if result.failures:
            first = result.failures[0]
            smallest = f"{first.steps} steps, {first.preemptions} pre."
        rows.append(
            (
                line.as_expected,
                (
                    escape(line.target),
                    line.kind,
                    result.verdict,
                    str(result.executions),
                    str(len(result.traces)),
                    smallest or escape(line.done.error or result.reason),
                ),
            )
        )
    out.print(hunt_table(rows))
    out.out("")
    for line in unexpected:
        _print_failures(out, line.done.result)
    if shown is not None:
        out.out("One of the planted bugs, as the lab reports it:\n")
        out.out(shown.done.result.failures[0].report)
        out.out("")
    if interrupted:
        out.out(f"ended early: {interrupted}")
    planted = [line for line in lines if line.kind == "planted"]
    right = [line for line in lines if line.kind == "right"]
    out.out(
        f"{sum(line.as_expected for line in planted)} of {len(planted)} planted bugs found, "
        f"{sum(line.as_expected for line in right)} of {len(right)} right variants pass"
    )
