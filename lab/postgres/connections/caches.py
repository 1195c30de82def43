"""Empties what an earlier execution left in the caches of SQLAlchemy and asyncpg.

A compiled statement carries more than its text: SQLAlchemy keeps with it how rows are read, so who compiles first and
who finds it compiled may differ in what they do. Were the caches warm from the second execution on, a race for them
would be over before the search begins. And a prepared statement fails once a table was altered, a statement that is
prepared anew does not. So every execution begins with none of either.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

__all__ = ["CompiledCaches", "PreparedStatements", "chill"]

HOUSE_SIZE = 500
"""As many statements as an engine of SQLAlchemy keeps by default."""


def chill(engine: Engine) -> None:
    """Forget what an engine compiled, and when it was told last that the schema changed."""
    engine.clear_compiled_cache()
    # Times of one execution mean nothing in the next, since the clock begins anew.
    dialect: Any = engine.dialect
    dialect._invalidate_schema_cache_asof = 0  # noqa: SLF001


class CompiledCaches:
    """The compiled caches beside those of engines: a mapper has one for what a session flushes, and code may have more.

    They are known once a statement used them.
    """

    def __init__(self) -> None:
        self._used: dict[int, MutableMapping[Any, Any]] = {}
        self.house: MutableMapping[Any, Any] = LRUCache(HOUSE_SIZE)
        """For statements that are no actor's: it stays as it is."""

    def note(self, context: Any) -> None:
        """A statement is about to be executed."""
        cache = context.execution_options.get("compiled_cache")
        if cache is not None and cache is not self.house:
            self._used[id(cache)] = cache

    def empty(self) -> None:
        """Empty those that were used since the last time."""
        for cache in self._used.values():
            cache.clear()
        self._used.clear()


class PreparedStatements:
    """The prepared statements of one asyncpg connection, `adapted` by SQLAlchemy's dialect or not."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.known: list[Any] = []
        """asyncpg's states of the statements that were prepared since `forget`."""

    def forget(self) -> str:
        """Empty the caches of prepared statements; what to send, so that the server forgets them, too."""
        connection, adapted = self._connection, self._connection.adapted
        if adapted is not None:
            adapted._invalidate_schema_cache_asof = 0  # noqa: SLF001 - see `chill`
            if (cache := adapted._prepared_statement_cache) is not None:  # noqa: SLF001
                cache.clear()
        connection._stmt_cache.clear()  # noqa: SLF001
        self.known = [each for each in self.known if each.refs and not each.closed]
        if self.known:  # somebody holds one across executions: asyncpg ends the others one by one
            return ""
        connection._mark_stmts_as_closed()  # noqa: SLF001
        return "DEALLOCATE ALL;"
