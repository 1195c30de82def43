"""Which tables a function reads and which it only inserts into, by the names in its source and in what it calls.

Only functions and classes of the project's own packages are followed: nothing is imported for that, since
what a function calls is loaded with its module.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table
from sqlalchemy import inspect as inspect_mapped
from sqlalchemy.orm import Mapper

__all__ = ["Mentioned", "mentioned", "table_of"]

_ENDS = {"commit", "begin", "begin_nested"}
_WRITES = {"add", "add_all", "delete", "update", "insert", "merge", "commit", "begin", "flush"}


@dataclass(slots=True)
class Mentioned:
    """What was found."""

    read: dict[str, Any] = field(default_factory=dict)
    """Full name of a table -> the class or table that the code names."""
    made: dict[str, Any] = field(default_factory=dict)
    """The same for tables of which it makes rows."""
    commits: bool = False
    """Whether it ends its transaction itself."""
    writes: int = 0
    """How many words speak of writing."""


def table_of(value: object) -> Table | None:
    """The table that a value of somebody's code stands for, if any."""
    if isinstance(value, Table):
        return value
    if isinstance(value, type):
        mapper: Any = inspect_mapped(value, raiseerr=False)
        if isinstance(mapper, Mapper) and isinstance(mapper.local_table, Table):
            return mapper.local_table
    return None


def mentioned(functions: list[Callable[..., Any]], tops: frozenset[str]) -> Mentioned:
    """What some functions, and all that they call of the project, say of tables. `tops`: the project's packages."""
    found, seen, todo = Mentioned(), set[int](), [inspect.unwrap(each) for each in functions]
    while todo:
        function = todo.pop(0)
        if id(function) in seen or (tree := _tree(function)) is None:
            continue
        seen.add(id(function))
        made = {id(node) for node in _made(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                found.commits = found.commits or node.attr in _ENDS
                found.writes += node.attr in _WRITES
            if isinstance(node, ast.Name | ast.Attribute):
                found.writes += isinstance(node, ast.Name) and node.id in _WRITES
                value = _value(node, function)
                if (table := table_of(value)) is not None:
                    (found.made if id(node) in made else found.read).setdefault(table.fullname, value)
                else:
                    todo += _followed(value, tops, tree)
    return found


def _tree(function: object) -> ast.AST | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    except (OSError, TypeError, SyntaxError):
        return None
    for node in ast.walk(tree):  # what is only an annotation is not read
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return tree


def _made(tree: ast.AST) -> Iterator[ast.expr]:
    """Where a class or table is named only to make a row of it: `Order(…)`, `insert(Order)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.func
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name == "insert":
                yield from node.args[:1]


def _value(node: ast.expr, function: Callable[..., Any]) -> object:
    """What a name, or attributes of a module, stand for in a function; None where that is not known."""
    if isinstance(node, ast.Name):
        return getattr(function, "__globals__", {}).get(node.id)
    if isinstance(node, ast.Attribute):
        inner = _value(node.value, function)
        if inspect.ismodule(inner):
            return vars(inner).get(node.attr)
    return None


def _followed(value: object, tops: frozenset[str], tree: ast.AST) -> list[Callable[..., Any]]:
    """Functions of the package behind a name: itself, or the methods of a class that are named where it is."""
    if inspect.isfunction(value):
        inner = inspect.unwrap(value)
        return [inner] if inner.__module__.partition(".")[0] in tops else []
    cls = value if isinstance(value, type) else type(value)
    if cls.__module__.partition(".")[0] not in tops or cls.__module__ not in sys.modules:
        return []
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return [each for name, each in vars(cls).items() if inspect.isfunction(each) and name in named]
