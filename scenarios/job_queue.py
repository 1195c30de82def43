"""A job queue on SELECT … FOR UPDATE SKIP LOCKED: no job is done twice, none is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Job, Work

__all__ = ["JobQueue", "LockEndsBeforeTheWork", "MarkedDoneBeforeTheWork", "TakesJobsWithoutLock", "WorkerCrashError"]


class WorkerCrashError(Exception):
    """A worker crashed in its job."""


@claim(
    title="No job is done twice, none is lost",
    acid="Isolation",
    critical="a job is somebody's invoice or e-mail",
    test="tests/database/test_database_invariants.py::test_job_queue",
)
@dataclass(frozen=True)
class JobQueue(Scenario):
    """Two workers empty a queue of two jobs while a third one crashes in its first.

    A worker does its job in the transaction that holds the job's lock, so a crash gives the job back.
    """

    jobs: int = 2

    metadata = Work.metadata

    async def setup(self, session: AsyncSession) -> None:
        """The queue."""
        session.add_all([Job(id=number, done=False, runs=0) for number in range(1, self.jobs + 1)])

    def next_job(self) -> Select[Any]:
        """Finds the id of the first job that is neither done nor being done."""
        pending = select(Job.id).where(~Job.done).order_by(Job.id).limit(1)
        return pending.with_for_update(skip_locked=True)

    async def work(self, session: AsyncSession, job: int, *, crash: bool) -> None:
        """What the job is about; here, only that it was done is noted."""
        if crash:
            raise WorkerCrashError
        await session.execute(update(Job).where(Job.id == job).values(runs=Job.runs + 1))

    async def mark(self, session: AsyncSession, job: int) -> None:
        """Mark the job as done, so that nobody takes it again."""
        await session.execute(update(Job).where(Job.id == job).values(done=True))

    async def take(self, session: AsyncSession, *, crash: bool = False) -> bool:
        """Do one job; False if there is none."""
        async with session.begin():
            job = await session.scalar(self.next_job())
            if job is not None:
                await self.work(session, job, crash=crash)
                await self.mark(session, job)
            return job is not None

    @actor(names=("worker1", "worker2"))
    async def worker(self, session: AsyncSession) -> None:
        """Works until it finds no more jobs."""
        while await self.take(session):
            pass

    @actor(allows=(WorkerCrashError,))
    async def fickle(self, session: AsyncSession) -> None:
        """Crashes in its first job, if it gets one."""
        await self.take(session, crash=True)

    @invariant
    async def no_job_is_done_twice(self, session: AsyncSession) -> None:
        """The work of a job is done at most once."""
        twice = (await session.scalars(select(Job.id).where(Job.runs > 1))).all()
        assert not twice, f"job {twice[0]} was done more than once"

    @invariant
    async def no_job_is_lost(self, session: AsyncSession) -> None:
        """A job that is marked as done was done; one that is not can still be taken."""
        lost = (await session.scalars(select(Job.id).where(Job.done != (Job.runs > 0)))).all()
        assert not lost, f"job {lost[0]} is marked as done but was not, or was done but is not marked"


@planted_bug(
    of=JobQueue,
    token="lab1:scenarios.job_queue:TakesJobsWithoutLock::-:worker1-5.worker2-6.fickle2.worker1-5:htkry:srhcak",
    cause="a plain SELECT shows the same pending job to two workers",
    fix="SELECT ... FOR UPDATE SKIP LOCKED",
)
@dataclass(frozen=True)
class TakesJobsWithoutLock(JobQueue):
    """Selects the next pending job without locking it."""

    def next_job(self) -> Select[Any]:
        """Finds the id of the first job that is not done."""
        return select(Job.id).where(~Job.done).order_by(Job.id).limit(1)


@planted_bug(
    of=JobQueue,
    token="lab1:scenarios.job_queue:LockEndsBeforeTheWork::-:worker1-7.worker2-7.fickle2.worker1-5:idrvp:tm46hr",
    cause="the lock that claims the job ends with the first transaction, before the job is marked as done",
    fix="do the work in the transaction that holds the lock",
)
@dataclass(frozen=True)
class LockEndsBeforeTheWork(JobQueue):
    """Claims the job in one transaction, does it in the next, so as not to keep a transaction open."""

    async def take(self, session: AsyncSession, *, crash: bool = False) -> bool:
        """Do one job that an earlier transaction found."""
        async with session.begin():
            job = await session.scalar(self.next_job())
        if job is not None:
            async with session.begin():
                await self.work(session, job, crash=crash)
                await self.mark(session, job)
        return job is not None


@planted_bug(
    of=JobQueue,
    token="lab1:scenarios.job_queue:MarkedDoneBeforeTheWork::-:fickle3.worker1-7.worker2-2:cgbkt:advyaq",
    cause="the job is committed as done before its work begins, so a crash in between loses it",
    fix="mark the job in the transaction that does its work",
)
@dataclass(frozen=True)
class MarkedDoneBeforeTheWork(JobQueue):
    """Marks the job as done in a transaction of its own, then does it."""

    async def take(self, session: AsyncSession, *, crash: bool = False) -> bool:
        """Do one job that is marked as done already."""
        async with session.begin():
            job = await session.scalar(self.next_job())
            if job is not None:
                await self.mark(session, job)
        if job is not None:
            async with session.begin():
                await self.work(session, job, crash=crash)
        return job is not None
