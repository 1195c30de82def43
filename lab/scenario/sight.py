"""Finds the tables that functions work on, where nobody names them: the metadata that their modules have in sight.

Who races two functions of a service has imported it, and the service its models. So the modules are searched outwards
from the functions: their own module first, then those that it imports, and so on, but never into an installed library.
The nearest ones that hold metadata with tables decide. Where these are several it is not guessed.
"""

from __future__ import annotations

import functools
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType

from sqlalchemy import MetaData

from lab.errors import ScenarioError

__all__ = ["metadata_in_sight"]

FARTHEST = 6
"""Imports from the module of a function to the models."""


def metadata_in_sight(functions: Iterable[Callable[..., object]]) -> MetaData | None:
    """The metadata with tables that is nearest to the functions; None where none is in sight.

    Raises `ScenarioError` where several are equally near.
    """
    bodies = [_plain(each) for each in functions]
    found = {id(each): (each, "the function") for body in bodies for value in _captured(body) for each in _of(value)}
    modules = {name: sys.modules[name] for body in bodies if (name := _module(body)) in sys.modules}
    known = set(modules)
    for _ in range(FARTHEST):
        found |= {id(each): (each, name) for name, module in modules.items() for each in _held(module)}
        if found or not modules:
            break
        beyond = {name for module in modules.values() for name in _imports(module)} - known
        known |= beyond
        modules = {name: sys.modules[name] for name in beyond if name in sys.modules and _is_own(sys.modules[name])}
    if len(found) > 1:
        named = " and ".join(sorted(f"{_tables(each)} in {name}" for each, name in found.values()))
        raise ScenarioError(f"several metadata are in sight ({named}); say which is meant: metadata=Base.metadata")
    return next((each for each, _ in found.values()), None)


def _plain(body: Callable[..., object]) -> Callable[..., object]:
    while isinstance(body, functools.partial):
        body = body.func
    plain: Callable[..., object] = inspect.unwrap(body)
    return plain


def _module(body: Callable[..., object]) -> str:
    return getattr(body, "__module__", None) or ""


def _captured(body: Callable[..., object]) -> Iterator[object]:
    """What a function has from the functions around it, and the object whose method it is."""
    for cell in getattr(body, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    yield getattr(body, "__self__", None)


def _of(value: object) -> Iterator[MetaData]:
    """The metadata of a value, if it is one, a table or a mapped class, and has tables."""
    held: object = value
    if isinstance(value, type) or type(value).__module__.startswith("sqlalchemy."):
        try:
            held = value if isinstance(value, MetaData) else getattr(value, "metadata", None)
        except Exception:  # noqa: BLE001 - a property of the user's, which then is none
            return
    if isinstance(held, MetaData) and held.tables:
        yield held


def _held(module: ModuleType) -> Iterator[MetaData]:
    for value in list(vars(module).values()):
        yield from _of(value)


def _imports(module: ModuleType) -> Iterator[str]:
    """The modules that a module names, or has something of."""
    for value in list(vars(module).values()):
        name = value.__name__ if isinstance(value, ModuleType) else None
        if isinstance(value, type) or inspect.isfunction(value):
            name = value.__module__
        if isinstance(name, str):
            yield name


@functools.cache
def _libraries() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({f"{Path(sysconfig.get_path(name)).resolve()}/" for name in names})


def _is_own(module: ModuleType) -> bool:
    """Whether a module is neither Python's, nor installed, nor the lab's."""
    file = getattr(module, "__file__", None)
    name = module.__name__
    return (
        file is not None and name.partition(".")[0] != "lab" and not str(Path(file).resolve()).startswith(_libraries())
    )


def _tables(metadata: MetaData) -> str:
    return ", ".join(sorted(metadata.tables)[:3])
