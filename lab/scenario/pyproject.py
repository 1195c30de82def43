"""What a project says of itself: the table `[tool.lab]` of its pyproject.toml, and where its modules are found.

The table is that of the nearest pyproject.toml upwards, so a project inside another's folder has nothing of that one's.
Every value may be given on the command line or by the environment instead, which go before it.
"""

from __future__ import annotations

import difflib
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import UsageError

__all__ = ["Settings", "find_modules", "project_root", "settings"]

FILE = "pyproject.toml"
_ROOTS = (FILE, "setup.py", "setup.cfg")
"""What lies in the folder from which a project's packages are found. Not `.git`: a repository may hold many."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The table, with None or nothing for what it leaves out."""

    file: str = ""
    """Where it stands; "" if there is none."""
    scenarios: tuple[str, ...] = ()
    """Packages or modules that hold scenarios."""
    url: str | None = field(default=None, repr=False)
    postgres: int | None = None
    executions: int | None = None
    scheduler: str | None = None
    workers: int | str | None = None
    keep: bool | None = None
    """Whether hunts, and what tests find, are kept in `.lab/`; None: hunts are, tests outside CI."""
    databases: Mapping[str, str] = field(default_factory=dict)
    """Name in URLs -> `module:attribute` of the metadata, or "": for scenarios that say nothing of tables."""
    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Scenario, module or package -> `scheduler`, and `options` where it has some: what `lab tune` advises."""

    def tuned_for(self, target: str) -> tuple[str, str, Mapping[str, int]] | None:
        """What `tuned` says for a scenario (`module:Class`): its key, the scheduler and its options. None: nothing.

        The scenario itself goes before its module, and that before the packages around it.
        """
        names = [target, target.partition(":")[0]]
        while "." in names[-1]:
            names.append(names[-1].rpartition(".")[0])
        key = next((name for name in names if name in self.tuned), None)
        return None if key is None else (key, self.tuned[key]["scheduler"], self.tuned[key].get("options", {}))


def settings(start: Path | None = None) -> Settings:
    """What the project around a folder says; by default around the working folder.

    Raises `UsageError` for a table that has a key of no meaning or a value of the wrong type.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        file = folder / FILE
        if file.is_file():
            table = _table(file)
            return Settings() if table is None else _read(file, table)
    return Settings()


def project_root(start: Path | None = None) -> Path:
    """The nearest folder upwards from which a project's packages are found, else the folder itself."""
    here = (start or Path.cwd()).resolve()
    return next((each for each in (here, *here.parents) if any((each / name).is_file() for name in _ROOTS)), here)


def find_modules() -> None:
    """Let modules be imported from the working folder, then from the project around it, with a `src` folder in each."""
    here = Path.cwd()
    folders = dict.fromkeys(each for root in (here, project_root()) for each in (root, root / "src") if each.is_dir())
    first = str(here)
    sys.path[:] = [first, *(each for each in sys.path if each != first)]
    sys.path[1:1] = [str(each) for each in folders if str(each) not in sys.path]


def _table(file: Path) -> object:
    """What stands under `[tool.lab]`, or None."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("lab")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from None


def _read(file: Path, table: object) -> Settings:
    if not isinstance(table, dict):
        raise UsageError(f"{file}: tool.lab = {table!r}; it is a table, [tool.lab]")
    for key, value in table.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(f"{file}: [tool.lab] has a key {key!r}; {hint}known are {', '.join(_KEYS)}")
        right, expected = _KEYS[key]
        if not right(value):
            raise UsageError(f"{file}: [tool.lab] has {key} = {value!r}; it is {expected}")
    return Settings(str(file), **{**table, "scenarios": tuple(table.get("scenarios", ()))})


def _is_number(value: object) -> bool:
    return type(value) is int and value > 0


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(each) for each in value)


def _are_tuned(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, dict) and _is_tuned(each) for each in value.values())


def _is_tuned(value: Mapping[str, object]) -> bool:
    options = value.get("options", {})
    whole = isinstance(options, dict) and all(type(each) is int and each >= 0 for each in options.values())
    return whole and _is_text(value.get("scheduler")) and not value.keys() - {"scheduler", "options"}


def _are_databases(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


_KEYS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "scenarios": (_are_names, 'a list of packages or modules, as in ["shop.scenarios"]'),
    "url": (_is_text, "the URL of a server, as a text"),
    "postgres": (_is_number, "the major version of the embedded server, as a number"),
    "executions": (_is_number, "a whole number, 1 or more"),
    "scheduler": (_is_text, "the name of a scheduler"),
    "workers": (lambda value: _is_number(value) or value == "auto", 'a whole number, 1 or more, or "auto"'),
    "keep": (lambda value: isinstance(value, bool), "true or false"),
    "databases": (
        _are_databases,
        'a table of names in URLs and where their metadata is, as in {shop = "shop.models:Base.metadata"}',
    ),
    "tuned": (
        _are_tuned,
        'a table of targets and packages, as in {"races:Transfer" = {scheduler = "pct", options = {depth = 2}}}',
    ),
}
"""Key -> whether a value is right, and what it is."""
