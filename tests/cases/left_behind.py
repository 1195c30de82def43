"""Scenarios whose actors leave something in the process."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from lab import Scenario, actor, invariant

INSIDE: list[int] = []
SPOILT: list[str] = []
RAN: list[str] = []


@dataclass(frozen=True)
class Spoilt(Scenario):
    """Two that overlap spoil a cache of the module for good."""

    @actor(names=("a", "b"))
    async def act(self, session) -> list[str]:
        await session.execute(text("SELECT 1"))
        INSIDE.append(1)
        if len(INSIDE) > 1:
            SPOILT.append("spoilt")
        await session.execute(text("SELECT 2"))
        INSIDE.pop()
        return SPOILT[:1]

    @invariant
    async def nothing_is_spoilt(self, outcome) -> None:
        assert not any(each.value for each in outcome.results.values())


@dataclass(frozen=True)
class Full(Scenario):
    """What the module holds is full after some executions, whatever their schedules are."""

    @actor(names=("a", "b"))
    async def act(self, session, name: str) -> int:
        await session.execute(text("SELECT 1"))
        RAN.append(name)
        return len(RAN)

    @invariant
    async def there_is_room(self, outcome) -> None:
        assert all(each.value < 28 for each in outcome.results.values())
