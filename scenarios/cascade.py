"""Cascades: whatever belongs to a deleted row goes with it, also what another request is just adding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import (
    AgentRegistry,
    Agents,
    Episode,
    Episodes,
    Execution,
    LegacyAgent,
    LegacyEpisode,
    LegacyExecution,
    LegacySegment,
    Segment,
)

__all__ = [
    "AgentDeletion",
    "EpisodeDeletion",
    "ForeignKeyWithoutCascade",
    "NoCascade",
    "OrmOnlyCascade",
]

AGENT, OTHER = "test-agent", "other-agent"


@claim(
    title="Deleting an agent deletes all its executions",
    acid="Consistency",
    critical="executions of a deleted agent go on being billed",
    test="tests/database/test_database_invariants.py::test_agent_deletion_cascades_to_executions",
)
@dataclass(frozen=True)
class AgentDeletion(Scenario):
    """An agent is deleted while it starts one more execution; none of its executions stays behind.

    The foreign key's ON DELETE CASCADE deletes what it finds when it runs, and the lock on the agent keeps others out.
    """

    executions: int = 5

    metadata = Agents.metadata
    agents: ClassVar[type[AgentRegistry | LegacyAgent]] = AgentRegistry
    runs: ClassVar[type[Execution | LegacyExecution]] = Execution

    async def setup(self, session: AsyncSession) -> None:
        """The agent with its executions, and another one with one."""
        session.add_all([self.agents(agent_id=AGENT), self.agents(agent_id=OTHER)])
        await session.flush()
        session.add_all(self.runs(agent_id=AGENT) for _ in range(self.executions))
        session.add(self.runs(agent_id=OTHER))

    async def delete_agent(self, session: AsyncSession) -> None:
        """Delete the agent; what belongs to it goes with it."""
        async with session.begin():
            await session.delete(await session.get_one(self.agents, AGENT))

    @actor
    async def deleter(self, session: AsyncSession) -> None:
        """Deletes the agent."""
        await self.delete_agent(session)

    @actor(allows=("23503",))
    async def starter(self, session: AsyncSession) -> None:
        """Starts one more execution of the agent, if it is there."""
        async with session.begin():
            if await session.scalar(select(self.agents.agent_id).where(self.agents.agent_id == AGENT)) is not None:
                session.add(self.runs(agent_id=AGENT))

    @invariant
    async def no_execution_outlives_its_agent(self, session: AsyncSession) -> None:
        """Every execution belongs to an agent that exists."""
        orphans = select(func.count(self.runs.id)).where(self.runs.agent_id.not_in(select(self.agents.agent_id)))
        left = await session.scalar(orphans)
        assert left == 0, f"the agent is deleted, {left} of its executions are left"

    @invariant
    async def other_agents_keep_theirs(self, session: AsyncSession) -> None:
        """Nothing else is deleted."""
        left = await session.scalar(select(func.count(self.runs.id)).where(self.runs.agent_id == OTHER))
        assert left == 1, f"the other agent has {left} executions, expected 1"


@planted_bug(
    of=AgentDeletion,
    token="lab1:scenarios.cascade:NoCascade::-:deleter2.starter2:az4yy:j5i5lh",
    cause="no foreign key refers to the table, so a plain DELETE leaves the executions where they are",
    fix="declare the foreign key with ON DELETE CASCADE",
)
@dataclass(frozen=True)
class NoCascade(AgentDeletion):
    """Deletes the agent's row and nothing else; the column of the executions has no foreign key."""

    agents = LegacyAgent
    runs = LegacyExecution

    async def delete_agent(self, session: AsyncSession) -> None:
        """Delete the agent."""
        async with session.begin():
            await session.execute(delete(LegacyAgent).where(LegacyAgent.agent_id == AGENT))


@planted_bug(
    of=AgentDeletion,
    token="lab1:scenarios.cascade:OrmOnlyCascade::-:deleter3.starter3.deleter2:rbd4t:3duamj",
    cause="the ORM deletes the executions that it loaded, one by one; one that starts in between is not among them",
    fix="declare the foreign key with ON DELETE CASCADE and set passive_deletes",
)
@dataclass(frozen=True)
class OrmOnlyCascade(AgentDeletion):
    """Relies on `cascade="all, delete-orphan"` alone."""

    agents = LegacyAgent
    runs = LegacyExecution


@claim(
    title="Deleting an episode deletes all its segments",
    acid="Consistency",
    critical="a deletion that fails because of a late segment is a deletion request that is not honoured",
    test="tests/database/test_database_invariants.py::test_episode_deletion_cascades_to_segments",
)
@dataclass(frozen=True)
class EpisodeDeletion(Scenario):
    """An episode is deleted while two recorders add segments; it goes with all its segments.

    The deletion always succeeds, and so does every recorder who comes before it.
    """

    segments: int = 3

    metadata = Episodes.metadata
    episodes: ClassVar[type[Episode | LegacyEpisode]] = Episode
    segment: ClassVar[type[Segment | LegacySegment]] = Segment

    async def setup(self, session: AsyncSession) -> None:
        """An episode with its segments."""
        session.add(self.episodes(id=1))
        await session.flush()
        session.add_all(self.segment(episode_id=1) for _ in range(self.segments))

    async def delete_episode(self, session: AsyncSession) -> None:
        """Delete the episode; its segments go with it."""
        async with session.begin():
            await session.delete(await session.get_one(self.episodes, 1))

    @actor
    async def deleter(self, session: AsyncSession) -> None:
        """Deletes the episode."""
        await self.delete_episode(session)

    @actor(names=("camera", "microphone"), allows=("23503",))
    async def recorder(self, session: AsyncSession) -> None:
        """Adds a segment; refused when the episode is gone."""
        async with session.begin():
            session.add(self.segment(episode_id=1))

    @invariant
    async def no_segment_outlives_its_episode(self, session: AsyncSession) -> None:
        """Every segment belongs to an episode that exists."""
        orphans = select(func.count(self.segment.id)).where(self.segment.episode_id.not_in(select(self.episodes.id)))
        left = await session.scalar(orphans)
        assert left == 0, f"the episode is deleted, {left} of its segments are left"


@planted_bug(
    of=EpisodeDeletion,
    token="lab1:scenarios.cascade:ForeignKeyWithoutCascade::-:deleter3.camera2.microphone2.deleter2:2rq6p:oqyjuq",
    cause="the ORM deletes the segments that it loaded; one added since then makes the foreign key refuse the deletion",
    fix="declare the foreign key with ON DELETE CASCADE and set passive_deletes",
)
@dataclass(frozen=True)
class ForeignKeyWithoutCascade(EpisodeDeletion):
    """Relies on `cascade="all, delete-orphan"`; the foreign key has no ON DELETE CASCADE."""

    episodes = LegacyEpisode
    segment = LegacySegment
