"""The time of an actor's timeout has come."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault
from lab.engine.ports import Striker
from lab.model.decision import TIME

__all__ = ["FAULT"]


class Time(Fault):
    """Only the timer that is due first can fire: whatever order the steps are in, time runs one way."""

    name = TIME
    help = "A timeout that an actor's code set fires: so much time passes before its next step."
    story = "the timeout of {} fires"
    unasked = True

    def victims(self, execution: Execution) -> list[str]:
        """The actor whose timer is due first."""
        timer = execution.clock.timers.first()
        return [] if timer is None else [timer.actor]

    def told(self, victim: str, execution: Execution) -> str:
        """How long it was set for, which is the same wherever it fires."""
        timer = execution.clock.timers.first()
        fires = super().told(victim, execution)
        return fires if timer is None or timer.seconds <= 0 else f"{timer.seconds:.6g} s pass: {fires}"

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Let the time pass, and the timer fire."""
        if (timer := execution.clock.timers.first()) is not None:
            execution.clock.fire(timer)
        return (victim,)


FAULT = Time()
