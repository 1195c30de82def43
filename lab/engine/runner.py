"""Runs one execution: rest, decide, step, until nobody can go on.

There is one runner, for discovery and for replay alike. When the scheduler fails in mid-execution (a replay
diverged, Hypothesis ran out of choices) the actors are led to their end by serial decisions before the error
goes on, so connections stay usable. When nothing can go on (a stall) or nothing ends (the step limit) the
backends are terminated instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from lab.engine.breakpoints import Breakpoints
from lab.engine.control import controlled
from lab.engine.execution import Execution
from lab.engine.gate import Actor, State, running_as
from lab.engine.ports import LockWaits, RowLocks, Striker
from lab.engine.strikes import Strikes
from lab.model.choices import Alternative, Choices
from lab.model.outcome import Ending
from lab.model.record import Stall
from lab.model.trace import LockWait, Step, Trace

__all__ = ["Finished", "Plan", "run"]

CLOSING_SECONDS = 5.0
"""How long cancelled actors may take to end once their backends are gone; beyond it they are left behind."""

Body = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Finished:
    """One execution as the engine saw it: `values` and `errors` by root actor; those in neither did not end."""

    ending: Ending
    trace: Trace
    values: Mapping[str, object]
    errors: Mapping[str, BaseException]
    stalls: tuple[Stall, ...] = ()
    deadlocks: tuple[tuple[int, str], ...] = ()
    """Each deadlock as PostgreSQL reported it: (number of the step in which its victim was refused, detail)."""
    sessions: Mapping[int, str] = field(default_factory=dict)
    struck: frozenset[str] = frozenset()
    """The actors that a fault hit."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the actors' bodies, and within which limits."""

    bodies: Mapping[str, Body]
    step_limit: int
    faults: tuple[str, ...] = ()
    faults_at_least: int = 0
    faults_at_most: int = 0


async def run(
    plan: Plan,
    choose: Callable[[Choices], int],
    waits: LockWaits,
    striker: Striker,
    row_locks: RowLocks | None = None,
) -> Finished:
    """Run the actors to their end under the decisions of `choose`; without `row_locks`, without breakpoints.

    Raises whatever `choose` raised, after the actors were led to their end.
    """
    execution = Execution(waits)
    runner = _Runner(execution, plan, choose, striker, Breakpoints(execution, row_locks))
    with controlled(runner.execution):
        return await runner.run(plan.bodies)


class _Runner:
    def __init__(
        self,
        execution: Execution,
        plan: Plan,
        choose: Callable[[Choices], int],
        striker: Striker,
        breakpoints: Breakpoints,
    ) -> None:
        self.execution = execution
        self._choose = choose
        self._step_limit = plan.step_limit
        self._striker = striker
        self._strikes = Strikes(execution, striker, plan.faults, plan.faults_at_least, plan.faults_at_most)
        self._breakpoints = breakpoints
        self._paused: LockWait | None = None
        """Where the actor of the step under way has paused."""
        self._faults = plan.faults
        self._steps: list[Step] = []
        self._last: str | None = None
        """The actor of the last step."""
        self._under_way: tuple[Alternative, tuple[Alternative, ...]] | None = None
        """The step that was begun and has not come to rest: what was chosen, among what."""
        self._deadlocks: list[tuple[int, str]] = []
        self._refusal: BaseException | None = None
        self._values: dict[str, object] = {}
        self._errors: dict[str, BaseException] = {}

    async def run(self, bodies: Mapping[str, Body]) -> Finished:
        for name, body in bodies.items():
            self._start(self.execution.add(name), body)
        self.execution.arm()
        stalls: tuple[Stall, ...] = ()
        try:
            ending = await self._steps_until_the_end()
            if unfinished := [a for a in self.execution.actors.values() if a.state is not State.DONE]:
                stalls = tuple(_stall(actor) for actor in unfinished)
        finally:
            await self._breakpoints.abandon()
            await self._close()
        if self._refusal is not None:
            raise self._refusal
        return Finished(
            ending,
            Trace(tuple(self._steps), tuple(bodies)),
            self._values,
            self._errors,
            stalls,
            tuple(self._deadlocks),
            self.execution.sessions,
            frozenset(self._strikes.struck),
        )

    def _start(self, actor: Actor, body: Body) -> None:
        async def live() -> None:
            try:
                value = await body()
                if not self.execution.closing:  # what ends only because the others were ended did not end
                    self._values[actor.name] = value
            except asyncio.CancelledError as error:
                if not self.execution.closing:
                    self._errors[actor.name] = error
            except Exception as error:  # noqa: BLE001 - the verdict on it is the outcome's business
                if not self.execution.closing:
                    self._errors[actor.name] = error

        with running_as(actor):
            coroutine = live()
            actor.lives_in(asyncio.Task(coroutine, loop=asyncio.get_running_loop(), name=actor.name))

    async def _steps_until_the_end(self) -> Ending:
        execution = self.execution
        if not self._faults:
            execution.decide = self._decide_at_once
        await execution.rest()
        while True:
            self._paused = await self._breakpoints.settle()
            self._end_step()
            alternatives = execution.alternatives(self._last)
            if not alternatives:
                if await execution.wait_for_the_outside():
                    await execution.rest()
                    continue
                if any(actor.state is not State.DONE for actor in execution.actors.values()):
                    return Ending.STALLED
                if not (alternatives := tuple(self._strikes.owed())):
                    return Ending.COMPLETED
                await self._fault(self._choice(alternatives), alternatives)
                continue
            if len(self._steps) >= self._step_limit:
                return Ending.STEP_LIMIT
            alternatives += tuple(self._strikes.alternatives())
            alternatives += await self._breakpoints.alternatives()
            chosen = self._choice(alternatives)
            if chosen.is_fault:
                await self._fault(chosen, alternatives)
            else:
                if chosen.of:
                    await self._breakpoints.set(chosen.actor)
                self._begin_step(chosen, alternatives)
                await execution.rest()

    def _decide_at_once(self) -> bool:
        """One turn of the loop above, made in the code of the actor that came to rest last. It raises nothing.

        It spares most decisions three passes of the event loop. What is not simple is left to the loop above.
        """
        if self._breakpoints.needs_a_question:
            return False
        self._end_step()
        alternatives = self.execution.alternatives(self._last)
        if not alternatives or len(self._steps) >= self._step_limit:
            return False
        self._begin_step(self._choice(alternatives), alternatives)
        return True

    async def _fault(self, chosen: Alternative, alternatives: tuple[Alternative, ...]) -> None:
        await self._strikes.strike(chosen.actor)
        self.execution.arm()
        await self.execution.rest()
        self._steps.append(Step(len(self._steps) + 1, chosen.actor, _names(alternatives), chosen.action))

    def _begin_step(self, chosen: Alternative, alternatives: tuple[Alternative, ...]) -> None:
        actor = self.execution.actors[chosen.of or chosen.actor]
        actor.result, actor.wait = None, None
        self._under_way = chosen, alternatives
        self.execution.step = len(self._steps) + 1
        actor.resume()
        self.execution.arm()

    def _end_step(self) -> None:
        """At rest: write down the step that led here, if one did."""
        if self._under_way is None:
            return
        (chosen, alternatives), self._under_way = self._under_way, None
        paused, self._paused = self._paused, None
        actor, last = self.execution.actors[chosen.of or chosen.actor], self._last
        self._steps.append(
            Step(
                number=len(self._steps) + 1,
                actor=actor.name,
                alternatives=_names(alternatives),
                action=chosen.action,
                woken=chosen.woken,
                result=actor.result,
                wait=paused or (actor.wait if actor.state is State.WAITING else None),
                preempted=last if last and last != actor.name and last == alternatives[0].actor else "",
                breakpoint=chosen.actor if chosen.of else "",
            )
        )
        self._last = actor.name
        self._deadlocks += [(len(self._steps), detail) for detail in self.execution.deadlocks]
        self.execution.deadlocks.clear()

    def _choice(self, alternatives: tuple[Alternative, ...]) -> Alternative:
        if self._refusal is None:
            try:
                before = self._steps[-1] if self._steps else None
                stalled = self.execution.has_stalled
                index = self._choose(Choices(len(self._steps), alternatives, self._last, before, stalled))
                assert 0 <= index < len(alternatives), f"a scheduler chose {index} of {len(alternatives)}"
                return alternatives[index]
            except BaseException as refusal:  # noqa: BLE001 - raised again once the actors have ended
                self._refusal = refusal
        return alternatives[0]

    async def _close(self) -> None:
        """End what has not ended: free the locks first, then cancel."""
        tasks = [a.task for a in self.execution.actors.values() if a.task and not a.task.done()]
        if not tasks:
            return
        self.execution.closing = True
        for actor in self.execution.actors.values():
            if actor.backend is not None:
                actor.backend.thaw()
        with contextlib.suppress(Exception):  # the server may be what failed; that error is on its way already
            await self._striker.terminate(list(self.execution.sessions))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CLOSING_SECONDS)


def _names(alternatives: tuple[Alternative, ...]) -> tuple[str, ...]:
    return tuple(each.actor for each in alternatives)


def _stall(actor: Actor) -> Stall:
    if actor.state is State.WAITING:
        return Stall(actor.name, actor.action.text, actor.wait)
    return Stall(actor.name, _place(actor.task))


def _place(task: asyncio.Task[object] | None) -> str:
    """File, line and text of the innermost line of code outside the standard library's asyncio."""
    frames: list[tuple[str, int]] = []
    awaited: object = task.get_coro() if task is not None else None
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            frames.append((frame.f_code.co_filename, frame.f_lineno))
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    own = [f for f in frames if "/asyncio/" not in f[0] and "/anyio/" not in f[0] and "/sqlalchemy/" not in f[0]]
    for filename, line in chain(reversed(own), reversed(frames)):
        text = traceback.linecache.getline(filename, line).strip()  # type: ignore[attr-defined]
        return f"{filename}:{line}: {text}"
    return "an unknown place"
