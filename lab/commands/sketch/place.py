"""Where a generated file goes, and by which name it is then imported."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UsageError
from lab.scenario.project import DEFAULT_PACKAGE
from lab.scenario.pyproject import project_root, settings
from lab.scenario.whereabouts import whereabouts_of

__all__ = ["Target", "root_of", "target_for"]


@dataclass(frozen=True, slots=True)
class Target:
    """A file that is not there yet, and its module."""

    file: Path
    module: str


def root_of(module: str) -> Path:
    """The folder that a module's scenario belongs to: the nearest of the project around it and the working folder."""
    file = whereabouts_of(module.partition(".")[0]).file
    roots = sorted({Path.cwd().resolve(), project_root()}, key=lambda each: -len(each.parts))
    return next((each for each in roots if file and Path(file).resolve().is_relative_to(each)), Path.cwd().resolve())


def target_for(name: str, root: Path) -> Target:
    """Where the scenario of this name goes: into the project's package of scenarios, else beside its packages.

    Raises `UsageError` if it is there already.
    """
    for package in (*settings().scenarios, DEFAULT_PACKAGE):
        place = whereabouts_of(package)
        folder = Path(place.file).parent if Path(place.file).name == "__init__.py" else Path(place.file)
        if place.file and place.kind == "project" and folder.is_dir() and folder.resolve().is_relative_to(root):
            return _free(Target(folder / f"{name}.py", f"{package}.{name}"))
    if importlib.util.find_spec(DEFAULT_PACKAGE) is None:
        return _free(Target(root / DEFAULT_PACKAGE / f"{name}.py", f"{DEFAULT_PACKAGE}.{name}"))
    return _free(Target(root / f"scenario_{name}.py", f"scenario_{name}"))  # another `scenarios` stands before it


def _free(target: Target) -> Target:
    if target.file.exists():
        raise UsageError(
            f"{target.file} is there already and stays as it is; `lab hunt {target.module}:…` searches it, or take it "
            "away to have it written anew"
        )
    return target
