"""Empties what an earlier execution left in the caches of SQLAlchemy and asyncpg.

A compiled statement carries more than its text: SQLAlchemy keeps with it how rows are read, so who compiles first and
who finds it compiled may differ in what they do. Were the caches warm from the second execution on, a race for them
would be over before the search begins. And a prepared statement fails once a table was altered, a statement that is
prepared anew does not. So every execution begins with none of either, as far as anybody can see.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from asyncpg.prepared_stmt import PreparedStatement
from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

__all__ = ["CompiledCaches", "PreparedStatements", "chill"]

HOUSE_SIZE = 500
"""As many statements as an engine of SQLAlchemy keeps by default."""
MOST_KEPT = 200
"""Prepared statements of a session that stay for the next execution."""


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
    """The prepared statements of one asyncpg connection, `adapted` by SQLAlchemy's dialect or not.

    The caches of client code are empty when an execution begins. The server may still have what a former one prepared:
    then a statement is prepared anew without a word to the server, as long as nothing was done that could show it.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.known: list[Any] = []
        """asyncpg's states of the statements that were prepared since `forget` or `keep`."""
        self._kept: dict[tuple[Any, ...], Any] = {}
        """Those of former executions; see `take`."""
        self._taken: set[tuple[Any, ...]] = set()
        """Those of them that were prepared again."""
        self.stale = False
        """What is kept can no longer be given out."""

    def take(self, *key: Any) -> Any:
        """A kept statement by its text, class of records, and whether codecs of the user's are left aside, or None."""
        state = None if self.stale else self._kept.get(key)
        if state is None or state.closed:
            return None
        self._taken.add(key)
        return state

    @property
    def spare(self) -> str:
        """What to send before code may look at prepared statements: the server forgets what was not prepared again."""
        spare = [key for key in self._kept if key not in self._taken]
        return "".join(f"DEALLOCATE {self._kept.pop(key).name};" for key in spare)

    def keep(self) -> bool:
        """Empty the caches of the client alone. False where that cannot be: then `forget` is to be called."""
        if self.stale or any(each.closed or not each.name for each in self.known):
            return False
        for each in self.known:
            key = each.query, each.record_class, each.ignore_custom_codec
            if self._kept.get(key) is not each:
                if key in self._kept:
                    return False
                each.attach()  # so that asyncpg does not end it
                self._kept[key] = each
        self.known.clear()
        self._taken.clear()
        self._empty()
        return len(self._kept) <= MOST_KEPT and all(each.refs == 1 and not each.closed for each in self._kept.values())

    def forget(self) -> str:
        """Empty the caches of prepared statements; what to send, so that the server forgets them, too."""
        self.known += self._kept.values()
        for each in self._kept.values():
            each.detach()
            PreparedStatement(self._connection, each.query, each)  # gone at once, so asyncpg ends what nobody holds
        self._kept.clear()
        self._taken.clear()
        self.stale = False
        self._empty()
        self.known = [each for each in self.known if each.refs and not each.closed]
        if self.known:  # somebody holds one across executions: asyncpg ends the others one by one
            return ""
        self._connection._mark_stmts_as_closed()  # noqa: SLF001
        return "DEALLOCATE ALL;"

    def _empty(self) -> None:
        connection, adapted = self._connection, self._connection.adapted
        if adapted is not None:
            adapted._invalidate_schema_cache_asof = 0  # noqa: SLF001 - see `chill`
            if (cache := adapted._prepared_statement_cache) is not None:  # noqa: SLF001
                cache.clear()
        connection._stmt_cache.clear()  # noqa: SLF001
