"""What tests of the engine share: a small bank, a scheduler that is told whom to let go, and traces as short texts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario
from lab.errors import SearchOver
from lab.model.choices import Choices
from lab.model.decision_text import decision_of, decision_text
from lab.model.record import ExecutionRecord
from lab.model.trace import Step, Trace
from lab.schedulers import Scheduler
from lab.schedulers.replay import Replay


class Base(DeclarativeBase):
    """The bank's tables."""


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


@dataclass(frozen=True)
class Bank(Scenario):
    """Four accounts of 100 each."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([Account(id=number, balance=100) for number in (1, 2, 3, 4)])


def lock(account: int, how: str = "UPDATE"):
    """A statement that locks one account."""
    return text(f"SELECT balance FROM account WHERE id = {account} FOR {how}")


def add(account: int, amount: int = 1):
    """A statement that writes one account."""
    return text(f"UPDATE account SET balance = balance + {amount} WHERE id = {account}")


class Order(Scheduler):
    """Takes the decisions of a text first, such as `alice pause2@bob kill@alice`; then the actor that ran last goes on.

    One that cannot be taken fails the test, and so do those that are left over.
    """

    def __init__(self, texts: str = "") -> None:
        super().__init__()
        self._decisions = tuple(map(decision_of, texts.split()))

    def begin(self, execution: int) -> bool:
        return True

    def choose(self, choices: Choices) -> int:
        if choices.step >= len(self._decisions):
            return 0
        wished = self._decisions[choices.step]
        assert wished in choices.decisions, f"step {choices.step + 1}: {wished} is not among {choices.decisions}"
        return choices.decisions.index(wished)

    def end(self, trace: Trace) -> None:
        assert len(trace) >= len(self._decisions), f"ended after {len(trace)} steps"


def told(steps: Iterable[Step]) -> list[str]:
    """Each step as `actor what it did`, with `...` before what was woken and ` (B)` after what waits."""
    lines = []
    for step in steps:
        kind, what = step.action.kind.value, step.action.text
        action = " ".join(what.split()) if kind == "statement" else f"{kind} {what}".strip()
        lines.append(f"{decision_text(step.mover)} {'... ' if step.woken else ''}{action}{' (B)' if step.wait else ''}")
    return lines


def of(record: ExecutionRecord, actor: str) -> list[str]:
    """What one actor did, without its name."""
    return [line.removeprefix(f"{actor} ") for line in told(record.trace) if line.startswith(f"{actor} ")]


async def searched(explorer, scenario: Scenario, scheduler: Scheduler, **options) -> AsyncIterator[ExecutionRecord]:
    """One execution after the other, until the search is over."""
    number = 0
    while True:
        try:
            record = await explorer.run(scenario, scheduler, execution=number, **options)
        except SearchOver:
            return
        yield record
        number += 1


async def replays(explorer, record: ExecutionRecord, times: int = 3, **options) -> bool:
    """Whether the recorded schedule gives the identical execution again, that many times."""
    replay = Replay(record.schedule)
    for _ in range(times):
        again = await explorer.run(record.scenario, replay, **options)
        if not again.same_as(record):
            return False
    return True
