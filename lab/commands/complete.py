"""Completes targets in a shell: read off the source text of the project, so that nothing is imported or started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click

from lab.errors import LabError

__all__ = ["complete_application", "complete_module", "complete_shipped", "complete_target"]


def complete_target(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Short names of the project's scenarios, where they are unique; with a dot or a colon, whole targets."""
    from lab.scenario.project import places_of_project

    return _completed(_quietly(places_of_project), incomplete)


def complete_shipped(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The same for the scenarios that ship with the lab."""
    from lab.scenario.shipped import shipped_places

    return _completed(_quietly(shipped_places), incomplete)


def complete_module(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Modules of the project."""
    from lab.scenario.pyproject import project_root
    from lab.scenario.sources import project_files

    return sorted({name for name, _ in project_files(project_root()) if name.startswith(incomplete)})


def complete_application(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """ASGI applications of the project, as `module:name`."""
    from lab.commands.sketch.survey import surveyed
    from lab.scenario.pyproject import project_root

    return sorted(each for each in surveyed(project_root()).applications if each.startswith(incomplete))


def _quietly(find: Callable[[], list[tuple[str, Path]]]) -> list[tuple[str, Path]]:
    try:
        return find()
    except (LabError, OSError):  # a shell that completes has no place for a sentence; the command will say it
        return []


def _completed(places: list[tuple[str, Path]], incomplete: str) -> list[str]:
    from lab.scenario.sources import declared

    found = declared(places)
    if "." in incomplete or ":" in incomplete:
        names = [f"{each.module}:{each.name}" for each in found]
    else:
        times = Counter(each.name for each in found)
        names = [name for name in times if times[name] == 1]
    return sorted(name for name in names if name.startswith(incomplete))
