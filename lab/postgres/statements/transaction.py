"""What the transaction of a connection has touched so far."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lab.model.footprint import Access, Deferred, Memory
from lab.postgres.statements.held import HeldRows
from lab.postgres.statements.shapes import Relations

__all__ = ["TransactionFootprint"]


class TransactionFootprint:
    """What the transaction of one connection has touched so far, as a chain from its last statement back."""

    __slots__ = ("_last", "_memory", "held")

    def __init__(self) -> None:
        self.held = HeldRows()
        self._last: Deferred | None = None
        self._memory: Memory | None = None
        """Of the last statement of which something can be seen."""

    def begins(self) -> None:
        """Forget the last transaction."""
        self._last, self._memory = None, None
        self.held.begin()

    def statement(
        self,
        accesses: Callable[[], tuple[Access, ...] | None],
        level: str,
        text: str,
        relations: Relations,
        session: int,
    ) -> Deferred:
        """The footprint of its next statement; `text` is "" for one of which nothing can be seen."""
        memory = None
        self.held.sends(accesses, text)
        if text:
            memory = self._memory = relations.memory_of(text, level, self._memory)
        self._last = Deferred(accesses, level, self._last, memory, partial(relations.is_wild, text), session)
        return self._last

    def end(self, level: str, *, in_part: bool = False) -> Deferred:
        """The footprint of a COMMIT or ROLLBACK now; `in_part`: of one to a savepoint, or of its release."""
        if in_part:
            self.held.forget()
        return Deferred(_nothing, level, self._last)


def _nothing() -> tuple[Access, ...]:
    return ()
