"""The state of one execution: who is doing what, and when everybody is at rest.

A decision is made only at rest: each actor is parked, waits with proof, is stalled or done. So what a
scheduler sees is a function of its own choices and not of timing.

That an actor is *parked* or *waits for a lock* is told (it arrives, its backend reports). That it is *stalled*,
waiting in the process for something that only another actor can give, nobody tells. It is inferred from the
event loop: when a pass finds nothing ready to run, an actor that is neither parked nor has an operation under
way cannot move by itself. That reads asyncio's private queue of ready callbacks; the alternative, calling an
actor stalled after some milliseconds, would make schedules depend on the load of the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from lab.engine.gate import Actor, State
from lab.engine.ports import Backend, LockWaits
from lab.errors import UncontrolledError
from lab.schedulers.base import Alternative
from lab.trace import LockWait

__all__ = ["Execution"]

OUTSIDE_SECONDS = 10.0
"""How long an actor may wait for a socket that is not the lab's before the lab gives up: the only bound here
that is a guess about the world, so it is long and its end is an error, never a verdict."""

ANOTHER_SESSION = "another session"


class Execution:
    """Bookkeeping of one execution. The runner drives it; actors report to it."""

    def __init__(self, waits: LockWaits) -> None:
        self.waits = waits
        self.actors: dict[str, Actor] = {}
        self.closing = False
        """The execution is being broken off: nothing parks any more."""
        self.sessions: dict[int, str] = {}
        """Process id of every backend that served an actor -> the actor's name."""
        self.deadlocks: list[str] = []
        """PostgreSQL's detail of each deadlock that it reported in the step under way."""
        self._loop: Any = asyncio.get_running_loop()
        self._sockets = self._open_sockets()
        self._bell: asyncio.Future[None] | None = None
        self._armed = False

    # ------------------------------------------------------------------ reports from actors

    def add(self, name: str) -> Actor:
        """A new root actor."""
        actor = self.actors[name] = Actor(name, self, (len(self.actors), 0))
        return actor

    def adopt(self, parent: Actor) -> Actor:
        """A task that an actor starts: an actor named after it."""
        root = parent.root
        root.children += 1
        name = f"{root.name}/{root.children}"
        actor = self.actors[name] = Actor(name, self, (root.rank[0], root.children), root)
        self.arm()
        return actor

    def serves(self, backend: Backend, actor: Actor) -> None:
        """Remember whose session a backend is, so that a lock's holder can be named."""
        self.sessions[backend.pid] = actor.name

    def settled(self, actor: Actor) -> None:
        """An actor came to rest; if it was the last one, wake the runner."""
        if self._any(State.RUNNING):
            return
        if self._any(State.STALLED):
            self.arm()  # it may have released somebody: look at the loop before deciding
        elif not self._armed:
            self._ring()

    def arm(self) -> None:
        """Look, as soon as the loop runs dry, who cannot move by himself."""
        if not self._armed:
            self._armed = True
            self._loop.call_soon(self._probe)

    def _probe(self) -> None:
        if self._loop._ready:
            self._loop.call_soon(self._probe)
            return
        self._armed = False
        for actor in self.actors.values():
            if actor.state is State.RUNNING and not actor.flights:
                actor.state = State.STALLED
        if not self._any(State.RUNNING):
            self._ring()

    def _ring(self) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    def _any(self, state: State) -> bool:
        return any(actor.state is state for actor in self.actors.values())

    def in_state(self, *states: State) -> list[Actor]:
        """The actors in one of these states, in order of appearance."""
        return [actor for actor in self.actors.values() if actor.state in states]

    # ------------------------------------------------------------------ rest

    async def rest(self) -> None:
        """Return when nobody runs and it is known which waiting statements have been granted."""
        while True:
            while self._armed or self._any(State.RUNNING):
                await self._listen(self.waits.poll_seconds)
                await self._look_for_unreported_waits()
            if waiting := self.in_state(State.WAITING):
                await self._learn_grants(waiting)
            if not self._armed and not self._any(State.RUNNING):
                return

    async def _listen(self, seconds: float) -> bool:
        """Sleep until the last actor comes to rest, or for some time. True if the bell rang."""
        self._bell = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._ring)
        try:
            await self._bell
            return not self._any(State.RUNNING)
        finally:
            timer.cancel()
            self._bell = None

    async def _look_for_unreported_waits(self) -> None:
        """Ask about operations that take long: some waits are never reported."""
        busy = {
            actor.backend.pid: actor
            for actor in self.in_state(State.RUNNING)
            if actor.flights and actor.backend is not None
        }
        if not busy:
            return
        for pid, holders in (await self.waits.unreported(list(busy))).items():
            busy[pid].waits(LockWait(self._names(holders)))

    async def _learn_grants(self, waiting: list[Actor]) -> None:
        pids = {actor: actor.backend.pid for actor in waiting if actor.backend is not None}
        blockers = await self.waits.blockers(list(pids.values()))
        for actor, pid in pids.items():
            if actor.state is not State.WAITING:
                continue
            if holders := blockers.get(pid):
                actor.wait = replace(actor.wait or LockWait(()), holders=self._names(holders))
            elif self.waits.frozen:
                actor.state = State.GRANTED
            else:
                # Nothing stops the backend now. Let it answer or wait again before deciding: its answer is
                # then held back until the actor is chosen, so the decisions are the same as with freezing.
                actor.held = True
                actor.state = State.RUNNING

    def _names(self, pids: Iterable[int]) -> tuple[str, ...]:
        return tuple(sorted({self.sessions.get(pid, ANOTHER_SESSION) for pid in pids}))

    # ------------------------------------------------------------------ choices

    def alternatives(self, last: str | None) -> tuple[Alternative, ...]:
        """Who can take the next step; first the actor that ran last, then the others in cyclic order."""
        order = sorted(self.actors.values(), key=lambda actor: actor.rank)
        if last is not None:
            start = next(i for i, actor in enumerate(order) if actor.name == last)
            order = order[start:] + order[:start]
        return tuple(
            Alternative(actor.name, actor.action, actor.state is State.GRANTED)
            for actor in order
            if actor.state in (State.PARKED, State.GRANTED)
        )

    async def wait_for_the_outside(self) -> bool:
        """When nobody can run: wait for stalled actors that use a socket which is not the lab's.

        True if one of them moved. Raises `UncontrolledError` after `OUTSIDE_SECONDS` without any.
        """
        if not self.in_state(State.STALLED) or not self._open_sockets() - self._sockets:
            return False
        await self._listen(OUTSIDE_SECONDS)
        if self.in_state(State.PARKED, State.RUNNING):
            return True
        names = ", ".join(actor.name for actor in self.in_state(State.STALLED))
        raise UncontrolledError(
            f"{names} waited {OUTSIDE_SECONDS:g} s for a socket that is not the lab's; replace what is behind "
            "it in the scenario, since the lab cannot control it"
        )

    def _open_sockets(self) -> frozenset[int]:
        selector = getattr(self._loop, "_selector", None)
        return frozenset(selector.get_map()) if selector is not None else frozenset()
