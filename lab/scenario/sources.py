"""Reads which scenarios a project declares off its source text: nothing is imported, so nothing is run.

For the completion of targets in a shell, which must not take the second that imports take, and to find modules with
scenarios where nobody has said which they are. What is read is a hint: a target is resolved by importing its module.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ClassSource", "declared", "files_of", "modules_of_project", "project_files"]

_SKIPPED = {"node_modules", "site-packages", "__pycache__", "build", "dist"}
_TESTS = re.compile(r"(test_.*|.*_test|conftest)\.py")
MOST_FILES = 4000
"""How many files of a project are looked at; more are hardly one project's own code."""


@dataclass(frozen=True, slots=True)
class ClassSource:
    """A class as its source has it."""

    module: str
    name: str
    bases: tuple[str, ...]
    """The last part of each name."""
    has_actor: bool


def project_files(root: Path) -> Iterator[tuple[str, Path]]:
    """(module name, file) of every Python file of a project that is no test; a `src` folder is no part of the name."""
    number = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            each
            for each in folders
            if each not in _SKIPPED and not each.startswith(".") and not Path(folder, each, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if not name.endswith(".py") or _TESTS.fullmatch(name):
                continue
            parts = Path(folder, name).relative_to(root).with_suffix("").parts
            parts = parts[1:] if parts[0] == "src" else parts
            parts = parts[:-1] if parts[-1:] == ("__init__",) else parts
            if parts and all(each.isidentifier() for each in parts):
                number += 1
                if number > MOST_FILES:
                    return
                yield ".".join(parts), Path(folder, name)


def files_of(module: str, place: Path) -> Iterator[tuple[str, Path]]:
    """(module name, file) of a module, or of a package with all that is in it. `place`: its file or folder."""
    folder = place.parent if place.name == "__init__.py" else place
    if not folder.is_dir():
        yield module, place
        return
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if all(each.isidentifier() for each in parts):
            yield ".".join((module, *parts)), file


def modules_of_project(root: Path) -> list[str]:
    """The modules of a project that declare scenarios."""
    return list(dict.fromkeys(each.module for each in declared(project_files(root))))


def declared(files: Iterable[tuple[str, Path]]) -> list[ClassSource]:
    """The scenarios with actors that files declare, in order: classes that derive from one named Scenario."""
    classes = [each for module, file in files for each in _classes(module, file)]
    kinds, acting = {"Scenario"}, {each.name for each in classes if each.has_actor}
    while True:
        more = {each.name for each in classes if kinds & {*each.bases}} - kinds
        acts = {each.name for each in classes if acting & {*each.bases}} - acting
        if not more and not acts:
            break
        kinds |= more
        acting |= acts
    return [
        each
        for each in classes
        if each.name in kinds and each.name in acting and kinds & {*each.bases} and not each.name.startswith("_")
    ]


def _classes(module: str, file: Path) -> Iterator[ClassSource]:
    try:
        text = file.read_text(encoding="utf-8")
        if "lab" not in text or "class " not in text:
            return
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return  # whoever imports it says so
    if not any(_is_of_lab(node) for node in tree.body):
        return
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = tuple(name for each in node.bases if (name := _last(each)))
            yield ClassSource(module, node.name, bases, any(_is_actor(each) for each in node.body))


def _is_of_lab(node: ast.stmt) -> bool:
    """Whether a statement imports the lab, or anything that may have scenarios to derive from."""
    if isinstance(node, ast.Import):
        return any(alias.name.partition(".")[0] == "lab" for alias in node.names)
    return isinstance(node, ast.ImportFrom) and (
        (node.module or "").partition(".")[0] == "lab" or any(alias.name == "Scenario" for alias in node.names)
    )


def _is_actor(node: ast.stmt) -> bool:
    return isinstance(node, ast.AsyncFunctionDef) and any(
        _last(each.func if isinstance(each, ast.Call) else each) == "actor" for each in node.decorator_list
    )


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
