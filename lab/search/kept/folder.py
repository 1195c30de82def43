"""Where hunts are kept, and whether: the folder `.lab/` beside the pyproject.toml of the project.

This file loads little: a test run asks it at its start, whether it has anything to do with the lab or not.
"""

from __future__ import annotations

import os
from pathlib import Path

from lab.scenario.pyproject import project_root, settings

__all__ = ["FILE", "FOLDER", "SWITCH", "file_of", "keeps", "keeps_of_tests"]

FOLDER = ".lab"
FILE = "hunts.sqlite"
SWITCH = "LAB_NO_KEEP"
"""A variable: with any text, nothing is kept and nothing is looked up."""


def file_of(start: Path | None = None) -> Path:
    """The file of the project around a folder, by default the working folder; it need not be there."""
    return project_root(start) / FOLDER / FILE


def keeps(start: Path | None = None) -> bool:
    """Whether hunts of this project are kept where no option says so. Raises `UsageError` for a wrong `[tool.lab]`."""
    return not os.environ.get(SWITCH) and settings(start).keep is not False


def keeps_of_tests(start: Path | None = None) -> bool:
    """The same for tests. In CI nothing is, as with Hypothesis's examples, unless `[tool.lab]` says `keep = true`.

    What a machine in CI writes is gone with it, and where it is not (a cache), a red run should not make the next one
    red.
    """
    return keeps(start) and (not os.environ.get("CI") or settings(start).keep is True)
