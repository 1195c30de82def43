"""Finds which packages hold the scenarios of a project, and their files. Nothing is imported, so nothing is run.

It loads little: the completion of targets in a shell must not take the second that SQLAlchemy takes.
"""

from __future__ import annotations

from pathlib import Path

from lab.scenario.pyproject import project_root, settings
from lab.scenario.sources import files_of, modules_of_project
from lab.scenario.whereabouts import whereabouts_of

__all__ = ["DEFAULT_PACKAGE", "no_scenarios", "packages_of_project", "places_of_project"]

DEFAULT_PACKAGE = "scenarios"
"""What is looked into where a project does not say which packages hold its scenarios."""


def packages_of_project() -> list[str]:
    """The packages and modules that hold the scenarios of the project around the working folder.

    Those that `[tool.lab]` names; else the package `scenarios`, if the project has one; else the modules whose source
    declares a scenario. Nothing is imported.
    """
    if stated := settings().scenarios:
        return list(stated)
    if whereabouts_of(DEFAULT_PACKAGE).kind == "project" and any(
        file.suffix == ".py" for _, file in places_of(DEFAULT_PACKAGE)
    ):
        return [DEFAULT_PACKAGE]
    roots = dict.fromkeys((Path.cwd(), project_root()))
    return next((found for root in roots if (found := modules_of_project(root))), [])


def places_of_project() -> list[tuple[str, Path]]:
    """(module, file) of all that may hold scenarios of the project."""
    return [each for package in packages_of_project() for each in places_of(package)]


def places_of(package: str) -> list[tuple[str, Path]]:
    """(module, file) of a package and all that is in it; nothing if there is none."""
    file = whereabouts_of(package).file
    return list(files_of(package, Path(file))) if file else []


def no_scenarios() -> str:
    """The sentence about a project without scenarios: where they were looked for, and what to do."""
    stated = settings()
    looked = (
        f"[tool.lab] in {stated.file} names {', '.join(stated.scenarios)}"
        if stated.scenarios
        else f"no package {DEFAULT_PACKAGE!r} and no other module in {project_root()} declares one"
    )
    return (
        f"no scenarios here: {looked}; `lab init` writes a first one, `lab demo` hunts those that ship with the lab, "
        "and a target elsewhere is given as module:Class"
    )
