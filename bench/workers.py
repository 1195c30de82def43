"""One hunt by one, two and four workers, taking turns: how much sooner, at what cost, and whether the result is equal.

For each scheduler, each number of workers and each kind of server: executions a second, as a multiple of those of one
worker in the same round; once with the start of the workers and once for the last two thirds of the executions, when
all are there. Beside it what the others did: executions that were taken from them, that were made for nothing, seconds
in which the search's own process had nothing to do, and the processor time of all Python processes for an execution.

`own`: each worker has a server of its own, as where the server's clock is moved. `shared`: each has a database of its
own on one server. The result, with every trace, outcome and failure, must be that of one worker: else the exit status
is 1 and `different` names the row.

    python bench/workers.py
    python bench/workers.py --schedulers dpor --workers 1,2 --executions 500 --rounds 3 --json
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import time
from dataclasses import dataclass, field

from _common import show

from lab.analysis.tally import HuntResult
from lab.explore import Explorer
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.place import Place
from lab.postgres.server.server import Server
from lab.scenario.pyproject import find_modules
from lab.search.crew.crew import Crew
from lab.search.crew.desk import Figures
from lab.search.crew.processes import Processes
from lab.search.job import Job
from lab.search.workers import perform

TARGET = "scenarios.deadlock:RingOfFour"
"""Four actors and more traces than a bench runs, so that no search is over before it is measured."""


@dataclass(frozen=True)
class Ran:
    """One hunt."""

    rate: float
    """Executions a second."""
    steady: float
    """The same of the last two thirds."""
    cpu_ms: float
    figures: Figures
    result: dict[str, object]
    executions: int


@dataclass
class Row:
    """A number of workers under a scheduler; the first of each is one worker."""

    scheduler: str
    workers: int
    servers: str
    ran: list[Ran] = field(default_factory=list)

    def ratio(self, alone: Row, name: str) -> float:
        """How many times as many executions a second as one worker: the median of the rounds."""
        return statistics.median(getattr(a, name) / getattr(b, name) for a, b in zip(self.ran, alone.ran, strict=True))

    def median(self, name: str) -> float:
        """Of the rounds."""
        return statistics.median(getattr(each, name) for each in self.ran)

    def share(self, name: str) -> float:
        """A figure of the crew for each execution."""
        return sum(getattr(each.figures, name) for each in self.ran) / sum(each.executions for each in self.ran)


def cpu_seconds() -> float:
    """Of this process and of all its children that are gone."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


async def hunt(server: Server, job: Job, row: Row) -> Ran:
    """One hunt with new processes."""
    place = Place(None, server.version or 0)
    moments: list[float] = []
    began, cpu = time.monotonic(), cpu_seconds()
    explorer = Explorer(server)
    crew = None
    try:
        if row.workers > 1:
            where = place.of(server) if row.servers == "shared" else place
            crew = Crew(Processes(where, job, row.workers - 1), job)
        answer = await perform(explorer, job, lambda seen: moments.append(time.monotonic()), crew)
    finally:
        if crew is not None:
            crew.dismiss()
            await crew.aclose()
        await explorer.aclose()
    third = len(moments) // 3
    if answer.error:
        raise SystemExit(answer.error)
    return Ran(
        len(moments) / (moments[-1] - began),
        (len(moments) - third) / (moments[-1] - moments[third]),
        1000 * (cpu_seconds() - cpu) / len(moments),
        Figures() if crew is None else crew.figures,
        _without_time(answer.result),
        answer.result.executions,
    )


def _without_time(result: HuntResult) -> dict[str, object]:
    return {**result.dump(), "seconds": 0}


async def measured(asked: argparse.Namespace) -> list[Row]:
    """Every row, in rounds."""
    rows = [
        Row(scheduler, workers, servers)
        for scheduler in asked.schedulers.split(",")
        for workers in map(int, asked.workers.split(","))
        for servers in (asked.servers.split(",") if workers > 1 else ["one"])
    ]
    with embedded_server(clock=False) as server:
        for _ in range(asked.rounds):
            for row in rows:
                job = Job(asked.target, row.scheduler, asked.executions, keep_going=True, refine=False)
                row.ran.append(await hunt(server, job, row))
                print(f"{row.scheduler} {row.workers} {row.servers}: {row.ran[-1].rate:.1f}/s", file=sys.stderr)
    return rows


def described(row: Row, rows: list[Row]) -> dict[str, object]:
    """A row as its figures."""
    alone = next(each for each in rows if each.scheduler == row.scheduler and each.workers == 1)
    return {
        "scheduler": row.scheduler,
        "workers": row.workers,
        "servers": row.servers,
        "executions": row.ran[0].executions,
        "a_second": round(row.median("rate"), 1),
        "ratio": round(row.ratio(alone, "rate"), 2),
        "ratio_steady": round(row.ratio(alone, "steady"), 2),
        "cpu_ms": round(row.median("cpu_ms"), 2),
        "taken": round(row.share("taken"), 3),
        "wasted": round(row.share("unused") + row.share("refused"), 3),
        "waited_ms": round(1000 * row.share("waited"), 2),
        "equal": all(each.result == alone.ran[0].result for each in row.ran),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default=TARGET)
    parser.add_argument("--schedulers", default="random,dpor,portfolio")
    parser.add_argument("--workers", default="1,2,4", help="the first is 1")
    parser.add_argument("--servers", default="own,shared")
    parser.add_argument("--executions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", dest="as_json")
    asked = parser.parse_args()
    if asked.workers.split(",")[0] != "1":
        parser.error("--workers begins with 1, with which the others are compared")
    os.environ["LAB_SERVER_CLOCK"] = "own"  # so that a server that is shared and one's own are alike
    find_modules()
    rows = asyncio.run(measured(asked))
    shown = [described(row, rows) for row in rows]
    different = [f"{each['scheduler']} {each['workers']} {each['servers']}" for each in shown if not each["equal"]]
    table = [list(each.values()) for each in shown]
    result = {"target": asked.target, "cores": os.cpu_count(), "rows": shown, "different": different}
    show(f"{asked.target}, {asked.rounds} rounds", list(shown[0]), table, result, as_json=asked.as_json)
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
