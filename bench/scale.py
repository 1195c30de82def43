"""Where a hunt over a cluster saturates, from 1 to 10,000 workers: a simulation with times measured in this run.

Measured: an execution; what the lab's process spends on handing out a part and on taking in its result, and on one
execution of a search that cannot be cut into parts (dpor); what dask's client and its scheduler spend on a task, on a
cluster on this machine; a message. Times of processes are CPU seconds, so that a busy machine moves them little.

Validated: hunts on 1, 2 and 4 workers of this machine, against the simulation with the times that their parts took.

    python bench/scale.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from _clusters import LocalDask, local_dask
from _common import show
from _queues import Flow, Times, simulated
from distributed import Client

from lab.analysis.tally import HuntResult
from lab.explore import Explorer
from lab.model.starts import Starts
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.place import Place
from lab.scenario.pyproject import find_modules
from lab.schedulers import Shared, make_scheduler
from lab.schedulers.way import led_along
from lab.search.cluster.cluster import AHEAD, Cluster
from lab.search.cluster.link import order
from lab.search.cluster.parts import Parts
from lab.search.crew.crew import GIVEN
from lab.search.crew.desk import AHEAD as FORESEEN
from lab.search.crew.made import Made
from lab.search.crew.maker import Maker
from lab.search.job import Job
from lab.search.workers import JobResult, dumped, loaded, perform

WORKERS = (1, 2, 4, 10, 30, 100, 300, 1000, 3000, 10_000)
MESSAGE_SECONDS = 0.0005
"""One way within a data centre. Not measured here: on one machine it is part of what a task takes."""
SMALLEST = 2000
"""Orders in a simulation, at least."""


def cpu_of(action: Callable[[], object], times: int) -> float:
    """CPU seconds of an action."""
    before = process_time()
    for _ in range(times):
        action()
    return (process_time() - before) / times


async def in_process(target: str, executions: int) -> dict[str, Any]:
    """An execution, what a part costs the lab, and what an execution of dpor costs it."""
    with embedded_server() as server:
        async with aclosing(Explorer(server)) as explorer:
            job = Job(target, "random", 10)
            await perform(explorer, job)
            each = []
            for first in range(0, executions, 10):
                before = perf_counter()
                done = await perform(explorer, Job(target, "random", 10, first=first))
                each.append((perf_counter() - before) / 10)
            line = dumped(done)
            dpor = await dpor_costs(explorer, Job(target, "dpor", 50))
    total = HuntResult(target, 0)

    def taken_in() -> None:
        total.add(loaded(job, json.loads(json.loads(json.dumps({"answer": line}))["answer"])).result)

    return {
        "execution": each,
        "part_out": cpu_of(lambda: order(1, job), 200),
        "part_in": cpu_of(taken_in, 200),
        "answer": line,
        **dpor,
    }


async def dpor_costs(explorer: Explorer, job: Job) -> dict[str, float]:
    """CPU seconds of the lab's process for one execution that another has made: handing out, and taking in."""
    scenario = job.scenario()
    maker = Maker(explorer, job, scenario, Starts.FIXED)
    scheduler = make_scheduler(job.scheduler, job.seed)
    assert isinstance(scheduler, Shared)
    out, back, result = [], [], HuntResult(job.target, 0)
    await explorer.run(scenario, scheduler, job.conditions)
    for number in range(1, job.executions):
        before = process_time()
        course = next(iter(scheduler.courses(number)), None)
        if course is None:
            break
        order(1, job, courses=[course.dump()])
        between = process_time()
        line = (await maker.make(course)).dump()
        begun = process_time()
        made = Made.load(line)
        result.add(made.result)
        if not led_along(scheduler, number, made.way, made.form):
            break
        out.append(between - before)
        back.append(process_time() - begun)
    return {"dpor_out": statistics.mean(out), "dpor_in": statistics.mean(back), "dpor_executions": len(out)}


def _reply(said: str, answer: str) -> str:
    return answer


async def task_costs(dask: LocalDask, said: str, answer: str, tasks: int) -> dict[str, float]:
    """CPU seconds of dask's client and of its scheduler for a task, and seconds from one's start to its answer."""
    async with Client(dask.address, asynchronous=True, set_as_default=False) as client:
        [whole] = await client.scatter([answer], broadcast=True)

        async def one(number: int) -> None:
            await client.submit(_reply, f"{said}{number}", whole, pure=False, key=f"task-{number}")

        trips = []
        for number in range(100):
            before = perf_counter()
            await one(-number - 1)
            trips.append(perf_counter() - before)
        mine, theirs = process_time(), sum(dask.scheduler.cpu_times()[:2])
        for first in range(0, tasks, 50):
            await asyncio.gather(*map(one, range(first, first + 50)))
        mine, theirs = process_time() - mine, sum(dask.scheduler.cpu_times()[:2]) - theirs
    passing = cpu_of(lambda: json.loads(json.dumps({"order": said, "answer": answer})), 100)
    return {"client": mine / tasks + passing, "scheduler": theirs / tasks, "trip": statistics.median(trips)}


async def hunted(dask: LocalDask, target: str, executions: int) -> tuple[float, list[tuple[int, float]], int]:
    """Executions a second from the first answer to the last, (executions, seconds) of parts, and orders under way."""
    job = Job(target, "random", executions)
    cluster = Cluster(dask.address, Place().version)
    parts = Parts(job, lambda: cluster.slots, HuntResult(target, 0))
    answered: list[tuple[float, JobResult]] = []
    async with aclosing(cluster.perform(parts)) as done:
        async for _, answer in done:
            answered.append((perf_counter(), answer))
            parts.measured(answer.result)
    each = [(answer.result.executions, answer.result.seconds) for _, answer in answered]
    first = 2 * cluster.slots  # until then children start
    counted = sum(number for number, _ in each[first:])
    rate = counted / (answered[-1][0] - answered[first - 1][0])
    return rate, each[first:], max(int(cluster.slots * AHEAD), cluster.slots + 1)


def validated(workers: int, target: str, executions: int, times: Times) -> dict[str, float]:
    """Throughput on so many workers of this machine, measured and simulated."""
    with local_dask(workers) as dask:
        rate, parts, under_way = asyncio.run(hunted(dask, target, executions))
    chance = random.Random(0)
    drawn = [chance.choice(parts) for _ in range(SMALLEST)]
    flow = simulated(times, workers, under_way, SMALLEST, lambda number: drawn[number][1])
    foretold = flow.rate * statistics.mean(number for number, _ in drawn)
    return {"workers": workers, "measured": rate, "simulated": foretold, "error": foretold / rate - 1}


def samples(times: Times, workers: int, each: list[float], part: int | None) -> dict[str, float]:
    """A hunt of independent samples with parts of so many executions; None: as many as the lab chooses."""
    mean = statistics.mean(each)
    if part is None:
        chosen = Parts(Job("", "random", sys.maxsize), lambda: workers, HuntResult("", 0))
        known = HuntResult("", 0, executions=1, seconds=mean)
        chosen.measured(known)
        part = chosen.length(sys.maxsize)
    chance, orders = random.Random(0), max(SMALLEST, 6 * workers)
    lengths = [part * statistics.mean(chance.choices(each, k=min(part, 20))) for _ in range(orders)]
    flow = simulated(times, workers, max(int(workers * AHEAD), workers + 1), orders, lengths.__getitem__)
    return _row("samples", workers, part, flow, flow.rate * part, mean)


def searched(times: Times, workers: int, each: list[float]) -> dict[str, float]:
    """A search that stays with the lab: single executions, so many ahead as it foresees."""
    chance, mean = random.Random(0), statistics.mean(each)
    lengths = chance.choices(each, k=SMALLEST)
    flow = simulated(times, workers, min(GIVEN * workers, FORESEEN), SMALLEST, lengths.__getitem__)
    return _row("dpor", workers, 1, flow, flow.rate, mean)


def _row(search: str, workers: int, part: int, flow: Flow, rate: float, mean: float) -> dict[str, Any]:
    shares = {key: round(getattr(flow, key), 3) for key in ("lab", "bridge", "scheduler")}
    of_ideal = rate * mean / workers
    return {
        "search": search,
        "workers": workers,
        "part": part,
        "rate": round(rate, 1),
        "of_ideal": round(of_ideal, 3),
    } | shares


def _show(result: dict[str, float], checks: list[dict[str, float]], rows: list[dict[str, Any]]) -> None:
    show("Measured in this run", ("what", "figure"), list(result.items()), {}, as_json=False)
    table = [(each["workers"], *map(round, (each["measured"], each["simulated"]))) for each in checks]
    table = [(*row, f"{100 * each['error']:+.0f} %") for row, each in zip(table, checks, strict=True)]
    show("Executions a second on this machine", ("workers", "measured", "simulated", "error"), table, {}, as_json=False)
    columns = ("search", "workers", "part", "rate", "of_ideal", "lab", "bridge", "scheduler")
    table = [[f"{100 * row[key]:.0f} %" if key in columns[4:] else row[key] for key in columns] for row in rows]
    heads = ("search", "workers", "part", "executions/s", "of ideal", "lab busy", "client busy", "dask busy")
    show("Simulated", heads, table, {}, as_json=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", default="scenarios.transfer:Transfer")
    parser.add_argument("--executions", type=int, default=400, help="for each measurement of throughput")
    parser.add_argument("--tasks", type=int, default=2000, help="of which the cost of one is taken")
    parser.add_argument("--validate", default="1,2,4", help="workers on this machine")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.chdir(Path(__file__).parents[1])
    find_modules()
    began = perf_counter()

    def said_on(what: str) -> None:
        print(f"{perf_counter() - began:6.1f} s: {what}", file=sys.stderr)

    mine = asyncio.run(in_process(options.target, options.executions))
    said_on("executions and the lab's own costs are measured")
    said = order(1, Job(options.target)).decode()
    with local_dask(1) as dask:
        task = asyncio.run(task_costs(dask, said, mine["answer"], options.tasks))
    said_on("dask's costs are measured")
    times = Times(mine["part_out"], mine["part_in"], task["client"], task["scheduler"], MESSAGE_SECONDS)
    shared = Times(mine["dpor_out"], mine["dpor_in"], task["client"], task["scheduler"], MESSAGE_SECONDS)
    checks = [
        validated(int(number), options.target, options.executions, times) for number in options.validate.split(",")
    ]
    said_on("throughput on this machine is measured")
    rows = [samples(times, number, mine["execution"], None) for number in WORKERS]
    rows += [{**samples(times, number, mine["execution"], 1), "search": "samples, parts of 1"} for number in WORKERS]
    rows += [searched(shared, number, mine["execution"]) for number in WORKERS]
    each = statistics.mean(mine["execution"])
    result = {
        "execution_ms": 1000 * each,
        "part_out_ms": 1000 * times.lab_out,
        "part_in_ms": 1000 * times.lab_in,
        "dpor_out_ms": 1000 * shared.lab_out,
        "dpor_in_ms": 1000 * shared.lab_in,
        "client_ms": 1000 * times.bridge,
        "scheduler_ms": 1000 * times.scheduler,
        "trip_ms": 1000 * task["trip"],
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
    }
    result = {key: round(value, 3) for key, value in result.items()}
    if options.json:
        print(json.dumps({**result, "validated": checks, "simulated": rows}))
        return 0
    _show(result, checks, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
