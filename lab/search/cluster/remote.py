"""The child process that does a hunt's jobs on a machine of a cluster, beside the dask worker that asks it.

It reads lines of JSON and answers each with one, as a worker of `lab.search.workers` does. It first looks whether it
runs the same code as the lab that sent the job. Its server is its own, or the one of LAB_URL in the environment of the
dask worker: no URL comes over the network, and none goes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import Iterable
from typing import IO, Any

from lab.engine.watchdog import watched
from lab.errors import LabError
from lab.explore import Explorer
from lab.model.bounds import Bounds
from lab.model.secret import without_urls
from lab.postgres.server.place import Place
from lab.scenario.pyproject import find_modules
from lab.schedulers.course import Course
from lab.search.cluster.identity import difference, identity
from lab.search.crew.maker import Maker
from lab.search.job import Job
from lab.search.lifeline import end_with_parent
from lab.search.streams import answers_aside, orders_aside
from lab.search.workers import dumped, perform

__all__: list[str] = []


class _Worker:
    """Does jobs with one explorer."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._maker: tuple[Job, Maker] | None = None
        """The search that was helped last."""

    async def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """What an order comes to, as JSON can hold it."""
        job = Job.load(order["job"])
        if refusal := difference(identity(job.target), order["expected"]):
            return {"refused": refusal}
        if job.helps:
            return await self._made(job, map(Course.load, order["courses"]))
        done: dict[str, Any] = json.loads(dumped(await perform(self._explorer, job)))
        done["error"] = without_urls(done["error"])
        done["result"]["trouble"] = without_urls(done["result"]["trouble"])
        return done

    async def _made(self, job: Job, courses: Iterable[Course]) -> dict[str, Any]:
        try:
            if self._maker is None or self._maker[0] != job:
                self._maker = job, await Maker.ready(self._explorer, job)
            return {"made": [(await self._maker[1].make(each)).dump() for each in courses]}
        except LabError as error:
            return {"died": without_urls(str(error))}
        except asyncio.CancelledError:
            return {"interrupted": True}


async def _work(place: Place, orders: IO[str], answers: IO[str]) -> None:
    loop = asyncio.get_running_loop()
    with place.server() as server:
        explorer = Explorer(server)
        worker = _Worker(explorer)
        try:
            while line := await loop.run_in_executor(None, orders.readline):
                answers.write(f"{json.dumps(await worker.answer(json.loads(line)))}\n")
                answers.flush()
        finally:
            await explorer.aclose()


def main() -> None:
    """Entry point of the child process."""
    end_with_parent(int(sys.argv[1]))
    url = os.environ.pop("LAB_URL", None)
    find_modules()
    orders, answers = orders_aside(), answers_aside()
    with contextlib.suppress(KeyboardInterrupt):  # the dask worker interrupts it; it knows
        if line := orders.readline():
            hello = json.loads(line)
            place = Place(url or None, hello["version"])
            with watched(Bounds(**hello["bounds"]), _leave, sys.__stderr__.fileno() if sys.__stderr__ else 2):
                asyncio.run(_work(place, orders, answers))
    gc.freeze()  # the process goes as a whole


def _leave(sentence: str) -> None:
    os.write(2, f"{sentence}\n".encode(errors="backslashreplace"))
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
