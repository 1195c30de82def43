"""What is said to the process beside the lab that speaks to a cluster, and what its answers mean."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any

from lab.engine.watchdog import bounds
from lab.errors import LabError, ServerError, UsageError
from lab.model.secret import without_urls
from lab.search.cluster.identity import identity
from lab.search.job import Job

__all__ = ["Link", "last_words"]


@dataclass(frozen=True, slots=True)
class Link:
    """How the process is started and spoken to. `workerless` and `connect` are seconds of patience."""

    address: str
    version: int
    workerless: float
    connect: float

    @property
    def command(self) -> tuple[str, ...]:
        """What is run. -P: the working folder is not searched for distributed."""
        return sys.executable, "-P", "-m", "lab.search.cluster.bridge", self.address

    @property
    def manner(self) -> Mapping[str, Any]:
        """The keywords of its start. No server of this machine's is any business of the cluster."""
        env = {name: value for name, value in os.environ.items() if name != "LAB_URL"}
        return {"env": env, "start_new_session": True}

    def greeting(self) -> bytes:
        """The first line of its standard input."""
        hello = json.dumps({"version": self.version, "bounds": asdict(bounds())})
        return line_of({"hello": hello, "connect": self.connect, "workerless": self.workerless})


def order(number: int, job: Job, **more: Any) -> bytes:
    """The line that asks for a job, whose answer comes with this number."""
    asked = {"job": job.dump(), "expected": identity(job.target), **more}
    return line_of({"number": number, "order": json.dumps(asked)})


def line_of(value: object) -> bytes:
    """As a line of JSON."""
    return json.dumps(value).encode() + b"\n"


def raise_failure(said: Mapping[str, Any]) -> None:
    """Raise the `LabError` that a line means, if it means one."""
    if "failed" in said:
        raise _error(said["failed"], said["status"])
    if "answer" in said and "refused" in (answer := json.loads(said["answer"])):
        raise UsageError(f"the dask worker {said['worker']} {answer['refused']}")


def _error(sentence: str, status: int) -> LabError:
    return UsageError(sentence) if status == UsageError.exit_status else ServerError(sentence)


def died(said: Mapping[str, Any]) -> str:
    """The sentence about an order whose maker died."""
    words = json.loads(said["answer"])["died"]
    who = f"a worker process died on the dask worker {said['worker']}" if said["worker"] else "no worker could do it"
    return without_urls(f"{who}: {words}")


def last_words(words: IO[bytes]) -> ServerError:
    """The error where the process itself has ended."""
    words.seek(0)
    lines = words.read().decode(errors="replace").strip().splitlines()
    return ServerError(f"the process that speaks to the dask cluster died: {lines[-1] if lines else 'without a word'}")
