"""Runs one execution: rest, decide, step, until nobody can go on.

There is one runner, for discovery and for replay alike. When the scheduler fails in mid-execution (a replay
diverged, Hypothesis ran out of choices) the actors are led to their end by serial decisions before the error
goes on, so connections stay usable. When nothing can go on (a stall) or nothing ends (the step limit) the
backends are terminated instead.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from lab.engine.breakpoints import Breakpoints
from lab.engine.chance import Chance
from lab.engine.clock import Clock
from lab.engine.control import controlled
from lab.engine.execution import Execution
from lab.engine.gate import Actor, State, running_as
from lab.engine.inprocess.standing import stalls_of
from lab.engine.observer import Observer
from lab.engine.origins import Noting
from lab.engine.plan import Body, Finished, Plan
from lab.engine.ports import Ports
from lab.engine.stalls import line_of_task, lost_in
from lab.engine.strikes import Strikes
from lab.engine.turn import Turn
from lab.engine.watchdog import Watchdog, watchdog
from lab.errors import UncontrolledError
from lab.model.choices import Alternative, Choices
from lab.model.decision import Pause, Strike
from lab.model.outcome import Ending
from lab.model.stall import Stall
from lab.model.trace import Action, ActionKind, LockWait, Step, Trace

__all__ = ["run"]

CLOSING_SECONDS = 5.0
"""How long cancelled actors may take to end once their backends are gone; beyond it nothing can be run any more."""


async def run(plan: Plan, choose: Callable[[Choices], int], ports: Ports, clock: Clock) -> Finished:
    """Run the actors to their end under the decisions of `choose`.

    Raises whatever `choose` raised, after the actors were led to their end.
    """
    execution = Noting(ports, clock) if plan.origins else Execution(ports, clock)
    runner = _Runner(execution, plan, choose, ports)
    with (
        controlled(execution, ports.libraries),
        clock.read_by_actors(),
        runner.chance.given_to_actors(),
        execution.noted() if isinstance(execution, Noting) else contextlib.nullcontext(),
    ):
        finished = await runner.run(plan.bodies)
    if not isinstance(execution, Noting):
        return finished
    origins, raised = execution.origins(finished.trace), execution.raised(finished.errors)
    return replace(finished, origins=origins, raised=raised, defect=execution.defect)


class _Runner:
    def __init__(self, execution: Execution, plan: Plan, choose: Callable[[Choices], int], ports: Ports) -> None:
        self.execution = execution
        self._choose = choose
        self.chance = Chance()
        self._step_limit, self._starts, self._looks = plan.step_limit, plan.starts, plan.looks
        execution.families.all_points = plan.all_points
        self._ports = ports
        faults = plan.faults, plan.faults_at_least, plan.faults_at_most, plan.survives
        self._strikes = Strikes(execution, ports.striker, *faults)
        self._striking = False
        """A fault strikes: what it moves comes to rest before the next decision."""
        self._breakpoints = Breakpoints(execution, ports.row_locks, may_pause=ports.may_pause)
        self._observer = Observer(ports.relations, exact=ports.exact)
        self._steps: list[Step] = []
        self._unpausable: set[int] = set()
        self._last: str | None = None
        """The actor of the last step."""
        self._deadlocks: list[tuple[int, str]] = []
        self._dog = watchdog.get() or Watchdog()
        self._refusal: BaseException | None = None
        self._values: dict[str, object] = {}
        self._errors: dict[str, BaseException] = {}

    async def run(self, bodies: Mapping[str, Body]) -> Finished:
        for name, body in bodies.items():
            self._start(self.execution.add(name), body)
        self.execution.arm()
        self.execution.look = self._insist_on_order
        self._dog.overdue = ""
        stalls: tuple[Stall, ...] = ()
        try:
            ending = await self._steps_until_the_end()
            actors = self.execution.actors.values()
            book = self.execution.book if isinstance(self.execution, Noting) else None
            stalls = stalls_of(actors, book, self.execution.in_threads, self._ports.libraries.pool_among)
            self._errors.update({**lost_in(self.execution.actors.values()), **self.execution.lost})
        finally:
            self._dog.end()
            await self._breakpoints.abandon()
            await self._close()
        if self._refusal is not None:
            raise self._refusal
        return Finished(
            ending,
            Trace(tuple(self._steps), tuple(bodies), self._starts),
            self._values,
            self._errors,
            stalls,
            tuple(self.execution.sharings),
            tuple(self._deadlocks),
            self.execution.sessions,
            frozenset(self._strikes.struck),
            unpaused=self._breakpoints.missed,
            unpausable=frozenset(self._unpausable),
            crossed=self.execution.families.undecided,
            held_back=tuple(self.execution.families.fairness.held_back),
            elsewhere=tuple(self.execution.outside.waiters),
            threads=tuple(self.execution.outside.threads),
        )

    def _start(self, actor: Actor, body: Body) -> None:
        async def live() -> None:
            try:
                if self._starts:
                    await actor.park(Action(ActionKind.START))
                self._dog.begin(actor.name, "step")
                value = await body()
                if not self.execution.closing:  # what ends only because the others were ended did not end
                    self._values[actor.name] = value
            except BaseException as error:  # noqa: BLE001 - the verdict on it is the outcome's business
                if not self.execution.closing:
                    self._errors[actor.name] = error

        with running_as(actor):
            coroutine = live()
            actor.lives_in(asyncio.Task(coroutine, loop=asyncio.get_running_loop(), name=actor.name))

    async def _steps_until_the_end(self) -> Ending:
        """Rest, decide, step. Most decisions are made before the rest is awaited, by `_decide_at_once`."""
        self.execution.decide = self._decide_at_once
        await self.execution.rest()
        while (ending := await self._turn()) is None:
            await self.execution.rest()
        return ending

    def _decide_at_once(self) -> bool:
        """At rest: end the step that led here, decide and begin the next. False where that is not simple.

        It raises nothing and awaits nothing: mostly it runs in the code of the actor that came to rest last, which
        spares a decision three passes of the event loop.
        """
        broken = self.execution.broken or self._dog.overdue
        if self._striking or self._strikes.has_any or self._breakpoints.needs_a_question or broken:
            return False
        if self._looks is not None and self._looks.owed:
            return False
        alternatives = self._end_step(None)
        if not alternatives or len(self._steps) >= self._step_limit or self._observer.needs_a_question:
            return False
        self._begin_step(self._choice(alternatives), alternatives)
        return True

    def _insist_on_order(self) -> None:
        """Raise `UncontrolledError` if an actor broke what it runs in, or took too long other than for a lock."""
        if said := self.execution.broken or self._dog.overdue:
            raise UncontrolledError(said)
        if self._dog.late > 0:
            if self._dog.within_bounds:  # only the end of the hunt makes it late; somebody swallowed what said so
                raise asyncio.CancelledError
            running = self.execution.in_state(State.RUNNING)
            places = "; ".join(line_of_task(actor.task) for actor in running)
            raise UncontrolledError(self._dog.sentence(places or "an unknown place"))

    async def _turn(self) -> Ending | None:
        """The same with all that needs the server: faults, breakpoints, an end. How the execution ended, if it did."""
        self._insist_on_order()
        if self._decide_at_once():
            return None
        alternatives = self._end_step(await self._breakpoints.settle())
        await self._observer.ask()
        if self._looks is not None and self._looks.owed:
            await self._looks.look(self._steps[-1])
        if not alternatives:
            return await self._without_an_actor()
        if len(self._steps) >= self._step_limit:
            return Ending.STEP_LIMIT
        alternatives += (*self._strikes.alternatives(), *await self._breakpoints.alternatives())
        chosen = self._choice(alternatives)
        if isinstance(chosen.decision, Strike):
            await self._strike(chosen, chosen.decision, alternatives)
            return None
        if isinstance(chosen.decision, Pause):
            await self._breakpoints.set(chosen.decision)
        self._begin_step(chosen, alternatives)
        return None

    async def _without_an_actor(self) -> Ending | None:
        """Nobody is runnable: something from outside may move somebody, a timeout fires, or a fault has to."""
        if await self.execution.wait_for_the_outside():
            return None
        done = all(actor.state is State.DONE for actor in self.execution.actors.values())
        alternatives = tuple(self._strikes.owed() if done else self._strikes.unasked())
        if not alternatives:
            return Ending.COMPLETED if done else Ending.STALLED
        chosen = self._choice(alternatives)
        assert isinstance(chosen.decision, Strike), chosen
        await self._strike(chosen, chosen.decision, alternatives)
        return None

    async def _strike(self, chosen: Alternative, fault: Strike, alternatives: tuple[Alternative, ...]) -> None:
        self._striking = True
        await self._strikes.strike(fault)
        self.execution.arm()
        await self.execution.rest()
        self._striking = False
        decisions = tuple(each.decision for each in alternatives)
        self._steps.append(Step(len(self._steps) + 1, fault, decisions, chosen.action))

    def _begin_step(self, chosen: Alternative, alternatives: tuple[Alternative, ...]) -> None:
        actor = self.execution.actors[chosen.actor]
        actor.wait = None
        self.execution.clock.step_of(actor)
        self.execution.families.fairness.steps(actor, chosen.action.kind)
        self.chance.begin_step(actor.name)
        self.execution.turn = Turn(actor, chosen, alternatives, chosen.woken or actor.bulk is not None)
        self.execution.step = len(self._steps) + 1
        self._dog.begin(actor.name, "step")
        actor.resume()
        self.execution.arm()

    def _end_step(self, paused: LockWait | None) -> tuple[Alternative, ...]:
        """At rest: write down the step that led here, if one did. Returns the actors that can take the next."""
        execution, last = self.execution, self._last
        turn, execution.turn = execution.turn, None
        self._dog.end()
        if turn is None:
            return execution.alternatives(last)
        actor, chosen = turn.actor, turn.chosen
        step = Step(
            number=len(self._steps) + 1,
            chosen=chosen.decision,
            alternatives=tuple(each.decision for each in turn.alternatives),
            action=chosen.action,
            woken=chosen.woken,
            result=turn.answer,
            wait=paused or (actor.wait if actor.state in (State.WAITING, State.GRANTED) else None),
            preempted=last if last and last != actor.name and last == turn.alternatives[0].actor else "",
        )
        self._steps.append(step)
        if not turn.pausable:
            self._unpausable.add(step.number)
        self._observer.note(step)
        self._last = actor.name
        self._deadlocks += [(len(self._steps), detail) for detail in execution.deadlocks]
        execution.deadlocks.clear()
        return execution.alternatives(actor.name)

    def _choice(self, alternatives: tuple[Alternative, ...]) -> Alternative:
        if self._refusal is None:
            try:
                before = self._steps[-1] if self._steps else None
                stalled = self.execution.families.wait_for_each_other
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
        with contextlib.suppress(Exception):  # the server may be what failed; that error is on its way already
            # At once: the end of one may let another go on in the process, and it must not get to its COMMIT.
            await self._ports.striker.terminate(list(self.execution.sessions), at_once=True)
        for actor in self.execution.actors.values():
            if actor.backend is not None:
                actor.backend.thaw()
        for actor in self.execution.actors.values():
            if actor.tasks > 1:  # its session's close is parked, for which SQLAlchemy waits through every cancellation
                actor.resume()
        for task in tasks:
            task.cancel()
        _, left = await asyncio.wait(tasks, timeout=CLOSING_SECONDS)
        for actor in self.execution.actors.values():
            if actor.task in left:
                raise UncontrolledError(
                    f"{actor.name} did not end within {CLOSING_SECONDS:g} s of being cancelled: "
                    f"{line_of_task(actor.task)}"
                )
