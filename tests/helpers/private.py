"""Finds where code touches private attributes of other people's classes, and reads the table that lists them.

What counts: a name with a leading underscore that is no dunder and that the code does not define itself, be it after a
dot, as the name of a keyword argument, as a string (for `getattr`, `vars` and the like), or overridden in a class of
one of the libraries; and every import from a module that its library does not document. A private name on `self` is
the lab's own where a class of the lab defines it; on anything else, where a class in the same file does.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

LIBRARIES = frozenset({"anyio", "asyncio", "asyncpg", "click", "hypothesis", "pluggy", "pytest", "rich", "sqlalchemy"})
"""Whose classes are looked at for what a class of the lab overrides."""
INTERNAL = re.compile(r"(^|\.)(_\w+|internal)(\.|$)")
"""A module that its library does not document."""
PRIVATE = re.compile(r"_{1,2}[A-Za-z]\w*(?<!__)$")
DOTTED = re.compile(r"[\w.]+$")
OWN_MARKS = "_lab_"
"""How attributes begin that the lab itself puts on classes of its users."""
ROW = re.compile(r"^\|(.+)\|$")
SPAN = re.compile(r"`([^`]+)`")


DOCUMENTED = {"_exit"}
"""Names that begin with an underscore and are public all the same: `os._exit`."""


@dataclass(frozen=True)
class Touch:
    """One place at which a private name is met."""

    file: str
    line: int
    name: str
    """The attribute alone, or the full dotted name of what is imported from an undocumented module."""

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: `{self.name}` is private to the library that it belongs to, and "
            'no row of the table "Private attributes" in docs/architecture.md lists it for this folder'
        )


@dataclass(frozen=True)
class Row:
    """One private attribute as the table lists it."""

    library: str
    attribute: str
    """As the table writes it: `Class.attribute`, or the full dotted name of something imported."""
    folders: tuple[str, ...]
    purpose: str
    loss: str

    @property
    def name(self) -> str:
        owner, _, name = self.attribute.rpartition(".")
        return self.attribute if "." in owner and INTERNAL.search(owner) else name

    def covers(self, touch: Touch) -> bool:
        return touch.name == self.name and touch.file.startswith(self.folders)


def rows(document: Path, heading: str = "## Private attributes") -> list[Row]:
    """The rows of the table below a heading; one for each attribute, also where a line of the table lists several."""
    section = document.read_text().partition(f"{heading}\n")[2].partition("\n## ")[0]
    found = []
    for line in section.splitlines():
        if (matched := ROW.match(line)) is None or not SPAN.search(line):
            continue
        library, attributes, where, purpose, loss = (cell.strip() for cell in matched[1].split("|"))
        found += [Row(library, each, tuple(SPAN.findall(where)), purpose, loss) for each in SPAN.findall(attributes)]
    return found


class Code:
    """The files of one or several folders."""

    def __init__(self, root: Path, *folders: str) -> None:
        self._root, self._folders = root, folders

    @cached_property
    def _trees(self) -> dict[str, ast.Module]:
        """Read when they are asked for: each process that collects the tests would read them, and keep them."""
        paths = [path for folder in self._folders for path in sorted((self._root / folder).rglob("*.py"))]
        return {str(path.relative_to(self._root)): ast.parse(path.read_text()) for path in paths}

    @cached_property
    def _defined(self) -> dict[str, dict[ast.ClassDef, dict[str, int]]]:
        return {file: {each: _defined(each) for each in _classes(tree)} for file, tree in self._trees.items()}

    def touches(self) -> list[Touch]:
        """Every touch of a private name that is not the code's own."""
        found = {touch for file in self._trees for touch in self._of_file(file)}
        return sorted(found, key=lambda touch: (touch.file, touch.line, touch.name))

    def mentions(self, name: str, folders: tuple[str, ...]) -> bool:
        """Whether files in these folders name an attribute, import, method or string."""
        return any(name in names for file, names in self._names.items() if file.startswith(folders))

    @cached_property
    def _names(self) -> dict[str, set[str]]:
        return {file: set(_names(tree)) for file, tree in self._trees.items()}

    @cached_property
    def _of_all(self) -> set[str]:
        return {name for classes in self._defined.values() for names in classes.values() for name in names}

    def _of_file(self, file: str) -> Iterator[Touch]:
        tree = self._trees[file]
        here = {name for names in self._defined[file].values() for name in names}
        for node, name, own in _met(tree):
            known = self._of_all if own else here
            if PRIVATE.match(name) and name not in {*known, *DOCUMENTED} and not name.startswith(OWN_MARKS):
                yield Touch(file, node.lineno, name)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (Touch(file, node.lineno, each.name) for each in node.names if _is_internal(each.name))
            elif isinstance(node, ast.ImportFrom) and _is_internal(node.module or ""):
                yield from (Touch(file, node.lineno, f"{node.module}.{each.name}") for each in node.names)
        for each, defined in self._defined[file].items():
            for base in _foreign_bases(each, tree):
                for name, line in defined.items():
                    if PRIVATE.match(name) and hasattr(base, name):
                        yield Touch(file, line, name)


def _is_internal(module: str) -> bool:
    return module != "__future__" and not module.startswith("lab") and bool(INTERNAL.search(module))


def _classes(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def _defined(body: ast.ClassDef) -> dict[str, int]:
    """What a class defines: methods, class attributes, slots, and what is assigned to an attribute of `self`."""
    found: dict[str, int] = {}
    for node in ast.walk(body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node is not body:
            found.setdefault(node.name, node.lineno)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            found.setdefault(node.attr, node.lineno)
    for node in body.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, node.lineno)
                if target.id == "__slots__":
                    found |= dict.fromkeys(ast.literal_eval(node.value), node.lineno)
    return found


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _met(tree: ast.Module) -> Iterator[tuple[ast.expr, str, bool]]:
    """(node, name, whether it is an attribute of `self`) of each name after a dot, keyword and string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            is_super = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super"
            yield node, node.attr, _is_self(node.value) or is_super
        elif isinstance(node, ast.Call):
            yield from ((each.value, each.arg, False) for each in node.keywords if each.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.match(node.value):
            yield from ((node, part, False) for part in node.value.split("."))


def _names(tree: ast.Module) -> Iterator[str]:
    for node, name, _ in _met(tree):
        del node
        yield name
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield from (each.name for each in node.names)
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Name):
            yield node.id


def _foreign_bases(body: ast.ClassDef, tree: ast.Module) -> Iterator[type]:
    """The bases of a class that come from one of the libraries."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {each.asname or each.name.partition(".")[0]: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            known |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    for base in body.bases:
        first, _, rest = ast.unparse(base).partition("[")[0].partition(".")
        dotted = f"{known.get(first, '')}{'.' if rest else ''}{rest}"
        if dotted.partition(".")[0] in LIBRARIES:
            module, _, name = dotted.rpartition(".")
            yield getattr(importlib.import_module(module), name)
