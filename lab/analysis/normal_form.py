"""What executions share that differ only in the order of independent steps: the normal form of their trace.

Such executions are one trace (Mazurkiewicz 1977). In Foata's normal form each step stands in the first layer behind
all steps that it depends on (Cartier and Foata: Problèmes combinatoires de commutation et réarrangements, 1969). What
depends on what is the business of `dependence` alone, and what follows from it that of `happens_before`.

A lock wait is a part of the form. The order of independent steps changes no wait (see `dependence`), so one trace
waits the same wherever it is met; and somebody who began to wait and was never woken, since it was ended by a fault
or the execution by a stall, went elsewhere than somebody whose statement was done.
"""

from __future__ import annotations

import hashlib

from lab.analysis.happens_before import HappensBefore
from lab.model.trace import Step, Trace

__all__ = ["LONGEST", "digest", "normal_form"]

LONGEST = 400
"""Steps of an execution whose order is looked at pair by pair; an endless one would take seconds. Behind them steps
count in the order in which they were taken, so that long executions count as different rather than as the same."""
DIGITS = 16


def normal_form(trace: Trace, order: HappensBefore | None = None) -> str:
    """The layers of a trace as text: equal for executions that differ in the order of independent steps only.

    `order`: that of its first `LONGEST` steps, if it is known.
    """
    order = HappensBefore(trace.steps[:LONGEST]) if order is None else order
    layers = [[_seen(trace.steps[number]) for number in layer] for layer in order.levels()]
    return repr(layers) + repr([_seen(step) for step in trace.steps[LONGEST:]])


def digest(trace: Trace, order: HappensBefore | None = None) -> str:
    """The normal form as a few hexadecimal digits; what counts as the same trace everywhere."""
    return trace.form or hashlib.sha256(normal_form(trace, order).encode(errors="surrogatepass")).hexdigest()[:DIGITS]


def _seen(step: Step) -> tuple[object, ...]:
    action = step.action
    seen = step.actor, action.kind.value, action.text, action.parameters, step.woken, step.wait is not None
    return (*seen, action.database) if action.database else seen
