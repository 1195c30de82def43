"""Looks beyond the permutations that a spec lists: other orders of the same steps, decided by any of the schedulers.

What a session does in a listed permutation is a program: which of its steps, in which order. Each set of programs that
some permutation lists is searched: the sessions keep their own orders, and the scheduler decides who takes the next
step. A session whose step waits for a lock cannot be chosen, and goes on by itself when it is granted. An outcome is
what each step answered, without who waited; one that no listed permutation of these programs had is reported, with a
permutation that shows it. Markers are not used: they belong to the order that they were written for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lab.errors import Divergence
from lab.explore.spec.conductor import Aborted, Answer
from lab.explore.spec.led import Led
from lab.explore.spec.stage import Performance, Stage
from lab.explore.spec.values import Call, Program, Spec, SpecStep, number_of_orders
from lab.model.choices import Alternative, Choices
from lab.model.decision import Go
from lab.model.trace import Action, ActionKind, LockWait, Result, Step, Trace
from lab.schedulers.base import Scheduler

__all__ = ["Novelty", "Search", "searched"]

Outcome = tuple[tuple[str, ...], ...]
"""For each session what its steps answered, in order."""


@dataclass(frozen=True, slots=True)
class Novelty:
    """An outcome that no listed permutation had: the order that showed it, and what was printed then."""

    order: tuple[SpecStep, ...]
    output: str


@dataclass(frozen=True, slots=True)
class Search:
    """What a search beyond the listed permutations saw."""

    programs: int
    """How many sets of programs the listed permutations have."""
    orders: int
    """How many permutations these have, with those that a lock wait rules out."""
    executions: int
    endless: int
    """How many of them could not end: a session waited for others that had nothing left to do. They have no outcome."""
    exhausted: bool
    """Every order that can happen was run."""
    outcomes: int
    """Different ones, the listed ones included."""
    listed: int
    """Different outcomes of the listed permutations."""
    novelties: tuple[Novelty, ...]
    stopped: str = ""
    """Why not all was searched, where that was not the limit; "" otherwise."""


class _Search:
    """One set of programs under one scheduler."""

    def __init__(self, stage: Stage, spec: Spec, program: Program, scheduler: Scheduler) -> None:
        self._stage, self._spec, self._program, self._scheduler = stage, spec, program, scheduler
        self.executions, self.endless, self.exhausted, self.stopped = 0, 0, False, ""
        self.seen: dict[Outcome, Novelty] = {}

    async def run(self, limit: int) -> None:
        """Execution after execution. A connection serves all, as in PostgreSQL's runner; a spec that aborts ends it."""
        try:
            async with self._stage.conducting(self._spec, Led) as conductor:
                while self.executions < limit:
                    if not self._scheduler.begin(self.executions):
                        self.exhausted = self._scheduler.complete
                        return
                    await self._execution(conductor)
                    self.executions += 1
                self.exhausted = self._scheduler.complete
        except Aborted as error:
            self.stopped = str(error).strip()
        except Divergence as error:
            self.stopped = f"two executions with the same decisions differed: {error}"

    async def _execution(self, conductor: Led) -> None:
        conductor.taken()
        await conductor.begin()
        taken = [0] * len(self._program)
        steps: list[Step] = []
        answers: list[Answer] = []
        while len(answers) < sum(map(len, self._program)):
            offered = self._offered(conductor, taken, steps)
            if not offered:  # all who have a step left wait
                if await conductor.settle():
                    continue
                await conductor.give_up()
                self.endless += 1
                break
            choices = Choices(len(steps), offered, steps[-1].actor if steps else None, steps[-1] if steps else None)
            chosen = offered[self._scheduler.choose(choices)]
            session = self._session(chosen.actor)
            answer = await conductor.take(Call(self._program[session][taken[session]]))
            taken[session] += 1
            answers.append(answer)
            steps.append(_step(len(steps) + 1, choices, chosen, answer))
        await conductor.end()
        self._scheduler.end(Trace(tuple(steps), tuple(session.name for session in self._spec.sessions)))
        if len(answers) < sum(map(len, self._program)):
            return
        order = tuple(answer.call.step for answer in answers)
        head = f"starting permutation: {' '.join(step.name for step in order)}\n"
        self.seen.setdefault(outcome_of(answers, len(taken)), Novelty(order, head + conductor.taken()))

    def _session(self, name: str) -> int:
        return next(number for number, session in enumerate(self._spec.sessions) if session.name == name)

    def _offered(self, conductor: Led, taken: list[int], steps: list[Step]) -> tuple[Alternative, ...]:
        """Who can take its next step: first the session that did so last, then the others in cyclic order."""
        can = [number for number in conductor.ready if taken[number] < len(self._program[number])]
        last = self._session(steps[-1].actor) if steps else 0
        can.sort(key=lambda number: (number - last) % len(taken))
        return tuple(
            Alternative(
                Go(self._spec.sessions[number].name),
                Action(ActionKind.STATEMENT, self._program[number][taken[number]].sql),
            )
            for number in can
        )


def _step(number: int, choices: Choices, chosen: Alternative, answer: Answer) -> Step:
    waits = not answer.complete
    preempts = choices.last_goes_on and chosen.actor != choices.last
    return Step(
        number,
        chosen.decision,
        choices.decisions,
        chosen.action,
        result=None if waits else Result(error="it failed" if answer.failed else ""),
        wait=LockWait(()) if waits else None,
        preempted=choices.last or "" if preempts else "",
    )


def outcome_of(answers: Iterable[Answer], sessions: int) -> Outcome:
    """What each step answered."""
    found: list[list[str]] = [[] for _ in range(sessions)]
    for answer in answers:
        found[answer.call.step.session].append(answer.text)
    return tuple(map(tuple, found))


async def searched(stage: Stage, performance: Performance, scheduler: Callable[[], Scheduler], limit: int) -> Search:
    """Search beyond the listed permutations of a spec, with at most so many executions in all.

    `scheduler` makes one for each set of programs. Raises `ServerError`.
    """
    spec = performance.spec
    listed: dict[Program, set[Outcome]] = {}
    for permutation, answers in performance.permutations:
        outcomes = listed.setdefault(spec.program_of(permutation), set())
        outcomes.add(outcome_of(answers, len(spec.sessions)))
    executions, endless, exhausted, stopped = 0, 0, True, ""
    novelties: list[Novelty] = []
    for program, known in listed.items():
        search = _Search(stage, spec, program, scheduler())
        await search.run(limit - executions)
        executions += search.executions
        endless += search.endless
        exhausted &= search.exhausted
        stopped = stopped or search.stopped
        novelties += [each for outcome, each in search.seen.items() if outcome not in known]
    seen = sum(map(len, listed.values()))
    return Search(
        programs=len(listed),
        orders=sum(map(number_of_orders, listed)),
        executions=executions,
        endless=endless,
        exhausted=exhausted and not stopped,
        outcomes=seen + len(novelties),
        listed=seen,
        novelties=tuple(novelties),
        stopped=stopped,
    )
