"""Rows that a transaction is known to have locked, without a question to the server.

A statement that names a row by its whole primary key, and whose answer counts a row, holds that row until its
transaction ends: nobody else can lock it, and a later statement of the same transaction that comes to it first cannot
be paused before any row. For most transactions that is what the server would say, too, so it need not be asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache

from lab.model.footprint import Access, Lock
from lab.model.text import key_text
from lab.postgres.statements.met import MetRow

__all__ = ["HeldRows"]

Accesses = Callable[[], tuple[Access, ...] | None]

_FOUND = re.compile(r"(?:SELECT|UPDATE|DELETE) [1-9]")
"""An answer that counts a row at least."""
_GIVES_BACK = re.compile(r"\b(?:ROLLBACK|COMMIT|ABORT|END)\b", re.IGNORECASE)
"""In a text that may be several statements: locks are given back, though the connection stays in a transaction."""


@lru_cache(maxsize=2000)
def _gives_back(text: str) -> bool:
    return bool(_GIVES_BACK.search(text))


class HeldRows:
    """What the statements of the open transaction of one connection locked, and how they were answered."""

    __slots__ = ("_answered", "_sent")

    def __init__(self) -> None:
        self._sent: Accesses | None = None
        self._answered: list[Accesses] = []
        """Those that found a row. What they touch is computed only when it is asked for."""

    def forget(self) -> None:
        """The transaction has ended, or may have gone back to a savepoint, which gives locks back."""
        self._sent = None
        self._answered.clear()

    def sends(self, accesses: Accesses, text: str) -> None:
        """A statement is about to be sent."""
        if _gives_back(text):
            self.forget()
        self._sent = accesses

    def answered(self, tag: str) -> None:
        """The server answered something on this connection."""
        if self._sent is not None and _FOUND.match(tag):
            self._answered.append(self._sent)
            self._sent = None

    def has(self, row: MetRow) -> bool:
        """Whether the transaction has locked this row, against all that others could do to it."""
        values = json.loads(row.values)
        key = {name: key_text(values[name]) for name in row.names}
        return any(
            access.lock >= Lock.NO_KEY_UPDATE and access.rows.table == row.name and _is(access, key)
            for accesses in self._answered
            for access in accesses() or ()
        )


def _is(access: Access, key: dict[str, str]) -> bool:
    """Whether these are rows with that primary key. A list of values may have found another of them."""
    given = {column: [text.partition(":")[2] for text in texts] for column, texts in access.rows.key}
    return all(given.get(column) == [text] for column, text in key.items())
