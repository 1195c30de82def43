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


def service_draft(function: Function, tables: Tables, filled: list[Table], watched: list[tuple[str, str]]) -> Draft:
    """A draft in which two actors call a function, with rows in some tables."""
    names = Names()
    arguments = Arguments(tables, filled, names)
    asked: dict[str, str] = {}
    words: list[str] = []
    for name, hint in function.hints.items():
        if wanted := given(name, hint):
            asked[wanted] = _typed(wanted, names)
            words.append(f"{name}={wanted}" if words else wanted)
        elif isinstance(hint, type) and table_of(hint) is not None:
            asked["session"] = _typed("session", names)
            words.append(f"{name}=await session.get_one({names.of_class(hint)}, {arguments.key_of(table_of(hint))})")
        else:
            words.append(f"{name}={arguments.value(name, hint)}")
    parameters = inspect.signature(function.call).parameters
    positional = [each for each in parameters.values() if each.kind is each.POSITIONAL_ONLY]
    if positional:
        words = [word.partition("=")[2] or word for word in words]
    called = f"await {names.of(function.module, function.name)}({', '.join(words)})"
    returned = function.call.__annotations__.get("return")
    body = [f"return {called}" if returned in _SHOWN or returned in {"int", "str", "bool", "float", "None"} else called]
    if "session" in asked and not mentioned([function.call]).commits:
        body = [called, "await session.commit()  # as whoever calls it does"]
    return Draft(
        names=names,
        subject=function.described,
        name=function.name,
        tables=tables,
        filled=filled,
        watched=watched,
        asked=asked,
        body=body,
        what=f"call {function.name}",
    )


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
        self.used = self.used % NUMBER + 1
        return self.used

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
