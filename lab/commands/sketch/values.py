"""Values for columns and parameters, as the text of Python expressions: plain ones that most checks let through."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ARRAY, JSON, Column, DateTime, Enum

from lab.commands.sketch.names import Names

__all__ = ["AMPLE", "SCARCE", "column_value", "quoted", "value_of"]

SCARCE, AMPLE = 1, 10
"""An amount that is gone when one request has taken of it, so that it shows if both do; and one that both can take."""
_LATER = ("expire", "until", "end", "valid_to", "due", "deadline")
_TRUE = ("active", "enabled", "available", "valid", "verified", "open", "is_on")
DEEPEST = 4
"""How far models inside models are followed."""


def column_value(column: Column[Any], row: int, names: Names, *, amount: int = SCARCE) -> str:
    """A value for a column in a row with this number, from 1: another one for each row. `amount`: for plain numbers."""
    for key in column.foreign_keys:
        parent = key.column
        if parent is not column and parent.table is not column.table:
            return column_value(parent, row, names, amount=amount)
        return str(row) if _python_type(column) is int else column_value_alone(column, row, names, amount)
    return column_value_alone(column, row, names, amount)


def column_value_alone(column: Column[Any], row: int, names: Names, amount: int) -> str:
    """The same, whatever the column refers to."""
    kind, python = column.type, _python_type(column)
    text = f"{column.name}-{row}"
    if isinstance(kind, Enum):
        first = next(iter(kind.enum_class.__members__)) if kind.enum_class is not None else ""
        value = f"{names.of_class(kind.enum_class)}.{first}" if kind.enum_class is not None else quoted(kind.enums[0])
    elif isinstance(kind, ARRAY | JSON):
        value = "[]" if isinstance(kind, ARRAY) else "{}"
    elif python is int:
        value = str(row if column.primary_key or column.unique else amount)
    elif python is str:
        length = getattr(kind, "length", None)
        value = quoted(text if not length or len(text) <= length else f"{row}"[-length:])
    elif python is dt.datetime:
        value = _moment(column.name, names, aware=isinstance(kind, DateTime) and kind.timezone)
    else:
        value = _plain(python, column.name, row, names, amount) or quoted(text)
    return value


def value_of(hint: object, name: str, names: Names, depth: int = 0) -> str | None:
    """A value for a parameter or a field by its type; None where none is known."""
    if typing.get_origin(hint) is not None:
        return _composed(hint, name, names, depth)
    if hint is str:
        return quoted(f"{name}-1")
    if hint is int:
        return "1"
    if isinstance(hint, type):
        return _plain(hint, name, 1, names) or _model(hint, names, depth)
    return None


def _composed(hint: object, name: str, names: Names, depth: int) -> str | None:
    """A value for a type that is made of others."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return quoted(arguments[0]) if isinstance(arguments[0], str) else repr(arguments[0])
    if origin is dict or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "{}"
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        real = arguments[:1] if origin is typing.Annotated else [each for each in arguments if each is not type(None)]
        return next((text for each in real if (text := value_of(each, name, names, depth))), None)
    inner = value_of(arguments[0], name, names, depth) if arguments else None
    return f"[{inner}]" if inner else None


def quoted(text: str) -> str:
    """A text as formatters write it."""
    return json.dumps(text, ensure_ascii=False)


def _python_type(column: Column[Any]) -> type:
    try:
        return column.type.python_type
    except NotImplementedError:
        return str


def _plain(kind: type, name: str, row: int, names: Names, amount: int = SCARCE) -> str | None:
    """A value of a type that Python brings."""
    if issubclass(kind, enum.Enum):
        return f"{names.of_class(kind)}.{next(iter(kind.__members__))}"
    made: Mapping[type, Callable[[], str]] = {
        bool: lambda: str(any(word in name for word in _TRUE)),
        float: lambda: f"{amount}.0",
        bytes: lambda: repr(f"{row}".encode()),
        dict: lambda: "{}",
        list: lambda: "[]",
        decimal.Decimal: lambda: f"{names.of('decimal', 'Decimal')}({amount})",
        uuid.UUID: lambda: f"{names.of('uuid', 'UUID')}(int={row})",
        dt.datetime: lambda: _moment(name, names, aware=True),
        dt.date: lambda: f"{names.of('datetime', 'date')}({_year(name)}, 1, 1)",
        dt.time: lambda: f"{names.of('datetime', 'time')}(12)",
        dt.timedelta: lambda: f"{names.of('datetime', 'timedelta')}(hours=1)",
    }
    return made[kind]() if kind in made else None


def _moment(name: str, names: Names, *, aware: bool) -> str:
    zone = f", tzinfo={names.of('datetime', 'UTC')}" if aware else ""
    return f"{names.of('datetime', 'datetime')}({_year(name)}, 1, 1{zone})"


def _year(name: str) -> int:
    return 2100 if any(word in name for word in _LATER) else 2020


def _model(kind: type, names: Names, depth: int) -> str | None:
    """A pydantic model or a dataclass, with a value for each field that needs one."""
    if depth >= DEEPEST:
        return None
    hints: dict[str, object]
    if isinstance(fields := getattr(kind, "model_fields", None), dict):
        hints = {name: each.annotation for name, each in fields.items() if each.is_required()}
    elif dataclasses.is_dataclass(kind):
        known = typing.get_type_hints(kind)
        missing = dataclasses.MISSING
        needed = [each for each in dataclasses.fields(kind) if each.init]
        hints = {
            each.name: known[each.name]
            for each in needed
            if each.default is missing and each.default_factory is missing
        }
    else:
        return None
    values = {name: value_of(hint, name, names, depth + 1) for name, hint in hints.items()}
    if None in values.values():
        return None
    return f"{names.of_class(kind)}({', '.join(f'{name}={value}' for name, value in values.items())})"
