"""Reads the JSON form of an external history. The format is described in docs/history.md.

Whatever is wrong is reported in one sentence that names the place and shows the value, before anything is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.errors import UsageError
from lab.model.text import cut
from lab.scenario.declare import ISOLATION_LEVELS

__all__ = ["LIST_APPEND", "REGISTER", "Micro", "Recorded", "RecordedTransaction", "read_history"]

LIST_APPEND = "list-append"
REGISTER = "rw-register"
MODELS = (LIST_APPEND, REGISTER)
WRITES = {LIST_APPEND: "append", REGISTER: "write"}
STATUSES = ("committed", "aborted", "unknown")
KEYS = {"model", "isolation", "initial", "orders", "transactions"}
TRANSACTION_KEYS = {"id", "actor", "status", "isolation", "operations"}
PARTS_OF_AN_OPERATION = 3
LONGEST = 60
"""Characters of a value in a sentence, which stays one line."""

Scalar = int | str | None


@dataclass(frozen=True, slots=True)
class Micro:
    """One operation: `value` is what was written, or what was read (a list of values with list-append)."""

    write: bool
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class RecordedTransaction:
    """A transaction as the file states it."""

    id: str
    actor: str
    status: str
    level: str
    operations: tuple[Micro, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A file's history: reads by their values, from which versions and their order are still to be inferred."""

    model: str
    transactions: tuple[RecordedTransaction, ...]
    initial: Mapping[str, Scalar]
    orders: Mapping[str, tuple[Scalar, ...]]


def read_history(data: object, level: str | None = None) -> Recorded:
    """The history in decoded JSON. `level` overrides every level in it. Raises `UsageError`."""
    whole = _object(data, "a history", KEYS)
    model = whole.get("model")
    if model not in MODELS:
        raise UsageError(f'"model" is {_shown(model)}; it must be {" or ".join(map(_shown, MODELS))}')
    if "transactions" not in whole:
        raise UsageError('a history needs "transactions", a list')
    usual = level or _level(whole.get("isolation", "SERIALIZABLE"), '"isolation"')
    transactions = tuple(
        _transaction(each, number, model, usual, level)
        for number, each in enumerate(_list(whole["transactions"], '"transactions"'), 1)
    )
    seen: set[str] = set()
    for each in transactions:
        if each.id in seen:
            raise UsageError(f"two transactions have the id {_shown(each.id)}; each needs one of its own")
        seen.add(each.id)
    for name in ("initial", "orders"):
        if whole.get(name) and model != REGISTER:
            raise UsageError(f'"{name}" is only for the model "{REGISTER}"')
    initial = _object(whole.get("initial", {}), '"initial"', None)
    orders = _object(whole.get("orders", {}), '"orders"', None)
    return Recorded(
        model,
        transactions,
        {key: _scalar(value, f'"initial" of {_shown(key)}', null=True) for key, value in initial.items()},
        {
            key: tuple(_scalar(value, f'"orders" of {_shown(key)}') for value in _list(order, f'"orders" of {key!r}'))
            for key, order in orders.items()
        },
    )


def _transaction(data: object, number: int, model: str, usual: str, override: str | None) -> RecordedTransaction:
    where = f"transaction {number}"
    each = _object(data, where, TRANSACTION_KEYS)
    name, actor = (_text(each.get(key, ""), f'"{key}" of {where}') for key in ("id", "actor"))
    status = each.get("status", "committed")
    if status not in STATUSES:
        raise UsageError(f'"status" of {where} is {_shown(status)}; it must be one of {", ".join(STATUSES)}')
    level = override or (_level(each["isolation"], f'"isolation" of {where}') if "isolation" in each else usual)
    if "operations" not in each:
        raise UsageError(f'{where} needs "operations", a list')
    operations = _list(each["operations"], f'"operations" of {where}')
    return RecordedTransaction(
        name or f"T{number}",
        actor,
        status,
        level,
        tuple(_operation(one, f"operation {place} of {where}", model) for place, one in enumerate(operations, 1)),
    )


def _operation(data: object, where: str, model: str) -> Micro:
    kinds = ("read", WRITES[model])
    if not isinstance(data, list) or len(data) != PARTS_OF_AN_OPERATION or data[0] not in kinds:
        shapes = " or ".join(f'["{kind}", key, value]' for kind in kinds)
        raise UsageError(f"{where} is {_shown(data)}; it must be {shapes}")
    kind, key, value = data
    if not isinstance(key, str) or not key:
        raise UsageError(f"the key of {where} is {_shown(key)}; it must be a text that is not empty")
    if kind != "read":
        return Micro(write=True, key=key, value=_scalar(value, f"the value of {where}"))
    if model == REGISTER:
        return Micro(write=False, key=key, value=_scalar(value, f"the value of {where}", null=True))
    values = _list(value, f"the value of {where}")
    if not all(type(one) is int or type(one) is str for one in values):
        wrong = next(one for one in values if type(one) is not int and type(one) is not str)
        _scalar(wrong, f"an element of {where}")
    return Micro(write=False, key=key, value=values)


def _object(data: object, where: str, keys: set[str] | None) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise UsageError(f"{where} is {_shown(data)}; it must be an object")
    if keys is not None and (strange := sorted(data.keys() - keys)):
        raise UsageError(f"{where} has {_shown(strange[0])}; known are {', '.join(sorted(keys))}")
    return data


def _list(data: object, where: str) -> list[Any]:
    if not isinstance(data, list):
        raise UsageError(f"{where} is {_shown(data)}; it must be a list")
    return data


def _text(data: object, where: str) -> str:
    if not isinstance(data, str):
        raise UsageError(f"{where} is {_shown(data)}; it must be a text")
    return data


def _level(data: object, where: str) -> str:
    level = data.upper() if isinstance(data, str) else ""
    if level not in ISOLATION_LEVELS:
        raise UsageError(f"{where} is {_shown(data)}; it must be one of {', '.join(ISOLATION_LEVELS)}")
    return level


def _scalar(data: object, where: str, *, null: bool = False) -> Scalar:
    if type(data) is int or type(data) is str or (null and data is None):
        return data
    raise UsageError(f"{where} is {_shown(data)}; it must be a whole number or a text{' or null' if null else ''}")


def _shown(data: object) -> str:
    text = f'"{data}"' if isinstance(data, str) else "missing" if data is None else repr(data)
    return cut(text, LONGEST)
