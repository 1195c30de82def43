"""Servers of somebody else: real ones, made from given programs, that the lab meets by URL only."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.postgres.server.install import Account, prepared

DEBIAN = Path("/usr/lib/postgresql/15")
PATIENCE = 30.0


@dataclass(frozen=True)
class Foreign:
    """A server that runs, with its programs."""

    programs: Path
    folder: Path
    account: Account

    def url(self, role: str = "owner", database: str = "postgres", **query: str) -> str:
        """Its URL for a role, by socket."""
        more = "".join(f"&{name}={value}" for name, value in query.items())
        return f"postgresql://{role}@/{database}?host={self.folder}{more}"

    def run(self, program: str, *arguments: str, given: str | None = None) -> str:
        """What one of its programs prints; `given` is its standard input."""
        command = [str(self.programs / "bin" / program), "-h", str(self.folder), "-U", "owner", *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """Run statements one by one; returns unaligned rows. No argument has them: tests look for secrets there."""
        script = "".join(f"{statement};\n" for statement in statements)
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, given=script)


def programs_of(version: int) -> Path | None:
    """Programs of a major version: Debian's 15, the wheel's 16 and 18; None where they are not installed."""
    if version == 15:
        return DEBIAN if (DEBIAN / "bin" / "postgres").exists() else None
    return prepared(version).programs


@contextlib.contextmanager
def foreign_server(
    programs: Path, *, settings: Mapping[str, str] | None = None, before: Callable[[Path], None] = lambda data: None
) -> Iterator[Foreign]:
    """A server with a superuser `owner`, gone after the block. `before` may change its data folder before the start."""
    account = Account.choose()
    folder = Path(tempfile.mkdtemp(prefix="foreign-", dir="/tmp"))
    try:
        folder.chmod(0o711)
        sockets, data = folder / "s", folder / "d"
        sockets.mkdir()
        account.own(sockets)
        (folder / "d").mkdir()
        account.own(data)
        options = ("-A", "trust", "-U", "owner", "-E", "UTF8", "--locale=C", "--no-sync")
        account.run([programs / "bin" / "initdb", *options, "-D", data], cwd=sockets)
        before(data)
        given = {"fsync": "off", "listen_addresses": "", "unix_socket_directories": str(sockets), **(settings or {})}
        command = [str(programs / "bin" / "postgres"), "-D", str(data)]
        command += [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=sockets,
                user=account.user,
                group=account.group,
                extra_groups=None if account.user is None else [],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        server = Foreign(programs, sockets, account)
        try:
            _wait_until_ready(server, process, folder / "log")
            yield server
        finally:
            process.send_signal(3)  # SIGQUIT: at once
            process.wait(PATIENCE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(server: Foreign, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(subprocess.CalledProcessError):
            server.sql("SELECT 1")
            return
        time.sleep(0.02)
    raise AssertionError(log.read_text())
