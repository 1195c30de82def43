"""What may move an actor although nobody takes a decision: sockets to elsewhere, processes, and threads of its own.

Work that an actor hands to a thread and awaits (`to_thread`, `run_in_executor`) is waited for by everybody, so it moves
nobody unasked; it is only named, since nothing that it does is a step.
"""

from __future__ import annotations

import asyncio
import asyncio.queues
import sys
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from lab.engine.gate import Actor, State
from lab.engine.stalls import awaited_by
from lab.engine.watchdog import is_library

__all__ = ["OUTSIDE_SECONDS", "Outside"]

OUTSIDE_SECONDS = 10.0
"""How long an actor may wait for a socket that is not the lab's. A guess, so it is long and its end no verdict."""
ANSWER_SECONDS = 0.5
"""How long everybody waits for an answer from elsewhere before the next decision, so that it does not matter how soon
the answer comes. Who gets none in this time may wait for something that a later step brings about."""
_POOLS = ("/sqlalchemy/util/queue.py", "/sqlalchemy/util/concurrency.py", "/asyncpg/pool.py")
"""From where pools wait for a connection that somebody gives back."""
_FAR = 4
"""How many steps from a variable to its attributes and theirs a client keeps its socket."""
_MANY = 2000
_PLAIN = (str, bytes, int, float, type(None), type, ModuleType, FunctionType, BuiltinFunctionType)


class Outside:
    """The outside of one execution, as its event loop shows it; `driver` is the folder of the database's driver.

    A socket is known by what the loop calls when it can be read. All of the driver's are the lab's, since an actor can
    use no other. Whatever else is open leads elsewhere, whoever opened it and when: a client that keeps its connections
    alive opens them in one execution and uses them in the next.
    """

    def __init__(self, loop: Any, driver: str) -> None:
        self._loop, self._driver = loop, driver
        self._started: list[tuple[Actor, Callable[[], bool]]] = []
        """The root actors that started a process or a thread of their own -> whether it still runs."""
        self.own_threads: set[threading.Thread] = set()
        """The threads that actors started by themselves, and those of pools while they work for one."""
        self.blocked: set[threading.Thread] = set()
        """Those of them that wait for a task of the event loop: they move nobody until it has ended."""
        self.waiters: dict[str, None] = {}
        """The root actors that waited for an answer from elsewhere, or started something that runs by itself."""
        self.threads: dict[str, None] = {}
        """What actors did in threads that were waited for, as phrases: who, what, and from which line."""
        self._silent: dict[Actor, object] = {}
        """Those who got no answer in time -> what they await."""

    def started(self, actor: Actor, runs: Callable[[], bool]) -> None:
        """An actor started something that runs by itself."""
        self._started.append((actor.root, runs))
        self.waiters[actor.root.name] = None

    def starts_thread(self, actor: Actor, thread: threading.Thread) -> None:
        """An actor started a thread by itself."""
        self.own_threads.add(thread)
        self.started(actor, lambda: thread.is_alive() and thread not in self.blocked)

    def may_move(self, stalled: Collection[Actor]) -> bool:
        """Whether one of these may go on by what comes from outside: what it started, or an open socket to elsewhere.

        Not if all wait for a lock or for a connection of a pool, which others of them hold.
        """
        if all(map(_waits_for_a_lock, stalled)):
            return False
        return any(runs() for _, runs in self._started) or bool(self._elsewhere())

    def is_to_come(self) -> bool:
        """Whether something has ended whose last word the event loop has not come to yet.

        What asks the loop for something does so before it ends, so this is asked after it is known to have ended.
        """
        return bool(self.waiters) and bool(self._loop._ready)  # noqa: SLF001 - nothing public says it

    async def answers(self, stalled: Collection[Actor], listen: Callable[[float], Awaitable[object]]) -> bool:
        """Wait for the answers that these asked for elsewhere; whose came first must not matter. False if none comes.

        `listen` sleeps for some seconds, or until all are at rest.
        """
        asked = self._asked_by(stalled) if stalled else []
        self.waiters |= dict.fromkeys(actor.root.name for actor in asked)
        until = self._loop.time() + ANSWER_SECONDS
        while (left := self._still(asked)) and (seconds := until - self._loop.time()) > 0:
            await listen(seconds)
        self._silent.update((actor, awaited_by(actor.task)[1]) for actor in left)
        if to_come := self.is_to_come():
            await listen(0)
        return to_come or len(left) < len(asked)

    def _still(self, asked: Iterable[Actor]) -> list[Actor]:
        """Those that still wait for an answer that may come."""
        return self._asked_by([actor for actor in asked if actor.state is State.STALLED])

    def _asked_by(self, stalled: Iterable[Actor]) -> list[Actor]:
        """Those who may get an answer, and for whose answer nobody has waited yet.

        Their code holds a socket to elsewhere where it waits, or what they started still runs.
        """
        busy = {root for root, runs in self._started if runs()}
        open_ones = self._elsewhere()
        if not (open_ones or busy):
            return []
        ends = {id(end) for handle in open_ones for end in self._ends(handle)}
        found = []
        for actor in stalled:
            frames, future = awaited_by(actor.task)
            if self._silent.get(actor) is future:
                continue
            asked = actor.root in busy and not _waits_for_a_lock(actor)
            if asked or (ends and _leads_to(ends, [future, *map(_variables, frames)])):
                found.append(actor)
        return found

    def _elsewhere(self) -> list[Any]:
        """For each socket to elsewhere, the handle of what the loop calls when it can be read, or else written."""
        selector = getattr(self._loop, "_selector", None)
        watched = () if selector is None else selector.get_map().values()
        handles = (key.data[0] or key.data[1] for key in watched)
        return [each for each in handles if each is not None and self._leads_elsewhere(each)]

    def _leads_elsewhere(self, handle: Any) -> bool:
        callback = handle._callback  # noqa: SLF001 - nothing public says it
        if callback == self._loop._read_from_self:  # noqa: SLF001 - how threads and signals wake the loop
            return False
        transport = getattr(callback, "__self__", None)
        protocol = transport.get_protocol() if isinstance(transport, asyncio.BaseTransport) else None
        protocol = getattr(protocol, "_app_protocol", protocol)  # of a connection with TLS
        module = sys.modules.get(type(protocol).__module__)
        return not (getattr(module, "__file__", None) or "").startswith(self._driver)

    def _ends(self, handle: Any) -> Iterator[object]:
        """What stands at this end of a socket: a transport and its protocol, or what somebody gave to `add_reader`.

        Of what the loop itself calls (`sock_recv` and its kind), the future and the socket.
        """
        owner = getattr(handle._callback, "__self__", handle._callback)  # noqa: SLF001 - as above
        if owner is self._loop:
            yield from handle._args  # noqa: SLF001 - as above
            return
        yield owner
        if isinstance(owner, asyncio.BaseTransport):
            yield owner.get_protocol()
            yield owner.get_extra_info("socket")


def _waits_for_a_lock(actor: Actor) -> bool:
    frames = awaited_by(actor.task)[0]
    if not frames:
        return False
    *outer, innermost = (frame.f_code for frame in frames)
    if innermost.co_name == "acquire":
        return is_library(innermost.co_filename) or "/anyio/" in innermost.co_filename
    return innermost.co_filename == asyncio.queues.__file__ and any(map(_is_of_a_pool, outer))


def _is_of_a_pool(code: CodeType) -> bool:
    return code.co_filename.endswith(_POOLS)


def _variables(frame: Any) -> dict[str, object]:
    return dict(frame.f_locals)


def _leads_to(ends: set[int], begin: list[object]) -> bool:
    """Whether one goes from these objects, over attributes and items, to one of the `ends`, by their `id`."""
    seen, ahead = set[int](), list(begin)
    for _ in range(_FAR + 1):
        following: list[object] = []
        for each in ahead:
            if id(each) in ends:
                return True
            if id(each) not in seen and len(seen) < _MANY:
                seen.add(id(each))
                following += _parts(each)
        ahead = following
    return False


def _parts(value: object) -> list[object]:
    """The attributes or items of an object, as far as they may hold a socket."""
    if isinstance(value, dict):
        parts: Iterable[object] = value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        parts = value
    else:
        parts = [getattr(value, "__self__", None), *getattr(value, "__dict__", {}).values()]
    return [each for each in parts if not isinstance(each, _PLAIN)]
