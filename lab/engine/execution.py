"""The state of one execution: who is doing what, and when everybody is at rest.

A decision is made only at rest: each actor is parked, waits with proof, is stalled or done. So what a
scheduler sees is a function of its own choices and not of timing.

That an actor is *parked* or *waits for a lock* is reported (it arrives, its backend reports). That it is *stalled*,
waiting in the process for something that only another actor can give, is reported by nobody; it is inferred from the
event loop: when the loop is about to sleep because nothing is ready to run (`runs_dry`), an actor that is neither
parked nor has an operation under way cannot move by itself. That reads asyncio's private queue of ready callbacks and
stands before its selector; the alternative, some milliseconds, would make schedules depend on the machine's load.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from lab.engine.clock import Clock
from lab.engine.families import Families
from lab.engine.gate import Actor, State
from lab.engine.outside import OUTSIDE_SECONDS, Outside
from lab.engine.ports import Backend, Ports
from lab.engine.stalls import seconds_to_checks, unanswered, wait_in_a_circle
from lab.engine.turn import Turn
from lab.engine.watchdog import bounds
from lab.model.choices import Alternative, offered
from lab.model.record import Sharing
from lab.model.trace import ActionKind, LockWait, Result

__all__ = ["Execution"]

ANOTHER_SESSION = "another session"


def _leave_it() -> bool:
    return False


class Execution:
    """Bookkeeping of one execution. The runner drives it; actors report to it."""

    def __init__(self, ports: Ports, clock: Clock) -> None:
        self.waits, self.messages, self.clock = ports.waits, ports.messages, clock
        self.striker = ports.striker
        self.actors: dict[str, Actor] = {}
        self.families = Families(self.actors, lambda: self.turn)
        self.goes_on, self.may_pass = self.families.goes_on, self.families.may_pass
        self._order: list[Actor] = []
        """The actors in the order of their ranks."""
        self.closing = False
        """The execution is being broken off: nothing parks any more."""
        self.sessions: dict[int, str] = {}
        """Process id of every backend that served an actor -> the actor's name."""
        self.own: dict[int, str] = {}
        """Process id of a session of the lab's own that may hold a lock -> how the trace names it."""
        self.serving: dict[str, Backend] = {}
        """Name of a root actor -> the session that it used last."""
        self.turn: Turn | None = None
        """The step that is under way."""
        self.lost: dict[str, BaseException] = {}
        self.broken = ""
        """How an actor broke what it runs in, as a sentence; "" if it did not."""
        self.look: Callable[[], object] = _leave_it  # called while somebody runs; what it raises ends the execution
        self.in_threads: dict[asyncio.Future[Any], Actor] = {}
        """A task -> the actor in whose thread it is waited for."""
        self.deadlocks: list[str] = []
        """The server's detail of each deadlock in the step under way."""
        self.sharings: list[Sharing] = []
        self.decide: Callable[[], bool] = _leave_it
        """The runner's way to make a decision without a pass of the event loop; False leaves it to the runner."""
        self._leaving: list[int] = []
        """Backends whose connection was closed; they may still hold locks."""
        self._loop: Any = asyncio.get_running_loop()
        self.outside = Outside(self._loop, ports.libraries.driver)
        self._recursion = sys.getrecursionlimit()
        self._bell: asyncio.Future[None] | None = None
        self.step = 0
        self.armed = False
        """Whether to look for stalled actors once the loop runs dry; the state is not at rest before that."""

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
        self.serving[actor.root.name] = backend

    def leaves(self, backend: Backend) -> None:
        """A connection of an actor was closed; its backend ends, and lets go of its locks, a moment later."""
        self._leaving.append(backend.pid)

    def answered(self, actor: Actor, result: Result) -> None:
        """The server answered an operation: what the step under way gave, if it is its actor's."""
        if self.turn is not None and self.turn.actor is actor:
            self.turn.answer = result

    def refused(self, deadlock: str) -> None:
        """The server refused a statement with this detail of a deadlock."""
        self.deadlocks.append(deadlock)

    def broken_off(self, sentence: str) -> None:
        """An actor broke what it runs in: the execution ends with this sentence."""
        self.broken = self.broken or sentence
        self.arm()
        self._ring()

    def settled(self, actor: Actor) -> None:
        """An actor came to rest; if it was the last one, decide at once where that is simple, or wake the runner."""
        if sys.getrecursionlimit() < self._recursion:
            sys.setrecursionlimit(self._recursion)  # an actor lowered it; the engine needs room of its own
        states = [each.state for each in self.actors.values()]
        if State.RUNNING in states:
            return
        if State.STALLED in states or self._something_is_ready():
            self.arm()  # what is still to run may release or cancel somebody: let the loop run dry first
            return
        self.armed = False
        if State.WAITING in states or not (self._needs_no_question(actor) and self.decide()):
            self._ring()

    def _needs_no_question(self, actor: Actor) -> bool:
        """Whether all that a decision rests on is known here, where nobody waits: the runner listens.

        Only before an operation on a connection. An actor that passes from point to point, or sleeps, must go through
        the event loop each time, or nothing else would ever run.
        """
        return (
            self._bell is not None
            and not self._bell.done()
            and not self._leaving
            and not self.messages.awaited
            and actor.action.kind not in (ActionKind.START, ActionKind.POINT, ActionKind.SLEEP)
        )

    def arm(self) -> None:
        """Look, as soon as the loop runs dry, which actors cannot move by themselves."""
        self.armed = True

    def needs_a_look(self) -> bool:
        """Whether it matters that the loop has nothing ready: somebody may be stalled, or all are at rest.

        Not while all who run have an operation under way: when it ends, the execution is armed again.
        """
        if not self.armed:
            return False
        running = [actor.flights for actor in self.actors.values() if actor.state is State.RUNNING]
        if running and 0 not in running:
            self.armed = False
        return self.armed

    def runs_dry(self) -> bool:
        """Nothing is ready to run and no socket has anything to say: who runs without an operation is stalled.

        True if that gave the loop something to do.
        """
        self.armed = False
        for actor in self.actors.values():
            if actor.state is State.RUNNING and not actor.flights:
                actor.state = State.STALLED
        if not self._any(State.RUNNING):
            self._ring()
        return self._something_is_ready()

    def _ring(self) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    def _something_is_ready(self) -> bool:
        return bool(self._loop._ready)  # noqa: SLF001 - see above: no public way

    def _any(self, state: State) -> bool:
        return state in [actor.state for actor in self.actors.values()]

    def in_state(self, *states: State) -> list[Actor]:
        """The actors in one of these states, in order of appearance."""
        return [actor for actor in self.actors.values() if actor.state in states]

    # ------------------------------------------------------------------ rest

    async def rest(self) -> None:
        """Return when nobody runs, nothing is under way to listeners, and it is known who was granted a lock."""
        began = self._loop.time()
        while True:
            while self.armed or self._any(State.RUNNING):
                await self._listen(self.waits.poll_seconds)
                self.look()
                await self._look_for_unreported_waits()
                self.clock.fire_overdue(self._in_flight(), self._loop.time() - began)
            if self._leaving:
                leaving, self._leaving = self._leaving, []
                await self.waits.gone(leaving)
            if waiting := self.in_state(State.WAITING):
                await self._learn_grants(waiting)
            if self.armed or self._any(State.RUNNING):
                continue
            if seconds := await seconds_to_checks(
                self.waits, self.in_state(State.WAITING), self.in_state(State.PARKED)
            ):
                await self._listen(seconds)
                continue
            if self.messages.awaited and await self.messages.bring():
                self.arm()  # who listens may go on now
            elif not await self.outside.answers(self.in_state(State.STALLED), self._listen):
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
        busy = {actor.backend.pid: actor for actor in self._in_flight() if actor.backend is not None}
        if not busy:
            return
        for pid, holders in (await self.waits.unreported(list(busy))).items():
            busy[pid].waits(LockWait(self._names(holders)))

    def _in_flight(self) -> list[Actor]:
        return [actor for actor in self.in_state(State.RUNNING) if actor.flights]

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
        return tuple(sorted({self.sessions.get(pid) or self.own.get(pid, ANOTHER_SESSION) for pid in pids}))

    # ------------------------------------------------------------------ choices

    def alternatives(self, last: str | None) -> tuple[Alternative, ...]:
        """Who can take the next step; first the actor that ran last, then the others in cyclic order.

        Nobody whose sleep ends after a timeout is due: the timeout comes before.
        """
        timer = self.clock.timers.first()
        if len(self._order) != len(self.actors):
            self._order = sorted(self.actors.values(), key=lambda actor: actor.rank)
        start = 0 if last is None else self._order.index(self.actors[last])
        order = self._order[start:] + self._order[:start]
        can = [actor for actor in order if actor.state is State.PARKED or actor.state is State.GRANTED]
        if timer is not None:
            can = [actor for actor in can if actor.wakes is None or actor.wakes <= timer.due]
        can = self.families.fairness.fair(can)
        for actor in can:
            actor.offered = offered(actor.offered, actor.go, actor.action, woken=actor.state is State.GRANTED)
        return tuple([actor.offered for actor in can if actor.offered])

    async def wait_for_the_outside(self) -> bool:
        """When nobody can run: wait for what no decision brings, if there is any such thing.

        That is a deadlock that PostgreSQL finds unreported, or an answer from outside. True if somebody moved. Raises
        `UncontrolledError` when what is outside says nothing, unless an actor has set a timeout, or it ended meanwhile.
        """
        elsewhere = self.outside.may_move(stalled := self.in_state(State.STALLED))
        # Where reports are pushed, the check has been by then.
        if not (elsewhere or (not self.waits.pushed and wait_in_a_circle(self.in_state(State.WAITING)))):
            return self.outside.is_to_come()
        before = [actor.state for actor in self.actors.values()]
        await self._listen(seconds := min(OUTSIDE_SECONDS, bounds().step))
        moved = before != [a.state for a in self.actors.values()]
        if moved or not elsewhere or self.clock.timers.first() or not self.outside.may_move(stalled):
            return moved or self.outside.is_to_come()
        raise unanswered(stalled, seconds)
