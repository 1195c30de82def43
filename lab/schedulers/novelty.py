"""Which executions showed a new trace: what feedback keeps, and when a sampler has seen most there is to see.

Two executions that differ only in the order of independent steps are one trace. They have one Foata normal form: each
step stands on the level above the highest earlier step that it depends on. Cartier, Foata: Problèmes combinatoires de
commutation et réarrangements, 1969; for programs Mazurkiewicz 1977.
"""

from __future__ import annotations

import hashlib

from lab.analysis.happens_before import HappensBefore
from lab.model.trace import Trace

__all__ = ["Seen"]

LONGEST = 200
"""Steps that are looked at: comparing all pairs of an endless execution would take seconds, and shows nothing."""


class Seen:
    """The traces seen so far."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def add(self, trace: Trace) -> bool:
        """Take in a trace; whether it is a new one."""
        digest = _digest(trace)
        new = digest not in self._digests
        self._digests.add(digest)
        return new


def _digest(trace: Trace) -> bytes:
    steps = trace.steps[:LONGEST]
    form = [
        sorted(
            (step.actor, step.action.kind, step.action.text, repr(step.action.parameters), step.woken) for step in level
        )
        for level in ([steps[index] for index in layer] for layer in HappensBefore(steps).levels())
    ]
    return hashlib.sha256(repr(form).encode()).digest()[:16]
