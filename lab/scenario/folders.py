"""Finds the folder of a project, and in it the folder of a module that Python would not find: a test's, most often.

pytest puts the folder of a test module on the search path, so a `test_shop.py` in a folder `tests` is `test_shop` there
and in tokens.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

from lab.errors import UsageError

__all__ = ["folders_of", "project_folder", "python_path"]

_MARKS = ("pyproject.toml", "setup.cfg", "setup.py", ".git")
"""What lies in the folder of a project."""
_NOT_THERE = {"node_modules", "site-packages", "build", "dist", "__pycache__"}
"""Folders in which nobody keeps tests."""


def project_folder() -> Path:
    """The nearest folder from here upwards that looks like a project's, else the working folder itself."""
    here = Path.cwd().resolve()
    return next((each for each in (here, *here.parents) if any((each / mark).exists() for mark in _MARKS)), here)


def folders_of(name: str) -> list[Path]:
    """The folder that holds a module or package of this name; empty if the project has none.

    Raises `UsageError` where several folders do.
    """
    project = project_folder()
    found = sorted(_holding(name, project))
    if len(found) > 1:
        named = ", ".join(str(each.relative_to(project) / name) for each in found)
        raise UsageError(
            f"the module {name} could be any of {named}; run the lab from the folder that holds the right one"
        )
    return found


def _holding(name: str, project: Path) -> Iterator[Path]:
    for folder, inner, files in os.walk(project):
        inner[:] = [
            each
            for each in inner
            if each not in _NOT_THERE and not each.startswith(".") and not Path(folder, each, "pyvenv.cfg").exists()
        ]
        package = name in inner and Path(folder, name, "__init__.py").exists()
        if package or f"{name}.py" in files:
            yield Path(folder)


def python_path() -> list[Path]:
    """What pytest has as `pythonpath`, and `src`, where there is one; before them the project's own folder."""
    project = project_folder()
    try:
        settings = tomllib.loads((project / "pyproject.toml").read_text())
        stated: object = settings["tool"]["pytest"]["ini_options"]["pythonpath"]
    except (OSError, KeyError, TypeError, ValueError):
        stated = []
    names = stated.split() if isinstance(stated, str) else stated if isinstance(stated, list) else []
    return [project, *(project / str(each) for each in (*names, "src") if (project / str(each)).is_dir())]
