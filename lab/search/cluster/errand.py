"""What runs inside a dask worker: a plugin that keeps the lab's child processes there, and the task that asks one.

Nothing here imports the lab: this file is sent to the workers as it stands, so that one without the lab can say so. It
needs only Python and distributed.

A child ends when it was asked nothing for a while, when the hunt is over, and with its dask worker. So a hunt whose
own process was killed leaves no process on a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from typing import IO, Any

from distributed import WorkerPlugin, get_worker

__all__ = ["Children", "interrupt", "perform"]

IDLE_SECONDS = 30.0
"""How long a child waits for the next job before it ends. A new one is there in about a second."""
LEAVING_SECONDS = 5.0
"""How long one may take to drop its databases on a server given by URL."""
LOOK_SECONDS = 0.5
"""How often one is looked at that works: code may have stopped its own process."""
STARTS = 3
"""How often a job is begun whose child is killed from outside: the system does that where memory is short."""
CHUNK = 1 << 20
MISSING = "No module named"
OVER = ("cancelled", "released", "forgotten")


class _Child:
    """One child process; asked by one thread at a time."""

    def __init__(self, hello: str) -> None:
        self.reading, self.writing = os.pipe()
        self.words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - for the life of the process
        self.process = subprocess.Popen(  # noqa: S603 - this interpreter
            (sys.executable, "-P", "-m", "lab.search.cluster.remote", str(self.reading)),
            pass_fds=(self.reading,),
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.words,
            bufsize=0,
        )
        self.interrupted = False
        self.unread = b""
        self.since = time.monotonic()
        self._tell(hello)

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            left = memoryview(f"{line}\n".encode())
            while left:
                left = left[os.write(self.process.stdin.fileno(), left) :]

    def ask(self, order: str) -> str:
        """The answer to an order, "" from one that died."""
        self._tell(order)
        assert self.process.stdout is not None
        answers = self.process.stdout.fileno()
        while b"\n" not in self.unread[-CHUNK:]:
            if not select.select([answers], [], [], LOOK_SECONDS)[0]:
                self._let_go_on()
                continue
            if not (more := os.read(answers, CHUNK)):
                return ""
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\n")
        self.since = time.monotonic()
        return line.decode()

    def _let_go_on(self) -> None:
        with contextlib.suppress(OSError):
            stopped = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG)
            if stopped is not None and stopped.si_status == signal.SIGSTOP:
                os.kill(self.process.pid, signal.SIGCONT)

    def interrupt(self) -> None:
        """Ask for what was found until now; it does nothing more afterwards."""
        self.interrupted = True
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)

    def leave(self, seconds: float = LEAVING_SECONDS) -> None:
        """End it. It may take some time to leave by itself."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        for descriptor in (self.reading, self.writing):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def last_words(self) -> str:
        """The last line of its standard error, or its exit status; "" for one that was killed without a word."""
        status = self.process.wait()
        self.words.seek(0)
        lines = self.words.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "" if status == -signal.SIGKILL else f"exit status {status}"


class Children(WorkerPlugin):
    """The children on one dask worker: as many as it has tasks of this hunt at once. `hello` is their first line."""

    def __init__(self, name: str, hello: str) -> None:
        self.name, self.hello = name, hello

    def setup(self, worker: Any) -> None:
        """Begin, on a worker."""
        self.address = worker.address
        self.lock = threading.Lock()
        self.idle: list[_Child] = []
        self.busy: dict[str, _Child] = {}
        self.interrupted: set[str] = set()
        self.over = False
        self.changed = threading.Event()
        """An order was answered."""
        self.wanted: queue.SimpleQueue[Future[_Child] | None] = queue.SimpleQueue()
        self.keeper = threading.Thread(target=self._keep, name="lab-children", daemon=True)
        self.keeper.start()

    def _keep(self) -> None:
        """Start children and end idle ones, in one thread: the kernel ends a child with the thread that started it."""
        while True:
            try:
                wanted = self.wanted.get(timeout=1.0)
            except queue.Empty:
                self._end_idle(IDLE_SECONDS)
                continue
            if wanted is None:
                self._end_all()
                return
            try:
                wanted.set_result(_Child(self.hello))
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                wanted.set_exception(error)

    def _end_idle(self, seconds: float) -> None:
        now = time.monotonic()
        with self.lock:
            ending = [each for each in self.idle if now - each.since >= seconds]
            self.idle = [each for each in self.idle if each not in ending]
        for child in ending:
            child.leave()

    def _end_all(self) -> None:
        """The busy ones were interrupted, and are ended by who asked them."""
        until = time.monotonic() + LEAVING_SECONDS
        while self.busy and time.monotonic() < until:
            self.changed.wait(LOOK_SECONDS)
            self.changed.clear()
        with self.lock:
            left = [*self.busy.values()]
        for child in left:
            child.process.kill()
        self._end_idle(0.0)

    def ask(self, key: str, order: str) -> str:
        """The answer of a child to an order. One that was killed without a word is replaced, and asked again."""
        words = ""
        for _ in range(STARTS):
            child = self._take(key)
            if child is None:
                return json.dumps({"interrupted": True})
            line = child.ask(order)
            if self._done(key, child, line):
                return line or json.dumps({"interrupted": True})
            if words := child.last_words():
                break
        if MISSING in words and "lab" in words:
            return json.dumps({"refused": "has no lab that can hunt there: install the same version"})
        return json.dumps({"died": words or f"killed {STARTS} times"})

    def _done(self, key: str, child: _Child, line: str) -> bool:
        """Keep a child that answered for the next order, or end it; whether the order is done."""
        with self.lock:
            kept = bool(line) and not child.interrupted and not self.over
            if kept:
                self.idle.append(child)
        if not kept:
            child.leave(LEAVING_SECONDS if line else 0.0)
        with self.lock:
            self.busy.pop(key, None)
        self.changed.set()
        return bool(line) or child.interrupted

    def _take(self, key: str) -> _Child | None:
        with self.lock:
            if self.over or key in self.interrupted:
                return None
            child = self.idle.pop() if self.idle else None
            if child is not None:
                self.busy[key] = child
                return child
        wanted: Future[_Child] = Future()
        self.wanted.put(wanted)
        child = wanted.result()
        with self.lock:
            self.busy[key] = child
            if self.over or key in self.interrupted:
                child.interrupt()
        return child

    def transition(self, key: Any, start: str, finish: str, **more: Any) -> None:
        """Called by dask for each task: one that nobody waits for any more is broken off."""
        if finish in OVER and isinstance(key, str):
            self.interrupt(key)

    def interrupt(self, key: str) -> None:
        """Break off one order."""
        with self.lock:
            if key in self.busy:
                self.interrupted.add(key)
                self.busy[key].interrupt()

    def end(self) -> None:
        """Break off all orders, and take none any more."""
        with self.lock:
            self.over = True
            for child in self.busy.values():
                child.interrupt()

    async def teardown(self, worker: Any) -> None:
        """The hunt is over, or the worker ends: returns when no child is left."""
        self.end()
        self.wanted.put(None)
        await asyncio.to_thread(self.keeper.join, 2 * LEAVING_SECONDS)


def interrupt(name: str, dask_worker: Any) -> None:
    """Break off all orders of a hunt on this worker; what was found comes back as their answers."""
    plugin = dask_worker.plugins.get(name)
    if plugin is not None:
        plugin.end()


def perform(name: str, key: str, order: str) -> tuple[str, str]:
    """The task: the address of this worker, and the answer of one of its children."""
    worker: Any = get_worker()
    plugin = worker.plugins.get(name)
    return worker.address, json.dumps({"interrupted": True}) if plugin is None else plugin.ask(key, order)
