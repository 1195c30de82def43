"""Says where a module lies before it is imported, for names that come from elsewhere: a replay token is such a text.

Importing a module runs it. So a token may name only what its reader would run anyway: modules of the project in which
the lab was started, and installed packages. Not the standard library, in which some modules do things when imported,
and nothing that merely can be found because the search path leads there.
"""

from __future__ import annotations

import site
import sys
import sysconfig
from dataclasses import asdict, dataclass
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions
from pathlib import Path

from lab.errors import UsageError
from lab.scenario.folders import folders_of, project_folder

__all__ = ["Whereabouts", "whereabouts_of"]

_NOWHERE = "__main__"
"""The module of what is run as a program or in a notebook: another one in each process."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A module that was found, but not imported."""

    module: str
    file: str
    """Absolute; a folder for a package without code of its own. "" if there is no such module."""
    kind: str
    """project, installed, or "" for what a token may not name."""

    def insist(self) -> None:
        """Raises `UsageError` for a module that a token may not name. A missing one is the importer's to report."""
        if self.module == _NOWHERE:
            raise UsageError(
                "the token is of a notebook or a script, which no other process can import: give it back to the race "
                "there, as lab.race(…, replay=TOKEN)"
            )
        if self.file and not self.kind:
            raise UsageError(
                f"the token names the module {self.module}, and {self.file} is neither of this project "
                f"({project_folder()}) nor an installed package: it is not imported"
            )

    def shown(self) -> dict[str, str]:
        """As JSON values."""
        return asdict(self)


def whereabouts_of(module: str) -> Whereabouts:
    """Where importing a module would find it. Imports nothing, not even the packages that hold it."""
    if module == _NOWHERE:
        return Whereabouts(module, "", "")
    spec: ModuleSpec | None = None
    path: list[str] | None = None
    parts = module.split(".")
    for number in range(len(parts)):
        spec = _spec(".".join(parts[: number + 1]), path)
        if spec is None and not number:
            spec = PathFinder.find_spec(parts[0], [str(each) for each in folders_of(parts[0])])
        if spec is None:
            return Whereabouts(module, "", "")
        path = list(spec.submodule_search_locations or ())
    assert spec is not None
    file = spec.origin if spec.has_location and spec.origin else next(iter(path or ()), spec.origin or "")
    return Whereabouts(module, file, _kind(parts[0], file))


def _spec(name: str, path: list[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        found = finder.find_spec(name, path)
        if found is not None:
            return found
    return None


def _kind(package: str, file: str) -> str:
    place = Path(file)
    if not place.is_absolute():  # built in, or frozen
        return ""
    place = place.resolve()
    if any(place.is_relative_to(each) for each in _site_folders()):
        return "installed"
    if place.is_relative_to(project_folder()):
        return "project"
    if place.is_relative_to(Path(sysconfig.get_path("stdlib")).resolve()):
        return ""
    return "installed" if package in packages_distributions() else ""


def _site_folders() -> set[Path]:
    names = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    if site.ENABLE_USER_SITE:
        names.add(site.getusersitepackages())
    return {Path(each).resolve() for each in names}
