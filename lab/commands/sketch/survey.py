"""Looks through the source of a project for what can be called in a scenario. Nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab.scenario.sources import project_files

__all__ = ["Survey", "surveyed"]

_APPLICATIONS = {"FastAPI", "Starlette", "Litestar", "Quart"}
_SESSIONS = {"AsyncSession", "async_sessionmaker"}
_WRITES = {"add", "add_all", "update", "insert", "delete", "commit", "merge", "begin"}
_SCRIPTS = ("migrations", "alembic", "tests", "scripts", "docs")


@dataclass(slots=True)
class Survey:
    """What there is, by its place."""

    files: int = 0
    tops: frozenset[str] = frozenset()
    """The first part of the name of each module, without scripts and tests."""
    services: list[str] = field(default_factory=list)
    """Modules with coroutine functions that take a session, those first that write most."""
    applications: list[str] = field(default_factory=list)
    """`module:name` of ASGI applications."""
    tables: list[str] = field(default_factory=list)
    """Modules that declare tables."""
    lasting: str = ""
    """The module in which sessions are made whose objects outlast a commit (`expire_on_commit=False`)."""
    migrations: str = ""
    """The folder of Alembic's scripts."""
    migrations_take_a_connection: bool = False
    """Whether they run on one that is given as `config.attributes["connection"]`."""


def surveyed(root: Path, within: str = "") -> Survey:
    """A look through the files of a project, or of one package of it. Tests are left out."""
    found, services = Survey(), list[tuple[int, str]]()
    for module, file in project_files(root):
        if file.name == "env.py" and (file.parent / "versions").is_dir():
            found.migrations = str(file.parent)
            found.migrations_take_a_connection = "attributes" in file.read_text(errors="replace")
        top = module.partition(".")[0]
        inside = module == within or module.startswith(f"{within}.") if within else True
        if top not in _SCRIPTS and inside and (tree := _tree(file)) is not None:
            found.files += 1
            found.tops |= {top}
            _take(found, services, module, tree)
    found.services = [module for _, module in sorted(services, key=lambda each: -each[0])]
    return found


def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None


def _take(found: Survey, services: list[tuple[int, str]], module: str, tree: ast.Module) -> None:
    """Add what one module has."""
    if _lasting(tree):
        found.lasting = module
    found.applications += [f"{module}:{name}" for name in _applications(tree)]
    if _declares_tables(tree):
        found.tables.append(module)
    if worth := _worth(tree):
        services.append((worth, module))


def _lasting(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.keyword)
        and node.arg == "expire_on_commit"
        and isinstance(node.value, ast.Constant)
        and node.value.value is False
        for node in ast.walk(tree)
    )


def _applications(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Call) and _last(value.func) in _APPLICATIONS:
            yield from (each.id for each in targets if isinstance(each, ast.Name))


def _declares_tables(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id == "__tablename__")
        or (isinstance(node, ast.Call) and _last(node.func) == "Table")
        or (isinstance(node, ast.keyword) and node.arg == "table")
        for node in ast.walk(tree)
    )


def _worth(tree: ast.Module) -> int:
    """How much the functions of a module that take a session, or make one, write; 0 if there is no such function."""
    best = 0
    for node in tree.body:
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
            names = {_last(each) for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute)}
            arguments = {each.arg for each in [*node.args.args, *node.args.kwonlyargs]}
            if names & _SESSIONS or arguments & {"session", "db"} or any("session" in each.lower() for each in names):
                writes = sum(
                    _last(each) in _WRITES for each in ast.walk(node) if isinstance(each, ast.Attribute | ast.Name)
                )
                yields = any(isinstance(each, ast.Yield) for each in ast.walk(node))
                best = max(best, 0 if yields else 1 + writes)
    return best


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
