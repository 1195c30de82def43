"""A state machine in a status column: of two clashing transitions one wins, and the other gets an error."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Task, TaskStatus, Work

__all__ = ["StatusCheckedInPython", "TaskEnd", "TooLateError"]


class TooLateError(Exception):
    """The task is no longer running."""


@claim(
    title="A task ends once",
    acid="Consistency",
    critical="a task that is both done and cancelled is refunded and delivered",
    test="tests/database/test_database_invariants.py::test_status_transition",
)
@dataclass(frozen=True)
class TaskEnd(Scenario):
    """A worker finishes a task while its owner cancels it; only one of them ends it.

    The UPDATE asks for the status that it leaves, so it changes nothing when the other one was first.
    """

    metadata = Work.metadata
    allows = (TooLateError,)

    async def setup(self, session: AsyncSession) -> None:
        """One running task."""
        session.add(Task(id=1, status=TaskStatus.RUNNING))

    async def end(self, session: AsyncSession, status: TaskStatus) -> None:
        """Give the running task its last status; raise `TooLateError` if it has one."""
        running = update(Task).where(Task.id == 1, Task.status == TaskStatus.RUNNING)
        async with session.begin():
            if await session.scalar(running.values(status=status).returning(Task.id)) is None:
                raise TooLateError

    @actor
    async def worker(self, session: AsyncSession) -> None:
        """Finishes the task."""
        await self.end(session, TaskStatus.DONE)

    @actor
    async def owner(self, session: AsyncSession) -> None:
        """Cancels the task."""
        await self.end(session, TaskStatus.CANCELLED)

    @invariant
    async def a_task_ends_once(self, outcome: Outcome) -> None:
        """The two never both succeed."""
        ended = outcome.committed
        assert len(ended) <= 1, f"{' and '.join(ended)} both ended the task"

    @invariant
    async def the_status_is_that_of_the_one_who_ended_it(self, session: AsyncSession, outcome: Outcome) -> None:
        """A cancelled task is never done."""
        expected = {"worker": TaskStatus.DONE, "owner": TaskStatus.CANCELLED}
        status = (await session.get_one(Task, 1)).status
        for name in outcome.committed:
            assert status is expected[name], f"{name} ended the task, but it is {status.value}"


@planted_bug(
    of=TaskEnd,
    token="lab1:scenarios.status:StatusCheckedInPython::-:worker.owner3.worker2:djdgf:vxcveh",
    cause="both requests load the running task, find that they may end it, and overwrite each other's status",
    fix="put the expected status into the UPDATE's WHERE and check the row count",
)
@dataclass(frozen=True)
class StatusCheckedInPython(TaskEnd):
    """Loads the task, checks its status, assigns the new one."""

    async def end(self, session: AsyncSession, status: TaskStatus) -> None:
        """Give the task its last status, if it was running when it was loaded."""
        async with session.begin():
            task = await session.get_one(Task, 1)
            if task.status is not TaskStatus.RUNNING:
                raise TooLateError
            task.status = status
