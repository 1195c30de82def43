"""Runs the permutations of a spec as PostgreSQL's own runner does, and prints what that prints.

One step is sent at a time. It ends with its answer, or when its session waits for a lock of another session of the
spec; then the next one is sent. After each step the waiting ones are looked at, in the order in which they began to
wait. Unlike in the lab's own executions nobody is frozen and `deadlock_timeout` is left alone: specs set timeouts to
say who finds a deadlock, so no report comes after a millisecond. Instead the server is asked who waits (PostgreSQL has
a function for it), a moment after a step was sent, and at once for one that waited before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.explore.spec import printed
from lab.explore.spec.talk import Part, Rows, Said, Talk
from lab.explore.spec.values import Call, Marker, MarkerKind, Permutation, Spec

__all__ = ["LONGEST_STEP_SECONDS", "Aborted", "Answer", "Conductor"]

FIRST_LOOK_SECONDS = 0.0015
"""How long a step may run until the server is asked whether it waits. Later is slower, sooner is more traffic."""
LOOK_SECONDS = 0.01
"""The longest time between two such questions; it begins with the first and doubles."""
LONGEST_STEP_SECONDS = 300.0
"""After this time a step is cancelled, and after twice as long the spec is given up: as PostgreSQL's runner does."""


class Aborted(Exception):
    """The spec cannot go on. Its text is what is printed last."""


@dataclass(slots=True)
class Answer:
    """A step that was sent: what it answered, once it is complete."""

    call: Call
    wanted: dict[Marker, int] = field(default_factory=dict)
    """For a marker of notices: how many its session must have got."""
    text: str = ""
    waited: bool = False
    """It was shown to wait."""
    complete: bool = False
    failed: bool = False
    """It answered with an error."""


class Conductor:
    """The sessions of a spec on a server, and the text that is printed of them."""

    def __init__(
        self, spec: Spec, control: Talk, talks: Sequence[Talk], *, longest: float = LONGEST_STEP_SECONDS
    ) -> None:
        self.spec = spec
        self.waits = 0
        """How many steps were shown to wait."""
        self._control, self._talks, self._longest = control, talks, longest
        self._names = {talk.pid: talk.name for talk in talks}
        self._active: dict[int, Answer] = {}
        """Session -> the step that is not complete there."""
        self._waiting: list[Answer] = []
        self._printed: list[str] = []
        self.unfinished = False
        """Setups were begun, and not all teardowns ended."""
        self._news = False
        """A notice came since the waiting steps were last looked at from the first on."""
        pids = ",".join(str(talk.pid) for talk in talks)
        self._is_blocked = f"SELECT pg_catalog.pg_isolation_test_session_is_blocked({{}}, '{{{{{pids}}}}}')"

    def taken(self) -> str:
        """What was printed since this was last asked."""
        text = "".join(self._printed)
        self._printed.clear()
        return text

    def say(self, text: str) -> None:
        """Print a text."""
        self._printed.append(text)

    # ------------------------------------------------------------------ a permutation

    async def run(self, permutation: Permutation) -> list[Answer]:
        """One permutation, from the setups to the teardowns. Raises `Aborted`."""
        self.say(f"\nstarting permutation: {' '.join(call.step.name for call in permutation)}\n")
        await self.begin()
        answers = [await self.take(call) for call in permutation]
        await self.end()
        return answers

    async def begin(self) -> None:
        """The setups. Raises `Aborted` if one fails."""
        self.unfinished = True
        for sql in self.spec.setups:
            await self._aside(self._control, "setup", sql, must=True)
        for session, talk in zip(self.spec.sessions, self._talks, strict=True):
            if session.setup is not None:
                await self._aside(talk, f"setup of session {session.name}", session.setup, must=True)

    async def end(self) -> None:
        """Wait for all steps, then the teardowns. Raises `Aborted` if steps wait for each other."""
        await self._look_at_waiting(blocked_is_fine=False)
        if self._waiting:
            raise Aborted("failed to complete permutation due to mutually-blocking steps\n")
        for session, talk in zip(self.spec.sessions, self._talks, strict=True):
            if session.teardown is not None:
                await self._aside(talk, f"teardown of session {session.name}", session.teardown)
        if self.spec.teardown is not None:
            await self._aside(self._control, "teardown", self.spec.teardown)
        self.unfinished = False

    async def _aside(self, talk: Talk, what: str, sql: str, *, must: bool = False) -> None:
        """Run a setup or teardown; only its last result is printed."""
        try:
            parts = await talk.complete(sql, 2 * self._longest)
        except TimeoutError:
            raise Aborted(f"{what} timed out after {2 * self._longest:g} seconds\n") from None
        results: list[Part] = []
        for each in parts:
            if isinstance(each, Said) and not each.error:
                self._notice(talk, each, sql)
            else:
                results.append(each)
        if failure := printed.failed(what, results, sql):
            if must:
                raise Aborted(failure)
            self.say(failure)
        elif results and isinstance(results[-1], Rows):
            self.say(printed.part(results[-1]))

    def _notice(self, talk: Talk, message: Said, sql: str) -> None:
        if talk is not self._control:
            self.say(printed.notice(talk.name, message, sql))
            talk.noticed += 1
            self._news = True

    # ------------------------------------------------------------------ a step

    async def take(self, call: Call) -> Answer:
        """Send a step, and return when it is complete or waits. Raises `Aborted`."""
        number = call.step.session
        if number in self._active:
            await self._wait_for(number)
        talk = self._talks[number]
        if talk.lost:
            raise Aborted(f"failed to send query for step {call.step.name}: no connection to the server\n\n")
        talk.send(call.step.sql)
        answer = self._active[number] = Answer(call)
        for marker in call.markers:
            if marker.kind is MarkerKind.NOTICES and marker.step is not None:
                answer.wanted[marker] = marker.notices + self._talks[marker.step.session].noticed
        waits = not await self._is_complete(answer, again=False)
        await self._look_at_waiting(blocked_is_fine=True)
        if waits:
            self._waiting.append(answer)
        return answer

    async def _wait_for(self, number: int) -> None:
        """A session is to take a step and has one under way: wait until that is complete."""
        began = time.monotonic()
        while (answer := self._active.get(number)) is not None:
            if await self._is_complete(answer, again=True, blocked_is_fine=False):
                self._waiting.remove(answer)
            await self._look_at_waiting(blocked_is_fine=True)
            if number in self._active and time.monotonic() - began > 2 * self._longest:
                names = " ".join(each.call.step.name for _, each in sorted(self._active.items()))
                raise Aborted(
                    f"step {answer.call.step.name} timed out after {2 * self._longest:g} seconds\n"
                    f"active steps are: {names}\n"
                )
            await asyncio.sleep(0)

    async def _look_at_waiting(self, *, blocked_is_fine: bool) -> None:
        """Report the waiting steps that are complete now, in the order in which they began to wait.

        One that is held by a marker may have been released by one behind it, so they are looked at again until
        nothing more comes of it.
        """
        while True:
            self._news = False
            before, held = len(self._waiting), False
            for answer in list(self._waiting):
                if await self._is_complete(answer, again=True, blocked_is_fine=blocked_is_fine):
                    self._waiting.remove(answer)
                else:
                    held |= bool(answer.call.markers)
            if not (held and (len(self._waiting) < before or self._news)):
                return

    async def _is_complete(self, answer: Answer, *, again: bool, blocked_is_fine: bool = True) -> bool:
        """Wait until a step is complete or waits; whether it is complete, which is then printed."""
        call = answer.call
        if not again and any(marker.kind is MarkerKind.ONCE for marker in call.markers):
            return self._shown_to_wait(answer)
        talk = self._talks[call.step.session]
        if await self._is_stuck(talk, answer, again=again, blocked_is_fine=blocked_is_fine) or self._is_held(answer):
            return False if again else self._shown_to_wait(answer)
        self.say(f"step {call.step.name}: {'<... completed>' if again else call.step.sql}\n")
        before = len(self._printed)
        while talk.parts:
            each = talk.parts.popleft()
            if isinstance(each, Said) and not each.error:
                self._notice(talk, each, call.step.sql)
            else:
                answer.failed |= isinstance(each, Said)
                self.say(printed.part(each))
        while talk.notifications:
            message = talk.notifications.popleft()
            sender = self._names.get(message.pid, f"PID {message.pid}")
            self.say(printed.notified(talk.name, message, sender))
        answer.text, answer.complete = "".join(self._printed[before:]), True
        del self._active[call.step.session]
        return True

    def _shown_to_wait(self, answer: Answer) -> bool:
        """Print that a step waits. Returns False: it is not complete."""
        self.say(f"step {answer.call.step.name}: {answer.call.step.sql} <waiting ...>\n")
        answer.waited = True
        self.waits += 1
        return False

    def _is_held(self, answer: Answer) -> bool:
        """Whether a marker holds a step back that is done."""
        for marker in answer.call.markers:
            if marker.step is None:
                continue
            if marker.kind is MarkerKind.STEP:
                other = self._active.get(marker.step.session)
                if other is not None and other.call.step is marker.step:
                    return True
            elif self._talks[marker.step.session].noticed < answer.wanted[marker]:
                return True
        return False

    async def _is_stuck(self, talk: Talk, answer: Answer, *, again: bool, blocked_is_fine: bool) -> bool:
        """Wait until the server has answered a step, or its session waits for a lock; whether it waits."""
        step, began = answer.call.step, time.monotonic()
        pause, cancelled = 0.0 if again else FIRST_LOOK_SECONDS, False
        while True:
            self._look(talk, step.sql)
            if not talk.busy:
                return False
            late = time.monotonic() - began
            left = (2 if cancelled else 1) * self._longest - late
            if await talk.heard(pause if blocked_is_fine else left):
                continue
            if blocked_is_fine and await self._asked(talk):
                self._look(talk, step.sql)
                return talk.busy
            pause = min(max(2 * pause, FIRST_LOOK_SECONDS), LOOK_SECONDS)
            if left <= 0 and cancelled:
                raise Aborted(f"step {step.name} timed out after {late:.0f} seconds\n")
            if left <= 0:
                await self._control.complete(f"SELECT pg_catalog.pg_cancel_backend({talk.pid})", self._longest)
                self.say(f"isolationtester: canceling step {step.name} after {late:.0f} seconds\n")
                cancelled = True

    def _look(self, talk: Talk, sql: str) -> None:
        """Print the notices that came before a result."""
        while talk.parts and isinstance(each := talk.parts[0], Said) and not each.error:
            talk.parts.popleft()
            self._notice(talk, each, sql)

    async def _asked(self, talk: Talk) -> bool:
        """Whether a session waits for another of the spec."""
        parts = await self._control.complete(self._is_blocked.format(talk.pid), self._longest)
        match parts:
            case [Rows(rows=((value,),))]:
                return value == b"t"
            case _:
                raise Aborted(printed.failed("lock wait query", parts, "") or "lock wait query failed\n")
