"""The embedded server.

It belongs to the processes that use it. Each holds the writing end of a named pipe; the keeper (see `keeper`) ends
server and folder when the last one is gone. A server of one's own costs about a tenth of a second, so every run has
one and nothing is carried over from run to run.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from lab.engine.ports import ServerClock
from lab.engine.watchdog import hurried
from lab.errors import ServerError
from lab.postgres.server import keeper
from lab.postgres.server.clock import MovedClock, clock_library
from lab.postgres.server.folders import owned_folder, remove_abandoned
from lab.postgres.server.install import Account, Install, prepared, prepared_anew
from lab.postgres.server.server import Server
from lab.postgres.server.settings import SELF_CONTAINED, SETTINGS, SETTINGS_SINCE
from lab.postgres.server.versions import DEFAULT_VERSION

__all__ = ["embedded_server", "joined_server", "shared_server"]

LONGEST_SOCKET_FOLDER = 70
"""A socket path has room for 103 bytes at least, and some 30 of them are ours."""

LEAVING_SECONDS = 10.0
HURRIED_SECONDS = 0.2
"""How long a lab that was asked to end waits for its keeper, which clears away by itself."""

FOR_PYTHON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""All that the keeper needs of our environment, where secrets may be."""

MEMORY = "/dev/shm"  # noqa: S108 - mkdtemp makes a folder of our own in it
ROOMY = 1 << 30
"""Bytes that must be free there: in a container it may be as small as 64 MB, and a server needs some 60."""


def embedded_server(version: int = DEFAULT_VERSION, *, clock: bool = True) -> Server:
    """Start a server of one's own. Raises `ServerError` if it does not come up.

    Its clock can be moved where the extra is installed, unless `clock` is false.
    """
    try:
        install = prepared(version)
        library = clock_library(install.account) if clock else None
        bases = _bases(install.account)
        remove_abandoned(bases)
    except OSError as error:
        raise _did_not_start(error) from error
    try:
        return _with_or_without(install, version, bases[0], library)
    except ServerError:
        if hurried():
            raise
    # What a list of the template does not show may keep it from starting: once more, with one made anew.
    with contextlib.ExitStack() as undo:
        with prepared_anew(version, install) as renewed:
            server = undo.enter_context(_with_or_without(renewed, version, bases[0], library))
        undo.pop_all()
        return server


def _with_or_without(install: Install, version: int, base: str, library: Path | None) -> Server:
    try:
        return _in_a_folder(install, version, base, library)
    except ServerError:
        if library is None:
            raise
        return _in_a_folder(install, version, base, None)  # the library may be what keeps it from starting


def _in_a_folder(install: Install, version: int, base: str, library: Path | None) -> Server:
    try:
        folder, owned = owned_folder(base)
    except OSError as error:
        raise _did_not_start(error) from error
    try:
        return _started(install, version, folder, owned, library)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise _did_not_start(error) from error
        raise
    finally:
        os.close(owned)  # those who use it have descriptors of their own, with the same lock


def shared_server(rendezvous: Path, version: int = DEFAULT_VERSION) -> Server:
    """One server for several processes: the first to come starts it, the others join it.

    `rendezvous` is an existing folder of the callers' own. The server ends with the last of them.
    """
    with Path(rendezvous, "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = Path(rendezvous, "server.json")
        # No server yet, its keeper is gone, or a process was killed while it wrote.
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            found = json.loads(place.read_text())
            folder = Path(found["folder"])
            held = os.open(folder / "alive", os.O_WRONLY | os.O_NONBLOCK)
            running = _Running(None, held, found["pid"], folder)
            close = contextlib.ExitStack()
            close.callback(running.leave)
            return _server(found["version"], folder, running, close)
        server = embedded_server(version, clock=False)  # each process has a clock of its own
        place.write_text(json.dumps({"folder": str(server.folder), "pid": server.pid, "version": version}))
        return server


def _did_not_start(error: OSError) -> ServerError:
    return ServerError(f"the embedded server did not start: {error}")


def _started(install: Install, version: int, folder: Path, owned: int, library: Path | None) -> Server:
    account = install.account
    if account.user is not None:
        folder.chmod(0o711)  # the server's account passes through it to its own two folders
    sockets, data, pipe = folder / "s", folder / "data", folder / "alive"
    for own in (sockets, data):
        own.mkdir()
        account.own(own)
    os.mkfifo(pipe, 0o600)
    # Both ends for now: opening does not wait for the keeper, and the keeper sees no end before we hold ours.
    both = os.open(pipe, os.O_RDWR)
    try:
        clock = None if library is None else MovedClock(folder, library)
        options = {"unix_socket_directories": '"{}"'.format(str(sockets).replace('"', '""'))}
        if clock is not None:
            options["log_line_prefix"] = "%n "  # when it was said, in seconds
        keeping = _keeper(
            owned,
            command=_command(install, version, data, options),
            folder=str(folder),
            pipe=str(pipe),
            data=str(data),
            template=str(install.template),
            user=account.user,
            group=account.group,
            environment={} if clock is None else clock.environment,
        )
        running = _Running(keeping, os.open(pipe, os.O_WRONLY), folder=folder, owned=owned)
    finally:
        os.close(both)
    close = contextlib.ExitStack()
    close.callback(running.leave)
    try:
        running.become_ready()
    except ServerError:
        close.close()
        raise
    if clock is not None:
        moved = clock.is_moved(running.said)
        clock.run_ahead(0)
        clock = clock if moved else None
    return _server(version, folder, running, close, clock)


def _command(install: Install, version: int, data: Path, options: Mapping[str, str]) -> list[str]:
    settings = {**SETTINGS, **SETTINGS_SINCE.get(version, {}), **options}
    given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(install.programs / "bin" / "postgres"), "-D", str(data), *given]


class _Running:
    """A server that runs, seen from the process that started its keeper."""

    def __init__(
        self,
        keeping: subprocess.Popen[str] | None,
        pipe: int | None,
        pid: int = 0,
        folder: Path | None = None,
        owned: int | None = None,
    ) -> None:
        self.pid = pid
        self.said = ""
        """The first word of what the server said when it was ready."""
        self._folder = folder
        self._owned = None if owned is None else os.dup(owned)
        self._users = None if folder is None else (folder / "users").open("a")
        if self._users is not None:
            fcntl.flock(self._users, fcntl.LOCK_SH)
        self._keeping = keeping
        self._pipe = pipe

    def become_ready(self) -> None:
        """Wait for the keeper's word. Raises `ServerError`."""
        assert self._keeping is not None
        assert self._keeping.stdout is not None
        word, _, rest = self._keeping.stdout.readline().strip().partition(" ")
        if word != "ready":
            raise ServerError(f"the embedded server did not start: {rest or 'its keeper died'}")
        pid, _, self.said = rest.partition(" ")
        self.pid = int(pid)

    def crash(self) -> None:
        """End the server as a crash does and start it again on the same data; returns when it is ready."""
        assert self._pipe is not None
        os.write(self._pipe, keeper.CRASH)
        self.become_ready()

    def leave(self) -> None:
        """Let go and, as the last one, wait until server and folder are gone."""
        last = self._is_last()
        for held in (self._pipe, self._owned):
            if held is not None:
                os.close(held)
        if self._keeping is not None and self._keeping.stdout is not None:
            self._keeping.stdout.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._keeping.wait((HURRIED_SECONDS if hurried() else LEAVING_SECONDS) if last else 0)
            if self._keeping.returncode is None:
                # It serves others. Should it end before we do, someone has to take its exit status.
                threading.Thread(target=self._keeping.wait, name="lab-keeper", daemon=True).start()
            elif self._keeping.returncode != 0 and self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)  # it was killed, and its server has gone with it

    def _is_last(self) -> bool:
        """Whether no other process uses the server. Each holds a shared lock on one file as long as it does."""
        if self._users is None:
            return True
        with self._users:
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def holds(self, backend: int) -> bool:
        """Whether a process is a backend of this server."""
        return keeper.parent(backend) == self.pid


def _keeper(owned: int, **order: object) -> subprocess.Popen[str]:
    """Start a keeper. It holds the folder's lock as well: the folder is in use as long as either of us lives."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", keeper.__file__, json.dumps(order)],
        env=keeper.ENVIRONMENT | {name: os.environ[name] for name in FOR_PYTHON if name in os.environ},
        pass_fds=[owned],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def joined_server(version: int, folder: Path, pid: int) -> Server:
    """A running embedded server that another process holds. It ends when that process does."""
    return _server(version, folder, _Running(None, None, pid), contextlib.ExitStack())


def _server(
    version: int, folder: Path, running: _Running, close: contextlib.ExitStack, clock: ServerClock | None = None
) -> Server:
    return Server(
        description=f"embedded PostgreSQL {version}",
        connect={**SELF_CONTAINED, "host": str(folder / "s")},
        may_freeze=running.holds,
        pid=running.pid,
        folder=folder,
        version=version,
        crash=running.crash,
        clock=clock,
        on_close=close,
    )


def _bases(account: Account) -> list[str]:
    """Where folders of our own may be made, best first: short enough for a socket, and open to the server's account."""
    places = (*_in_memory(), tempfile.gettempdir(), "/tmp")  # noqa: S108 - mkdtemp makes a folder of our own in it
    short = (base for base in places[:-1] if len(os.fsencode(base)) <= LONGEST_SOCKET_FOLDER)
    return [base for base in short if account.reaches(Path(base))] + [places[-1]]


def _in_memory() -> tuple[str, ...]:
    """A file system in memory, where it is roomy and nobody asked for another place.

    A server is a thousand files, and each reset makes some more. Where making one is slow, that is most of the time.
    """
    if any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        return ()
    try:
        room = os.statvfs(MEMORY)
    except OSError:
        return ()
    roomy = room.f_bavail * room.f_frsize >= ROOMY
    return (MEMORY,) if roomy and os.access(MEMORY, os.W_OK | os.X_OK) else ()
