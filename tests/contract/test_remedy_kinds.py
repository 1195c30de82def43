"""What every kind of remedy keeps to: one suite over the table, on failing executions of a real server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import remedied
from helpers.kit import Bank, Order, add
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor
from lab.analysis.facts import Facts
from lab.checkers import CHECKERS
from lab.model.remedy import NOT_RUN, Applied, Price, Remedy
from lab.model.trace import Trace
from lab.search.remedies import REMEDIES, Kind
from scenarios import constraints, deadlock, isolation, transfer


class Written(Bank):
    """Reads in SQL that is written as text."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        await session.scalar(text("SELECT balance FROM account WHERE id = 1"))
        await session.execute(add(1))
        await session.commit()


FAILING = (
    (Written(), "alice bob alice bob"),
    (transfer.LostUpdate(), "alice alice bob bob bob bob alice alice"),
    (transfer.TwoTransactions(), "alice alice alice alice alice alice bob bob bob bob bob auditor"),
    (isolation.ReadSkewAnomaly(), "reader mover mover mover reader"),
    (constraints.NameCheckedByTheApplication(), "one other other other one one"),
    (deadlock.AdvisoryLocksInOppositeOrder(), "alice bob bob alice"),
    (deadlock.CoreUpdatesInOppositeOrder(), ""),
    (remedied.Seats(), "ann ben ann ben"),
    (remedied.Logins(), "ann ben ann ann ben"),
    (remedied.Picked(), "ann ben"),
    (remedied.Unlocked(), "ann"),
    (remedied.Referred(), "ann ben ann ben"),
)
ANOMALIES = (None, "P4", "PMP", "G-single", "G2-item", "G2")
UNFIT = Remedy("another", "SERIALIZABLE", 2, frozenset({"account"}))
"""Of no kind in the table."""


@pytest.fixture(scope="module")
async def all_facts(explorer) -> list[Facts]:
    """Of failing executions, as if each anomaly had been found in them; and of one in which nothing happened."""
    records = [await explorer.run(scenario, Order(order)) for scenario, order in FAILING]
    records.append(replace(records[0], trace=Trace((), ("alice", "bob"))))
    return [
        Facts(record, level, anomaly)
        for record in records
        for level in (None, "READ COMMITTED")
        for anomaly in ANOMALIES
    ]


@pytest.fixture(params=sorted(REMEDIES))
def kind(request) -> Kind:
    return REMEDIES[request.param]


def test_what_it_suggests_is_named_and_the_same_each_time(kind, all_facts):
    """Advice says why it is not run; a remedy does something. No kind raises, whatever the facts are."""
    for facts in all_facts:
        remedies, advice = list(kind.runs(facts)), list(kind.advises(facts))
        assert list(kind.runs(facts)) == remedies
        assert list(kind.advises(facts)) == advice
        for each in remedies:
            assert each.name
            assert each != Remedy(each.name), "it changes nothing"
        for each in advice:
            assert (each.verdict, each.remedy, each.price) == (NOT_RUN, None, None)
            assert each.name
            assert each.reason


def test_it_finds_words_for_any_execution(kind, all_facts):
    """One line each, for executions in which the remedy did nothing too."""
    price = Price(3, {"40P01": 1, "40001": 2}, 4, 1.0)
    for facts in all_facts:
        for remedy in (*kind.runs(facts), *kind.follows(facts, UNFIT, price)):
            for applied in (None, Applied(), Applied(left=frozenset({"SELECT 1"}))):
                record = replace(facts.record, applied=applied)
                for words in (kind.idle(remedy, record), kind.left(remedy, record)):
                    assert "\n" not in words


def test_every_kind_fits_some_execution(all_facts):
    """And no two suggest the same by the same name."""
    price = Price(3, {"40P01": 1}, 4, 1.0)
    for kind in REMEDIES.values():
        assert any([*kind.runs(facts), *kind.advises(facts), *kind.follows(facts, UNFIT, price)] for facts in all_facts)
    for facts in all_facts:
        names = [each.name for kind in REMEDIES.values() for each in (*kind.runs(facts), *kind.advises(facts))]
        assert len(names) == len(set(names))


def test_stalls_and_broken_promises_are_cured_by_no_remedy():
    """Levels and locks of rows have nothing to do with them; of errors, those of constraints are cured."""
    curable = {name for name, checker in CHECKERS.items() if any(kind in checker.cured_by for kind in REMEDIES)}
    assert curable == {"deadlock", "invariant", "result", "serial"}
