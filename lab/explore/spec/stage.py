"""Where specs are run: a database of the name that PostgreSQL's suite expects, with the settings of its runner.

The database is fresh for each spec: it is made anew where a spec left something behind. Its name is fixed, since specs
name it, so one that the lab did not make is left alone and the spec refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

from lab.explore.spec.conductor import LONGEST_STEP_SECONDS, Aborted, Answer, Conductor
from lab.explore.spec.talk import Rows, Talk
from lab.explore.spec.values import Permutation, Spec
from lab.postgres.server.cluster import Cluster
from lab.postgres.server.monitor import LOST, connect
from lab.postgres.server.server import Server

__all__ = ["DATABASE", "Performance", "Stage", "performed"]

C = TypeVar("C", bound=Conductor)

DATABASE = "isolation_regression"
CONTROL = "control connection"
_SETTINGS = {
    "timezone": "PST8PDT",
    "datestyle": "Postgres, MDY",
    "intervalstyle": "postgres_verbose",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "timezone_abbreviations": "Default",
}
_FOR_SUPERUSERS = {"lc_messages": "C"}
_FIRST_OF_USERS = 16384
_LEFT = " UNION ALL ".join(
    [
        *(
            f"SELECT FROM pg_catalog.{catalog} WHERE oid >= {_FIRST_OF_USERS}"
            for catalog in ("pg_class", "pg_proc", "pg_type", "pg_operator", "pg_extension", "pg_event_trigger")
        ),
        f"SELECT FROM pg_catalog.pg_namespace WHERE oid >= {_FIRST_OF_USERS} AND nspname !~ '^pg_(toast_)?temp_'",
        "SELECT FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()",
    ]
)
"""Something that a spec left in its database. Temporary schemas stay empty behind their sessions."""
_LONGEST_TEARDOWN_SECONDS = 5.0
"""Of a spec that was broken off: the locks of its sessions are gone by then."""
_PREPARED = "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()"


@dataclass(frozen=True, slots=True)
class Performance:
    """A spec that was run: what was printed, and for each permutation what its steps answered."""

    spec: Spec
    output: str
    permutations: tuple[tuple[Permutation, tuple[Answer, ...]], ...]
    """Those that came to their end."""
    waits: int
    """How many steps were shown to wait."""
    seconds: float
    """From the first connection to the end of the last one."""
    aborted: str = ""
    """Why the spec could not go on, as it is printed; "" if it was run to its end."""


class Stage:
    """A server with the database for specs. Belongs to the event loop that opened it."""

    def __init__(self, server: Server, cluster: Cluster, longest: float) -> None:
        self._server, self._cluster, self._longest = server, cluster, longest
        settings = _SETTINGS | (_FOR_SUPERUSERS if cluster.abilities.superuser else {})
        self._settings = {**server.connect.get("server_settings", {}), **settings}

    @classmethod
    async def open(cls, server: Server, *, longest: float = LONGEST_STEP_SECONDS) -> Stage:
        """Connect, and make the database; `longest` is the time after which a step is cancelled.

        Raises `ServerError`, and `UsageError` if the server has a database of that name that the lab did not make.
        """
        cluster = await Cluster.open(server)
        try:
            await cluster.create_database(DATABASE)
        except BaseException:
            with contextlib.suppress(*LOST):
                await cluster.close()
            raise
        return cls(server, cluster, longest)

    async def aclose(self) -> str:
        """Drop the database and disconnect; returns what `Cluster.close` returns."""
        return await self._cluster.close()

    @contextlib.asynccontextmanager
    async def conducting(self, spec: Spec, kind: type[C]) -> AsyncIterator[C]:
        """The sessions of a spec, open for the time of a block; afterwards the database is as fresh as before."""
        names = (CONTROL, *(session.name for session in spec.sessions))
        opened = await asyncio.gather(*(self._talk(spec, name) for name in names), return_exceptions=True)
        talks = [each for each in opened if isinstance(each, Talk)]
        conductor: C | None = None
        try:
            for each in opened:
                if isinstance(each, BaseException):
                    raise each
            conductor = kind(spec, talks[0], talks[1:], longest=self._longest)
            yield conductor
        finally:
            control = opened[0] if isinstance(opened[0], Talk) else None
            for talk in talks:
                if talk is not control:
                    await talk.close()
            if conductor is not None and conductor.unfinished and spec.teardown is not None:
                await self._tear_down(spec, spec.teardown)
            dirty = control is None or not await self._is_clean(control)
            if control is not None:
                await control.close()
            if dirty:
                await self._cluster.replace_database(DATABASE)

    async def _talk(self, spec: Spec, name: str) -> Talk:
        settings = {**self._settings, "application_name": f"isolation/{spec.name}/{name}"}
        return Talk(name, await connect(self._server, database=DATABASE, server_settings=settings))

    async def _tear_down(self, spec: Spec, teardown: str) -> None:
        """Of a spec that was broken off: it takes back what is not in its database, such as a role."""
        with contextlib.suppress(TimeoutError, *LOST):
            talk = await self._talk(spec, CONTROL)
            try:
                await talk.complete(teardown, min(self._longest, _LONGEST_TEARDOWN_SECONDS))
            finally:
                await talk.close()

    async def _is_clean(self, control: Talk) -> bool:
        """Whether a spec left its database as it found it. What it prepared is rolled back."""
        if control.lost or control.busy:
            return False
        with contextlib.suppress(TimeoutError):
            await control.complete("ROLLBACK; RESET ALL; RESET SESSION AUTHORIZATION", self._longest)
            match await control.complete(f"{_LEFT} LIMIT 1", self._longest):
                case [Rows(rows=())]:
                    return True
            for each in await control.complete(_PREPARED, self._longest):
                for (gid,) in each.rows if isinstance(each, Rows) else ():
                    quoted = (gid or b"").decode("utf-8", "surrogateescape").replace("'", "''")
                    await control.complete(f"ROLLBACK PREPARED '{quoted}'", self._longest)
        return False


async def performed(stage: Stage, spec: Spec) -> Performance:
    """Run a spec as PostgreSQL's own runner does. Raises `ServerError`."""
    began, aborted = time.perf_counter(), ""
    output = [f"unused step name: {name}\n" for name in spec.unused]
    output.append(f"Parsed test spec with {len(spec.sessions)} sessions\n")
    done: list[tuple[Permutation, tuple[Answer, ...]]] = []
    async with stage.conducting(spec, Conductor) as conductor:
        try:
            for permutation in spec.permutations:
                done.append((permutation, tuple(await conductor.run(permutation))))  # noqa: PERF401 - kept if it stops
        except Aborted as error:
            aborted = str(error)
        output += [conductor.taken(), aborted]
        seconds = time.perf_counter() - began
    return Performance(spec, "".join(output), tuple(done), conductor.waits, seconds, aborted)
