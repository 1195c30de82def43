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

__all__ = ["FOR_EACH", "HeldRows"]

Accesses = Callable[[], tuple[Access, ...] | None]

FOR_EACH = "executed for each row"
"""What stands for the answer to a statement that is executed for several sets of values."""
_FOUND = re.compile(r"(?:SELECT|UPDATE|DELETE) [1-9]")
"""An answer that counts a row at least."""
_GIVES_BACK = re.compile(r"\b(?:ROLLBACK|COMMIT|ABORT|END)\b", re.IGNORECASE)
"""In a text that may be several statements: locks are given back, though the connection stays in a transaction."""


@lru_cache(maxsize=2000)
def _gives_back(text: str) -> bool:
    return bool(_GIVES_BACK.search(text))


class HeldRows:
    """What the statements of the open transaction of one connection locked, and how they were answered."""

    __slots__ = ("_answered", "_done", "_each", "_sent", "sure")

    def __init__(self) -> None:
        self._sent: Accesses | None = None
        self._done: list[Accesses] = []
        """Those that were answered, whatever they found."""
        self._answered: list[Accesses] = []
        """Those that found a row. What they touch is computed only when it is asked for."""
        self._each: list[Accesses] = []
        """Those that were executed for each of several sets of values: how many rows they found is not known."""
        self.sure = True
        """Nothing else was done in the transaction, and it has let go of nothing."""

    def begin(self) -> None:
        """Another transaction begins."""
        self.forget()
        self.sure = True

    def forget(self) -> None:
        """The transaction may have gone back to a savepoint, which gives locks back, or done what is not known here."""
        self._sent = None
        self._answered.clear()
        self._done.clear()
        self._each.clear()
        self.sure = False

    def sends(self, accesses: Accesses, text: str) -> None:
        """A statement is about to be sent."""
        if _gives_back(text):
            self.forget()
        self._sent = accesses

    def answered(self, tag: str) -> None:
        """The server answered something on this connection."""
        if self._sent is None:
            return
        if not self._done or self._done[-1] is not self._sent:
            self._done.append(self._sent)
        if tag == FOR_EACH:
            self._each.append(self._sent)
            self._sent = None
        elif _FOUND.match(tag):
            self._answered.append(self._sent)
            self._sent = None

    def has(self, row: MetRow) -> bool:
        """Whether the transaction has locked this row, against all that others could do to it."""
        return self._names(row, self._answered, Lock.NO_KEY_UPDATE)

    def _names(self, row: MetRow, statements: list[Accesses], lock: Lock) -> bool:
        """Whether one of these statements names this row by its whole key, and takes such a lock on it."""
        values = json.loads(row.values)
        key = {name: key_text(values[name]) for name in row.names}
        return any(
            access.lock >= lock and access.rows.table == row.name and _is(access, key)
            for accesses in statements
            for access in accesses() or ()
        )

    def takes(self, row: MetRow) -> bool | None:
        """Whether the transaction, of which no statement is under way, has locked this row; None if it may have."""
        if not self.sure:
            return None
        there = self._names(row, self._answered, Lock.NONE)
        if self.has(row) or (there and self._names(row, self._each, Lock.NO_KEY_UPDATE)):
            return True
        values = json.loads(row.values)
        key = {name: values[name] for name in row.names}
        for accesses in self._done:
            if (touched := accesses()) is None:
                return None
            if any(each.lock and each.rows.table == row.name and _may_be(each, key) for each in touched):
                return None
        return False

    def is_understood(self, *, under_way: bool) -> bool:
        """Whether all that was done in the transaction is known, and gave no lock back; also what is `under_way`."""
        done = [*self._done, *([self._sent] if under_way and self._sent else ())]
        return self.sure and all(accesses() is not None for accesses in done)


def _may_be(access: Access, key: dict[str, object]) -> bool:
    """Whether a row with that primary key may be among these. Of integers alone it is known that they differ."""
    for column, texts in access.rows.key:
        value = key.get(column)
        if type(value) is int and all(text.startswith("int:") for text in texts) and f"int:{value}" not in texts:
            return False
    return True


def _is(access: Access, key: dict[str, str]) -> bool:
    """Whether these are rows with that primary key. A list of values may have found another of them."""
    given = {column: [text.partition(":")[2] for text in texts] for column, texts in access.rows.key}
    return all(given.get(column) == [text] for column, text in key.items())
