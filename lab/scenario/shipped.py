"""Finds the scenarios that ship with the lab: `lab demo` hunts them, and tokens of them replay anywhere.

They are the package `scenarios` of the checkout, and their tokens name it. In the wheel that package lies inside the
lab's own, in `lab/demo`, where it cannot clash with a user's `scenarios`; a process that runs shipped ones makes that
folder its working folder, so that the name leads there. The alternative, another name in the wheel, would make two
tokens of one bug.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab.errors import UsageError
from lab.scenario.pyproject import find_modules
from lab.scenario.sources import files_of

__all__ = ["SHIPPED", "run_from_shipped", "shipped_folder", "shipped_places", "ships"]

SHIPPED = "scenarios"


def shipped_folder() -> Path:
    """The folder that holds the package of the shipped scenarios. Raises `UsageError` if they are not there."""
    house = Path(__file__).parents[1]
    for folder in (house / "demo", house.parent):
        if (folder / SHIPPED / "transfer.py").is_file():
            return folder
    raise UsageError(f"the shipped scenarios are not in {house / 'demo'}; install concurrency-lab again")


def shipped_places() -> list[tuple[str, Path]]:
    """(module, file) of the shipped scenarios."""
    return list(files_of(SHIPPED, shipped_folder() / SHIPPED))


def ships(module: str) -> bool:
    """Whether a module is one of the shipped scenarios."""
    return any(module == name for name, _ in shipped_places())


def run_from_shipped() -> Path:
    """Let `scenarios` be the shipped package in this process and in those that it starts; returns the folder."""
    folder = shipped_folder()
    os.chdir(folder)
    for name in [each for each in sys.modules if each.partition(".")[0] == SHIPPED]:
        del sys.modules[name]
    find_modules()
    return folder
