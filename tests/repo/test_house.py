"""The house of docs/architecture.md: which way imports may run, how high it is, how long files and functions may be.

What a folder may import stands in its own `__init__.py`, in a line that begins with "May import:". A folder inside
another without such a line keeps to the line of the folder around it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

import lab

HOUSE = Path(lab.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))
SHELLS = {"cli", "pytest_plugin", "testing"}
"""Files at the top level that may import every room; no room imports them."""

IMPURE = {"asyncio", "asyncpg", "sqlalchemy", "anyio", "time", "datetime", "socket", "threading", "subprocess"}
MAY = {"model": {"datetime"}}
"""A moment is a value; only to ask for the present one is impure, and ruff's DTZ rules see that."""
DATABASE = {"asyncpg", "sqlalchemy"}
PURE = {"model", "analysis", "schedulers", "checkers", "report"}

MOST_ENTRIES = 18
MOST_LAYERS = 11
LONGEST_FILE = 300
LONGEST_FUNCTION = 45


def name_of(path: Path) -> str:
    """The dotted name of a file after `lab.`; "" for the package itself."""
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    """The room in which a module lives: the first part of its name after `lab.`."""
    return name.partition(".")[0]


MODULES = {name_of(path): path for path in FILES}
ROOMS = sorted({room_of(name) for name in MODULES if (HOUSE / room_of(name)).is_dir()} - {""})


def stated(folder: Path) -> set[str]:
    """What the `__init__.py` of a folder says that files in it may import."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    lines = [line for line in text.splitlines() if line.startswith("May import:")]
    assert len(lines) == 1, f"{folder.name}/__init__.py says once, in a line of its own, what may be imported there"
    return {each.strip() for each in lines[0].removeprefix("May import:").strip(" .").split(",")} - {"nothing"}


def imports(path: Path, *, typing: bool = True) -> Iterator[tuple[str, int]]:
    """Every module that a file names in an import, wherever in the file, with the line."""
    tree = ast.parse(path.read_text())
    skipped = set() if typing else {id(node) for block in _type_checking(tree) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are absolute, so that they can be read"
            module = node.module or ""
            inside = [f"{module}.{alias.name}" for alias in node.names]
            submodules = [each for each in inside if each.removeprefix("lab.") in MODULES]
            yield from ((each, node.lineno) for each in submodules or [module])


def _type_checking(tree: ast.Module) -> list[ast.If]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]


def wrong_arrows(path: Path, allowed: set[str]) -> list[str]:
    """The imports of a file that leave its room for one that the room may not import."""
    own = room_of(name_of(path))
    return [
        f"{path.relative_to(HOUSE)}:{line}: {own} may not import {module}"
        for module, line in imports(path)
        if module.startswith("lab.") and room_of(module.removeprefix("lab.")) not in {own, *allowed}
    ]


def arrows() -> nx.DiGraph:
    """Module -> module that it imports, inside the house; without the package's own lazy table of names."""
    graph = nx.DiGraph()
    for name, path in MODULES.items():
        graph.add_node(name)
        for module, _ in imports(path):
            if module.startswith("lab.") and module.removeprefix("lab.") in MODULES and name:
                graph.add_edge(name, module.removeprefix("lab."))
    return graph


@pytest.mark.parametrize("path", [each for each in FILES if room_of(name_of(each)) in ROOMS], ids=name_of)
def test_imports_run_one_way(path):
    assert not (wrong := wrong_arrows(path, stated(HOUSE / room_of(name_of(path))))), "\n".join(wrong)


def test_no_room_imports_a_shell():
    assert not SHELLS & {each for room in ROOMS for each in stated(HOUSE / room)}


def rooms_graph() -> nx.DiGraph:
    """Room -> room that it may import, as the rooms themselves say."""
    graph = nx.DiGraph((room, each) for room in ROOMS for each in stated(HOUSE / room))
    graph.add_edges_from((shell, room) for shell in SHELLS for room in ROOMS)
    return graph


def test_what_the_rooms_may_import_has_no_circle_and_few_layers():
    graph = rooms_graph()
    assert nx.is_directed_acyclic_graph(graph)
    assert nx.dag_longest_path_length(graph) + 1 <= MOST_LAYERS, nx.dag_longest_path(graph)


def test_every_arrow_that_is_allowed_is_used():
    """So that no arrow can be turned without a word: turned round, it is neither used nor allowed."""
    used = {(room_of(a), room_of(b)) for a, b in arrows().edges if room_of(a) != room_of(b)}
    unused = [(room, each) for room in ROOMS for each in stated(HOUSE / room) if (room, each) not in used]
    assert not unused, f"stated in `__init__.py` and not used: {unused}"


def test_turning_any_one_arrow_is_noticed():
    """For every arrow between two rooms: the arrow in the other direction is refused."""
    allowed = {room: stated(HOUSE / room) for room in ROOMS}
    both = [(a, b) for a in ROOMS for b in allowed[a] if a in allowed.get(b, ())]
    assert not both


def test_files_import_each_other_in_no_circle():
    """A folder's `__init__.py` that hands out names of its own files is left aside: it imports them, they never it."""
    circles = [sorted(each) for each in nx.strongly_connected_components(arrows()) if len(each) > 1]
    assert not circles


def test_the_house_has_few_doors_and_no_name_too_often():
    entries = [each.name for each in HOUSE.iterdir() if each.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)
    names = Counter(path.name for path in FILES if path.name != "__init__.py")
    assert not {name: number for name, number in names.items() if number > 2}


@pytest.mark.parametrize("path", [each for each in FILES if room_of(name_of(each)) in PURE], ids=name_of)
def test_values_and_what_is_computed_from_them_know_no_loop_no_database_and_no_clock(path):
    known = IMPURE - MAY.get(room_of(name_of(path)), set())
    met = [f"{module} in line {line}" for module, line in imports(path, typing=False) if module.split(".")[0] in known]
    assert not met, f"{path.relative_to(HOUSE)} is to be pure and imports {', '.join(met)}"


@pytest.mark.parametrize("path", [each for each in FILES if room_of(name_of(each)) == "engine"], ids=name_of)
def test_the_engine_knows_no_database(path):
    """What it needs of one comes through `engine/ports.py`, so that another could stand behind it."""
    met = [f"{module} in line {line}" for module, line in imports(path) if module.split(".")[0] in DATABASE]
    assert not met, f"{path.relative_to(HOUSE)} imports {', '.join(met)}"


def test_errors_import_nothing():
    assert [module for module, _ in imports(HOUSE / "errors.py")] == ["__future__"]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    long = [
        f"{node.name}, {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert not long, f"{path.relative_to(HOUSE)}: {'; '.join(long)}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text())), path


def test_importing_the_package_loads_neither_database_nor_loop():
    """The plugin is loaded in every pytest run, also those that have nothing to do with the lab."""
    heavy = ("asyncpg", "sqlalchemy", "hypothesis", "anyio")
    script = f"import lab, sys; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=HOUSE.parent)
    assert done.stdout.strip() == ""
