"""Writes and reads hunts in the file: their rows, the failures that they met, and how far they are."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.errors import UsageError
from lab.model.shown import shown
from lab.search.job import Job
from lab.search.kept.file import KeptFile, moment
from lab.search.kept.tables import CHECKPOINTS, FAILURES, HUNTS
from lab.search.kept.versions import is_alive, this_process

__all__ = ["Checkpoint", "Store", "state_of"]

MOST_HUNTS = 1000
"""Older ones are forgotten, with what they found; what is known of failures stays."""
_CONSONANTS, _VOWELS = "bdfghjklmnprstvz", "aeiou"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a hunt is: everything before `number` is counted in `result`."""

    number: int
    result: HuntResult
    scheduler: bytes | None
    reduced: Sequence[str] = ()


def state_of(row: Mapping[str, Any]) -> str:
    """Running, finished or interrupted; dead where its process ended without a word."""
    state = str(row["state"])
    return "dead" if state == "running" and not is_alive(row["process"]) else state


class Store:
    """The hunts of one file. Raises `NotKept` where the file fails."""

    def __init__(self, file: KeptFile) -> None:
        self.file = file

    def begin(self, job: Job, asked: Mapping[str, Any], versions: Mapping[str, str], source: str) -> str:
        """A new hunt; returns its id."""
        values = {
            "target": job.target,
            "job": _safe(job.dump()),
            "asked": dict(asked),
            "scheduler": job.described,
            "seed": job.seed,
            "isolation": job.conditions.isolation,
            **self._of_this_run(versions, source),
            "begun": moment(),
        }
        while True:
            name = "".join(secrets.choice(each) for each in (_CONSONANTS, _VOWELS) * 3)
            with self.file.writing() as connection:
                made = connection.execute(insert(HUNTS).values(id=name, **values).on_conflict_do_nothing())
                if made.rowcount:
                    oldest = select(HUNTS.c.id).order_by(HUNTS.c.begun.desc()).offset(MOST_HUNTS)
                    self._forget(connection, connection.execute(oldest).scalars().all())
                    return name

    def go_on(self, hunt: str, versions: Mapping[str, str], source: str) -> None:
        """A hunt goes on in this process."""
        with self.file.writing() as connection:
            values = self._of_this_run(versions, source)
            connection.execute(update(HUNTS).where(HUNTS.c.id == hunt).values(**values, ended=None))

    @staticmethod
    def _of_this_run(versions: Mapping[str, str], source: str) -> dict[str, Any]:
        return {"versions": dict(versions), "source": source, "process": this_process(), "state": "running"}

    def met(self, hunt: str, failure: ReportedFailure) -> None:
        """A failure, as it was met or in a later form. It is on the disk when this returns."""
        values = {
            "token": failure.token,
            "execution": failure.execution,
            "written": moment(),
            "shown": _safe(failure.shown()),
            "report": shown(failure.report),
        }
        keys = {"hunt": hunt, "checker": failure.checker, "broken": shown(failure.broken)}
        with self.file.writing(durable=True) as connection:
            statement = insert(FAILURES).values(**keys, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=values))

    def reached(self, hunt: str, point: Checkpoint) -> None:
        """How far a hunt is."""
        values = {
            "number": point.number,
            "result": zlib.compress(json.dumps(point.result.dump()).encode(), 1),
            "scheduler": point.scheduler,
            "reduced": sorted(point.reduced),
        }
        with self.file.writing() as connection:
            statement = insert(CHECKPOINTS).values(hunt=hunt, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["hunt"], set_=values))
            self._count(connection, hunt, point.result)

    def ended(self, hunt: str, result: HuntResult, verdict: str, answer: Mapping[str, Any]) -> None:
        """A hunt has ended: for good, or so that it can go on from where it was."""
        finished = not result.trouble
        more = {
            "state": "finished" if finished else "interrupted",
            "ended": moment(),
            "verdict": verdict,
            "reason": shown(result.reason),
            "answer": _safe(answer) if finished else None,
        }
        with self.file.writing(durable=True) as connection:
            self._count(connection, hunt, result, **more)
            if finished:
                connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.hunt == hunt))

    def abandoned(self, hunt: str) -> None:
        """A hunt was broken off by an error. One that met nothing is forgotten."""
        with self.file.writing() as connection:
            met = connection.execute(select(FAILURES.c.hunt).where(FAILURES.c.hunt == hunt).limit(1)).first()
            if met is None:
                self._forget(connection, [hunt])
            else:
                values = {"state": "interrupted", "ended": moment()}
                connection.execute(update(HUNTS).where(HUNTS.c.id == hunt).values(**values))

    @staticmethod
    def _count(connection: Any, hunt: str, result: HuntResult, **more: Any) -> None:
        counted = {
            "executions": result.executions,
            "distinct_traces": len(result.traces),
            "outcomes": dict(result.outcomes),
            "exhausted": int(result.exhausted),
            "seconds": result.seconds,
        }
        connection.execute(update(HUNTS).where(HUNTS.c.id == hunt).values(**counted, **more))

    def hunts(self) -> list[dict[str, Any]]:
        """All of them, newest first, each with its number of failures."""
        number = select(func.count()).where(FAILURES.c.hunt == HUNTS.c.id).scalar_subquery().label("failures")
        columns = [each for each in HUNTS.c if each.name not in ("answer", "outcomes")]
        with self.file.reading() as connection:
            rows = connection.execute(select(*columns, number).order_by(HUNTS.c.begun.desc(), HUNTS.c.id)).mappings()
            return [dict(row) for row in rows]

    def hunt(self, name: str) -> dict[str, Any]:
        """The one of this id, or whose id begins so. Raises `UsageError` if there is none, or more than one."""
        with self.file.reading() as connection:
            found = connection.execute(select(HUNTS).where(HUNTS.c.id.startswith(name, autoescape=True))).mappings()
            rows: Sequence[RowMapping] = found.all()
        exact = [row for row in rows if row["id"] == name] or rows
        if not name or not exact:
            raise UsageError(f"no hunt {name!r} is kept in {self.file.path}; `lab hunts` lists them")
        if len(exact) > 1:
            raise UsageError(f"{name!r} may be each of the hunts {', '.join(row['id'] for row in exact)}")
        return dict(exact[0])

    def failures(self, hunt: str) -> list[dict[str, Any]]:
        """What a hunt found, in the order of its executions."""
        with self.file.reading() as connection:
            query = select(FAILURES).where(FAILURES.c.hunt == hunt).order_by(FAILURES.c.execution)
            return [dict(row) for row in connection.execute(query).mappings()]

    def checkpoint(self, hunt: str) -> Checkpoint | None:
        """How far a hunt was; None where nothing was written, or nothing that can be read."""
        with self.file.reading() as connection:
            row = connection.execute(select(CHECKPOINTS).where(CHECKPOINTS.c.hunt == hunt)).mappings().one_or_none()
        if row is None:
            return None
        try:
            result = HuntResult.load(json.loads(zlib.decompress(row["result"])))
        except (ValueError, KeyError, TypeError, zlib.error):
            return None
        return Checkpoint(row["number"], result, row["scheduler"], row["reduced"])

    def forget(self, *, name: str = "", before: str = "") -> list[str]:
        """Forget a hunt, or those that began before a moment, but for those that still run. Returns their ids."""
        rows = [self.hunt(name)] if name else [row for row in self.hunts() if row["begun"] < before]
        gone = [row["id"] for row in rows if state_of(row) != "running"]
        if name and not gone:
            raise UsageError(f"the hunt {name} is still running; end it first")
        with self.file.writing() as connection:
            self._forget(connection, gone)
        return gone

    @staticmethod
    def _forget(connection: Any, hunts: Sequence[str]) -> None:
        for table, column in ((FAILURES, FAILURES.c.hunt), (CHECKPOINTS, CHECKPOINTS.c.hunt), (HUNTS, HUNTS.c.id)):
            if hunts:
                connection.execute(delete(table).where(column.in_(hunts)))


def _safe(values: Mapping[str, Any]) -> Any:
    """Values for JSON without the secrets that the process was given."""
    return json.loads(shown(json.dumps(values)))
