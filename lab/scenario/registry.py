"""Finds scenarios: by target, by short name, or all there are in a package."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from lab.errors import Interrupted, UsageError, first_line
from lab.scenario.declare import Scenario, actors_of, target_of
from lab.scenario.folders import folders_of, project_folder, python_path
from lab.scenario.project import no_scenarios, packages_of_project
from lab.scenario.validation import validate

__all__ = ["discover", "does_not_import", "imported", "instance_of", "resolve"]

_FOREIGN = ("<", f"{Path(os.__file__).parent}/", f"{Path(__file__).parents[1]}/")
"""Where the names of files begin that are not the user's: Python's own, and the lab's."""
_INSTALLED = re.compile(r"/(?:site|dist)-packages/")


def discover(package: str | None = None) -> list[type[Scenario]]:
    """Every scenario with actors in a package or module, in order of definition; by default the project's.

    Raises `UsageError` if there is no such package or one of its modules does not import, or the project has none.
    """
    if package is not None:
        return _discovered(package)
    found = {cls: None for name in packages_of_project() for cls in _discovered(name)}
    if not found:
        raise UsageError(no_scenarios())
    return list(found)


def _discovered(package: str) -> list[type[Scenario]]:
    root = imported(package)
    names = [package]
    if hasattr(root, "__path__"):
        names += sorted(module.name for module in pkgutil.walk_packages(root.__path__, f"{package}."))
    return [cls for name in names for cls in _scenarios_in(imported(name))]


def resolve(target: str) -> type[Scenario]:
    """The scenario class for `module:Class`, or for a short name that is unique in the project.

    Raises `UsageError` that names the nearest targets.
    """
    module_name, colon, class_name = target.partition(":")
    if not colon:
        return _by_short_name(target)
    if module_name.endswith(".py"):
        module_name = ".".join(Path(module_name).with_suffix("").parts)
        class_name = class_name.removeprefix(":")  # as pytest writes it
    found: object = imported(module_name)
    for part in class_name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type) and issubclass(found, Scenario):
        return found
    if class_name and found is not None:
        raise UsageError(f"{target} is not a scenario: it does not derive from lab.Scenario")
    near = _near(class_name, _scenarios_in(imported(module_name)), module_name)
    raise UsageError(f"no scenario {class_name!r} in {module_name}{near}")


def instance_of(target: str, parameters: Mapping[str, Any] = MappingProxyType({})) -> Scenario:
    """The scenario of a target, by default with its default parameters.

    Raises `UsageError` if it cannot be made or run.
    """
    cls = resolve(target)
    validate(cls)
    try:
        return cls(**parameters)
    except Interrupted:
        raise
    except BaseException as error:
        hint = "; give every parameter a default" if isinstance(error, TypeError) else ""
        raise UsageError(f"{target_of(cls)} cannot be made without arguments: {first_line(error)}{hint}") from error


def _by_short_name(name: str) -> type[Scenario]:
    known = discover()
    matches = [cls for cls in known if cls.__qualname__ == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"{name} is ambiguous: {', '.join(target_of(cls) for cls in matches)}")
    module = name.removesuffix(".py").replace("/", ".")
    inside = [target_of(cls) for cls in known if cls.__module__ == module]
    if inside or os.path.isfile(f"{module.replace('.', '/')}.py"):  # noqa: PTH113 - what is no path is no file either
        such = inside[0] if inside else f"{module}:NAME"
        raise UsageError(f"{name} is a module; name a scenario of it, such as {such}{_near('', (), module)}")
    raise UsageError(f"no scenario named {name!r}{_near(name, known)}")


def _near(name: str, known: Iterable[type[Scenario]], package: str = "") -> str:
    targets = {cls.__qualname__.lower(): target_of(cls) for cls in known}
    near = difflib.get_close_matches(name.lower(), targets, n=3, cutoff=0.5)
    if near:
        return f"; did you mean {' or '.join(targets[each] for each in near)}?"
    return f"; `{f'lab list {package}'.strip()}` lists the scenarios"


def _scenarios_in(module: ModuleType) -> list[type[Scenario]]:
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Scenario)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
        and actors_of(value)
    ]


def imported(name: str) -> ModuleType:
    """The module of this name, also one that only pytest would find. Raises `UsageError`."""
    if not all(name.split(".")):
        raise UsageError(f"{name!r} is not a module name; expected module:Class")
    try:
        _make_findable(name.partition(".")[0])
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            where = "" if name == error.name else f" (there is no {error.name})"
            raise UsageError(f"no module named {name!r}{where}; run the lab from the folder that holds it") from None
        raise does_not_import(name, error) from error
    except Interrupted:
        raise
    except BaseException as error:
        raise does_not_import(name, error) from error


def _make_findable(package: str) -> None:
    """Put on the search path what pytest would put there, for a module of the project and for what it imports."""
    if package in sys.modules:
        return
    found = folders_of(package) if importlib.util.find_spec(package) is None else []
    if found or Path.cwd().resolve() != project_folder():
        sys.path += [str(each) for each in (*found, *python_path()) if str(each) not in sys.path]


def does_not_import(name: str, error: BaseException) -> UsageError:
    """What to say of it: the error, and the last line that is neither Python's nor an installed package's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if not (each.filename.startswith(_FOREIGN) or _INSTALLED.search(each.filename))]
    place = f" ({(own or frames)[-1].filename}:{(own or frames)[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}:{error.lineno})"
    return UsageError(f"module {name} does not import: {first_line(error)}{place}")
