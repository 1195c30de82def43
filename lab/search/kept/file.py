"""Opens the file in which hunts are kept, with what it takes to be safe.

Several processes may write at once: SQLite's write-ahead log lets them wait for each other, for `BUSY_SECONDS` at most,
and a lock on a file beside it lets one of them at a time make the file or bring it to a newer form. What must not be
lost is written with `synchronous=FULL`, so it is on the disk before it is shown; the rest is given to the kernel, which
outlives a killed process (https://www.sqlite.org/pragma.html#pragma_synchronous).

A damaged file is set aside under another name. One that is not the lab's, or of a newer form, is left as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from lab.errors import LabError
from lab.search.kept.tables import APPLICATION, FORM, METADATA, MIGRATIONS

__all__ = ["KeptFile", "NotKept", "ignored_by_git", "moment"]

BUSY_SECONDS = 10.0
"""How long one process waits for another; a write takes milliseconds."""
_IMMEDIATE = "lab_immediate"


class NotKept(LabError):
    """Nothing can be kept or looked up; its text says why, from the file on: `FILE is …`."""


def moment() -> str:
    """The present one as the file has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class KeptFile:
    """The open file. What cannot be done raises `NotKept`."""

    def __init__(self, path: Path, engine: Engine) -> None:
        self.path, self._engine = path, engine

    @classmethod
    def open(cls, path: Path) -> tuple[KeptFile, str]:
        """Open it, and make it where it is not; also a sentence about a damaged one that was set aside, or ""."""
        try:
            path.parent.mkdir(exist_ok=True)
            ignored_by_git(path.parent)
            with _alone(path.parent):
                try:
                    return cls._prepared(path), ""
                except DBAPIError as error:
                    if not _is_damage(error):
                        raise
                    aside = _set_aside(path)
                return cls._prepared(path), f"{path} was damaged; it is {aside.name} now, and a new one was begun"
        except (OSError, SQLAlchemyError) as error:
            raise NotKept(_cannot(path, error)) from error

    @classmethod
    def open_to_read(cls, path: Path) -> KeptFile | None:
        """Open it if it is there. Raises `NotKept`."""
        return cls.open(path)[0] if path.exists() else None

    @classmethod
    def _prepared(cls, path: Path) -> KeptFile:
        file = cls(path, _engine(path))
        try:
            with file._engine.connect() as connection:
                own, form, tables = (_number(connection, each) for each in _WHAT_IT_IS)
            _insist_on_ours(path, own, form, is_new=not (own or form or tables))
            if own == APPLICATION and form < FORM:
                file._migrate(form)
            elif own != APPLICATION:
                file._make()
        except BaseException:
            file.close()
            raise
        return file

    def _make(self) -> None:
        with self._engine.connect() as connection:
            _driver(connection).execute("PRAGMA journal_mode=WAL")
        with self.writing() as connection:
            METADATA.create_all(connection)
            self._state(connection)

    def _migrate(self, form: int) -> None:
        with self.writing(durable=True) as connection:
            for number in range(form, FORM):
                for statement in MIGRATIONS[number]:
                    connection.exec_driver_sql(statement)
            self._state(connection)

    @staticmethod
    def _state(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION}")
        connection.exec_driver_sql(f"PRAGMA user_version={FORM}")

    @contextlib.contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Connection]:
        """A transaction that writes. `durable`: when the block is left, it is on the disk."""
        with self._said(), self._engine.connect().execution_options(**{_IMMEDIATE: True}) as connection:
            _driver(connection).execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads."""
        with self._said(), self._engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Let go of it."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SQLAlchemyError) as error:
            if isinstance(error, DBAPIError) and _is_damage(error):
                with contextlib.suppress(OSError), _alone(self.path.parent):
                    aside = _set_aside(self.path)
                    raise NotKept(f"{self.path} is damaged; it is {aside.name} now") from error
            raise NotKept(_cannot(self.path, error)) from error


def _insist_on_ours(path: Path, own: int, form: int, *, is_new: bool) -> None:
    """Leave alone what is not the lab's, and what this version cannot know."""
    if own != APPLICATION and not is_new:
        raise NotKept(f"{path} is not a file of the lab's; it is left as it is")
    if form > FORM:
        raise NotKept(f"{path} is of a newer form ({form}) than this version of the lab knows ({FORM})")


_WHAT_IT_IS = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")


def _engine(path: Path) -> Engine:
    # The driver begins no transactions: a block that writes takes the lock at its start, so that none of two has to be
    # refused when both have read. See SQLAlchemy's page on SQLite, "Enabling Non-Legacy SQLite Transactional Modes".
    settings = {"timeout": BUSY_SECONDS, "isolation_level": None, "check_same_thread": False}
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args=settings)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_IMMEDIATE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _driver(connection: Connection) -> Any:
    """The connection of the driver, for what must stand outside a transaction."""
    return connection.connection.driver_connection


def _number(connection: Connection, statement: str) -> int:
    return int(connection.exec_driver_sql(statement).scalar_one())


def _is_damage(error: DBAPIError) -> bool:
    """Whether SQLite says that this is no database, or a broken one; what is locked, full or forbidden is neither."""
    return type(error.orig) is sqlite3.DatabaseError


def _set_aside(path: Path) -> Path:
    """Give a damaged file another name; what SQLite keeps beside it goes along."""
    when = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    aside = path.with_name(f"{path.name}.damaged-{when}")
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{end}").rename(f"{aside}{end}")
    return aside


def _cannot(path: Path, error: BaseException) -> str:
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(getattr(error, "orig", error))
    return f"{path} cannot be used: {reason.splitlines()[0]}"


def ignored_by_git(folder: Path) -> None:
    """Let git leave the folder out."""
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; the kernel lets go of the lock of one that dies."""
    held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
