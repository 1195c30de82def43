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
from typing import IO, Any

from lab.engine.watchdog import watched
from lab.explore import Explorer
from lab.model.bounds import Bounds
from lab.model.secret import without_urls
from lab.postgres.server.place import Place
from lab.scenario.pyproject import find_modules
from lab.search.cluster.identity import difference, identity
from lab.search.job import Job
from lab.search.lifeline import end_with_parent
from lab.search.streams import answers_aside, orders_aside
from lab.search.workers import dumped, perform

__all__: list[str] = []


async def _work(place: Place, orders: IO[str], answers: IO[str]) -> None:
    loop = asyncio.get_running_loop()
    with place.server() as server:
        explorer = Explorer(server)
        try:
            while line := await loop.run_in_executor(None, orders.readline):
                answers.write(f"{await _answer(explorer, json.loads(line))}\n")
                answers.flush()
        finally:
            await explorer.aclose()


async def _answer(explorer: Explorer, order: dict[str, Any]) -> str:
    job = Job.load(order["job"])
    if refusal := difference(identity(job.target), order["expected"]):
        return json.dumps({"refused": refusal})
    done = json.loads(dumped(await perform(explorer, job)))
    done["error"] = without_urls(done["error"])
    done["result"]["trouble"] = without_urls(done["result"]["trouble"])
    return json.dumps(done)


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
