"""The process beside the lab that is the client of a dask cluster: lines of JSON in, lines of JSON out.

In: in the beginning `{"hello": …, "connect": seconds, "workerless": seconds}`, then `{"number": N, "order": …}` and
`{"interrupt": true}`. When the input ends, however the lab ended, what runs on the cluster is broken off, and nothing
of the hunt stays there.

Out: `{"slots": N}` when the number of jobs changes that the cluster does at once, `{"number": N, "worker": …,
"answer": …}`, and as the last line `{"failed": sentence, "status": exit status}` where it cannot go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import pickle
import sys
import time
import uuid
from collections.abc import Mapping
from typing import Any

import cloudpickle
from distributed import Client

from lab.search.child import LONGEST_LINE
from lab.search.cluster import errand

__all__ = ["Sent"]

ANSWER_SECONDS = 10.0
"""How long a scheduler that is there may take for an answer."""
LOOK_SECONDS = 1.0
"""How often the workers are counted."""
LEAVING_SECONDS = 10.0
"""How long the cluster may take to be rid of the hunt."""


class Sent:
    """A function as its code: it becomes that function where it arrives, whether or not its module is there.

    Dask would write the name of its module, which then has to be on the scheduler as well.
    """

    def __init__(self, function: Any) -> None:
        self._code = cloudpickle.dumps(function)

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self._code,)

    def __call__(self, *arguments: Any) -> Any:
        """Only there."""
        raise NotImplementedError


class _Failed(Exception):
    """The hunt cannot go on. Its text is a sentence."""

    def __init__(self, sentence: str, status: int = 3) -> None:
        super().__init__(sentence)
        self.status = status


class _Bridge:
    def __init__(self, client: Any, address: str, hello: Mapping[str, Any]) -> None:
        self.client, self.address, self.hello = client, address, hello
        self.name = f"lab-{uuid.uuid4().hex[:12]}"
        self.running: set[asyncio.Task[None]] = set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.leaving = False
        self.task = Sent(errand.perform)

    async def open(self) -> None:
        """See that the workers can do anything, and let each have its children."""
        versions = await self.client.get_versions(check=False)
        mine = _python(versions["client"])
        for worker, each in versions["workers"].items():
            if each is not None and _python(each) != mine:
                raise _Failed(f"the dask worker {worker} has Python {_python(each)}, and here is {mine}", 2)
        await self.client.register_plugin(errand.Children(self.name, self.hello["hello"]), name=self.name)

    async def close(self) -> None:
        """Nothing of the hunt stays on the cluster."""
        self.leaving = True
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        await self.client.unregister_worker_plugin(self.name)

    async def count(self) -> None:
        """Say how many jobs the cluster does at once, as that changes; fail where it does none for long."""
        said, since = -1, time.monotonic()
        while True:
            try:
                slots = sum((await asyncio.wait_for(self.client.nthreads(), ANSWER_SECONDS)).values())
                there = True
            except (OSError, TimeoutError, ValueError):
                slots, there = 0, False
            if slots:
                since = time.monotonic()
            if slots != said:
                _say({"slots": slots})
                said = slots
            if time.monotonic() - since > self.hello["workerless"]:
                seconds = f"{self.hello['workerless']:g} s"
                missing = "has had no worker" if there else "has not answered"
                raise _Failed(f"the dask cluster at {self.address} {missing} for {seconds}")
            await asyncio.sleep(LOOK_SECONDS)

    def perform(self, number: int, order: str) -> None:
        """Let some worker do a job."""
        task = asyncio.create_task(self._perform(number, order))
        self.running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def _perform(self, number: int, order: str) -> None:
        key = f"{self.name}-{number}"
        future = self.client.submit(self.task, self.name, key, order, key=key, pure=False)
        try:
            try:
                worker, answer = await future
            except asyncio.CancelledError:
                if self.leaving or not future.cancelled():
                    raise
                return  # the scheduler is gone; whoever counts the workers says so
            except Exception as error:  # noqa: BLE001 - of whatever kind: dask's own, or of a worker that is another
                words = str(error).strip().splitlines() or [type(error).__name__]
                worker, answer = "", json.dumps({"died": words[0]})
            _say({"number": number, "worker": worker, "answer": answer})
        finally:
            future.release()

    def interrupt(self) -> None:
        """Ask for what was found until now."""
        task = asyncio.create_task(self._interrupt())
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def _interrupt(self) -> None:
        with contextlib.suppress(OSError):
            await self.client.run(errand.interrupt, self.name, on_error="ignore")


def _why(error: BaseException) -> str:
    """The cause of an error, which dask wraps in what it did meanwhile."""
    cause = error.__cause__ or error
    return str(cause).strip().splitlines()[0].rpartition("Error: ")[2] if str(cause).strip() else "no answer in time"


def _python(machine: Mapping[str, Any]) -> str:
    return ".".join(machine["host"]["python"].split(".")[:2])


def _say(value: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{json.dumps(value)}\n")
        sys.stdout.flush()


async def _orders() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _pass_on(bridge: _Bridge, orders: asyncio.StreamReader) -> None:
    while line := await orders.readline():
        order = json.loads(line)
        if "interrupt" in order:
            bridge.interrupt()
        else:
            bridge.perform(order["number"], order["order"])


async def _bridge(address: str) -> None:
    orders = await _orders()
    hello = json.loads(await orders.readline())
    try:
        making: Any = Client  # it has no types of its own
        client = await asyncio.wait_for(
            making(address, asynchronous=True, timeout=hello["connect"], set_as_default=False), 2 * hello["connect"]
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise _Failed(f"cannot reach a dask scheduler at {address}: {_why(error)}") from None
    try:
        bridge = _Bridge(client, address, hello)
        try:
            await asyncio.wait_for(bridge.open(), ANSWER_SECONDS)
            going = [asyncio.ensure_future(each) for each in (_pass_on(bridge, orders), bridge.count(), bridge.failed)]
            done, left = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
            for task in done:
                task.result()
        finally:
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(bridge.close(), LEAVING_SECONDS)
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(client.close(), LEAVING_SECONDS)


def main() -> None:
    """Entry point of the process. The address is no secret; dask reads what TLS needs from its own configuration."""
    cloudpickle.register_pickle_by_value(errand)
    logging.disable(logging.ERROR)
    try:
        asyncio.run(_bridge(sys.argv[1]))
    except _Failed as error:
        _say({"failed": str(error), "status": error.status})
    except (OSError, TimeoutError) as error:
        _say({"failed": f"the dask cluster at {sys.argv[1]} does not answer: {error}", "status": 3})
    sys.stdout.flush()
    os._exit(0)  # dask's own threads would be waited for


if __name__ == "__main__":
    main()
