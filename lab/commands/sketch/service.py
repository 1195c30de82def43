"""The text of a scenario in which two actors call one function of the project's."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table

from lab.commands.sketch.mentioned import mentioned, table_of
from lab.commands.sketch.names import Names
from lab.commands.sketch.rows import NUMBER, Tables, singulars
from lab.commands.sketch.scenario import Draft
from lab.commands.sketch.subject import Function, given
from lab.commands.sketch.values import column_value, value_of

__all__ = ["service_draft"]

_OF_ROWS = ("id", "from", "to", "source", "target", "sender", "receiver")
_SHOWN = (str, int, float, bool, bytes, type(None))


def service_draft(
    function: Function, tops: frozenset[str], tables: Tables, filled: list[Table], watched: list[tuple[str, str]]
) -> Draft:
    """A draft in which two actors call a function, with rows in some tables.

    A function that names two rows, as a transfer does, is called by the second actor with both the other way round.
    """
    names = Names()
    first, second = Arguments(tables, filled, names), Arguments(tables, filled, names, turned=True)
    words = _words(function, first)
    opposite = _words(function, second) if first.used == NUMBER else words
    asked = {wanted: _typed(wanted, names) for name, hint in function.hints.items() if (wanted := _asked(name, hint))}
    commits = "session" not in asked or mentioned([function.call], tops).commits
    draft = Draft(
        names=names,
        subject=function.described,
        name=function.name,
        tables=tables,
        filled=filled,
        watched=watched,
        asked=asked,
        bodies=[_body(function, each, names, commits=commits) for each in (words, opposite)],
        what=f"call {function.name}",
    )
    if opposite != words:
        draft.what += ", each the other way round"
        draft.stated.append(f"nobody_waits_in_a_circle = {names.of('lab', 'no_deadlock')}()")
    return draft


def _words(function: Function, arguments: Arguments) -> list[str]:
    """The arguments of a call, by name."""
    words: list[str] = []
    for name, hint in function.hints.items():
        if wanted := given(name, hint):
            words.append(f"{name}={wanted}")
        elif isinstance(hint, type) and (table := table_of(hint)) is not None:
            row = arguments.key_of(table)
            words.append(f"{name}=await session.get_one({arguments.names.of_class(hint)}, {row})")
        else:
            words.append(f"{name}={arguments.value(name, hint)}")
    return words


def _body(function: Function, words: list[str], names: Names, *, commits: bool) -> list[str]:
    """The lines of an actor. What the function returns is compared where it is a plain value."""
    parameters = inspect.signature(function.call).parameters
    alone = [each for each in parameters.values() if each.kind is each.POSITIONAL_ONLY]
    bare = len(alone) or (words[:1] == ["session=session"] and next(iter(parameters)) == "session")
    words = [word.partition("=")[2] if place < bare else word for place, word in enumerate(words)]
    called = f"await {names.of(function.module, function.name)}({', '.join(words)})"
    if not commits:
        return [called, "await session.commit()  # as whoever calls it does"]
    returned = function.call.__annotations__.get("return")
    plain = returned in _SHOWN or returned in {each.__name__ for each in _SHOWN if each is not type(None)} | {"None"}
    return [f"return {called}" if plain and returned not in (None, "None") else called]


def _asked(name: str, hint: object) -> str:
    """What an actor asks for to have this argument, or "" for a plain value."""
    return given(name, hint) or ("session" if isinstance(hint, type) and table_of(hint) is not None else "")


def _typed(wanted: str, names: Names) -> str:
    kinds = {"session": "AsyncSession", "connection": "AsyncConnection", "engine": "AsyncEngine"}
    if wanted == "sessions":
        made, kind = (names.of("sqlalchemy.ext.asyncio", each) for each in ("async_sessionmaker", "AsyncSession"))
        return f"{made}[{kind}]"
    return names.of("sqlalchemy.ext.asyncio", kinds[wanted])


@dataclass(slots=True)
class Arguments:
    """Values for the parameters of a call that meet the rows of the setup."""

    tables: Tables
    filled: list[Table]
    names: Names
    turned: bool = False
    """Rows are taken from the last to the first."""
    used: int = 0
    """How many parameters without a column of their name have taken a row."""

    def value(self, name: str, hint: object) -> str:
        """The text of a value: that of a row's column where the parameter is named like it."""
        if (column := self._column(name)) is not None:
            return column_value(column, 1, self.names)
        if hint is str and (column := self._only_text()) is not None:
            return column_value(column, self._next(), self.names)
        if hint is int and name.rpartition("_")[2] in _OF_ROWS:
            return str(self._next())
        return value_of(hint, name, self.names) or "1"

    def key_of(self, table: Table | None) -> str:
        """The primary key of a table's first row."""
        if table is None:
            return "1"
        keys = [column_value(each, 1, self.names) for each in table.primary_key.columns]
        return keys[0] if len(keys) == 1 else f"({', '.join(keys)})"

    def _next(self) -> int:
        self.used += 1
        row = (self.used - 1) % NUMBER + 1
        return NUMBER + 1 - row if self.turned else row

    def _column(self, name: str) -> Column[Any] | None:
        """The column that a parameter is named after."""
        for table in self.filled:
            for column in table.columns:
                keyed = column.primary_key and name in (f"{word}_{column.name}" for word in singulars(table.name))
                if keyed or (column.key == name and (column.unique or column.primary_key)):
                    return column
        return None

    def _only_text(self) -> Column[Any] | None:
        """The one unique text column of all tables with rows, by which rows are then named."""
        found = [
            column
            for table in self.filled
            for column in table.columns
            if column.unique and not column.foreign_keys and _is_text(column)
        ]
        return found[0] if len(found) == 1 else None


def _is_text(column: Column[Any]) -> bool:
    try:
        return column.type.python_type is str
    except NotImplementedError:
        return False
