"""Asks the server what a statement has touched, once it is over and before its actor goes on.

What a transaction touched is listed until it ends, and only its own statements add to it. So one question, before the
next step, can be about all sessions together.
"""

from __future__ import annotations

from lab.engine.ports import Relations
from lab.model.footprint import Deferred
from lab.model.trace import Step

__all__ = ["Observer"]


class Observer:
    """What is still to be asked in one execution; nothing where `relations` is None.

    Without `exact` only statements are asked about that nobody was asked about before; with it, all that may touch
    something else each time.
    """

    def __init__(self, relations: Relations | None, *, exact: bool) -> None:
        self._relations = relations
        self._exact = exact
        self._pending: dict[int, Deferred] = {}

    @property
    def needs_a_question(self) -> bool:
        """Whether the server must be asked before the next step."""
        return bool(self._pending)

    def note(self, step: Step) -> None:
        """A step is over. One that waits has not touched all yet; one that failed has let go of what it touched."""
        touches = step.action.touches
        if self._relations is None or touches is None or not touches.session:
            return
        if step.wait is not None or step.result is None or step.result.error:
            return
        if touches.may_differ if self._exact else touches.asks:
            self._pending[touches.session] = touches

    async def ask(self) -> None:
        """Ask about what is pending."""
        if not self._pending:
            return
        assert self._relations is not None
        pending, self._pending = self._pending, {}
        for pid, seen in (await self._relations.held(list(pending))).items():
            pending[pid].saw(seen)
