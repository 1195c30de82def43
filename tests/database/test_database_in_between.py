"""What others may see in between: states that a test which looks only at the end cannot tell from right ones.

Every test checks a right variant. The bugs that its docstring names are planted beside it in `scenarios/`;
`test_planted_bugs` proves that the lab finds each of them and that the token in the docstring replays it.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab import Scenario, invariant, schedules
from lab.scenario.declare import invariants_of, kind_of, planted_bug_of
from lab.search.hunt import Hunt
from scenarios.in_between import (
    DebitCommittedFirst,
    DeskAlwaysAttended,
    MoneyNeverMissing,
    OffDutyBeforeOn,
    OversoldThenRefilled,
    StockNeverNegative,
)

pytestmark = pytest.mark.anyio

PLANTED = (DebitCommittedFirst, OffDutyBeforeOn, OversoldThenRefilled)


@settings(max_examples=50)
@given(
    scenario=st.builds(
        MoneyNeverMissing, balance=st.integers(0, 200), payment=st.integers(1, 100), refund=st.integers(1, 100)
    ),
    schedule=schedules(),
)
@example(scenario=MoneyNeverMissing(), schedule=None)
async def test_no_money_is_missing_in_between(lab, scenario, schedule):
    """No reader ever misses money that is on its way.

    INVARIANT: A payment and a refund between two accounts, while others may read the accounts at any moment. That is:
        no money is missing.

    VALIDATED_BUG: DebitCommittedFirst: the accounts hold 170, expected 200, after step #2 (payer's COMMIT); it heals
        before the end.
        Root cause: each leg commits by itself, so between the two commits the money is nowhere for whoever looks.
        Fix: put both legs into one transaction.
        Replay: lab1:scenarios.in_between:DebitCommittedFirst::-:payer4.refunder4:dadz5:invariant.c6wp:nrkqfm
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(scenario=st.builds(DeskAlwaysAttended), schedule=schedules())
@example(scenario=DeskAlwaysAttended(), schedule=None)
async def test_a_desk_is_attended_in_between(lab, scenario, schedule):
    """A desk is attended at every moment, also while one hands over to another.

    INVARIANT: A desk at which one member hands over to the next, while somebody calls. That is: the desk is attended.

    VALIDATED_BUG: OffDutyBeforeOn: 0 members are on duty, expected 1, after step #2 (ann's COMMIT); it heals before
        the end.
        Root cause: who leaves commits before who comes, so in between nobody is on duty.
        Fix: write both in one transaction.
        Replay: lab1:scenarios.in_between:OffDutyBeforeOn::-:ann4.caller2:zatt5:invariant.bpot:gcgkxv
    """
    await lab.check(scenario, schedule)


@settings(max_examples=50)
@given(
    scenario=st.builds(StockNeverNegative, stock=st.integers(0, 20), sold=st.integers(1, 10), refill=st.just(20)),
    schedule=schedules(),
)
@example(scenario=StockNeverNegative(), schedule=None)
async def test_a_stock_is_not_negative_in_between(lab, scenario, schedule):
    """A stock is never below zero, not even until it is refilled.

    INVARIANT: Two sales of one article, each of which refills the stock where it is too small. That is: the stock is
        not negative.

    VALIDATED_BUG: OversoldThenRefilled: the stock is -1, after step #8 (ann's COMMIT); it heals before the end.
        Root cause: each sale reads the stock without a lock and takes from it by arithmetic, so two take what is there
            for one; who finds it below zero refills it afterwards, which hides that it was.
        Fix: read the stock with SELECT ... FOR UPDATE, so that the second sale refills it before it takes from it.
        Replay: lab1:scenarios.in_between:OversoldThenRefilled::-:ann.ben5.ann5:n2j5r:invariant.P4.z32v:s66bnt
    """
    await lab.check(scenario, schedule)


@pytest.mark.parametrize("cls", PLANTED, ids=lambda cls: cls.__name__)
async def test_only_a_look_in_between_finds_what_heals_before_the_end(lab, cls):
    """The same scenario with the same sentence as `@invariant` passes whatever the order; with `@always` it fails."""
    assert kind_of(cls) == "planted"
    assert kind_of(planted_bug_of(cls).of) == "right"
    (stated,) = invariants_of(cls)
    assert stated.always
    at_the_end = type(
        f"{cls.__name__}AtTheEnd",
        (cls,),
        {stated.attribute: invariant(_again(cls, stated.attribute)), "__module__": __name__},
    )
    assert not invariants_of(at_the_end)[0].always
    only_at_the_end = await Hunt.of(at_the_end(), executions=150, scheduler="random").run(lab.explorer)
    assert (only_at_the_end.verdict, only_at_the_end.executions) == ("pass", 150)
    always = await Hunt.of(cls(), executions=150, scheduler="random").run(lab.explorer)
    assert always.verdict == "fail"
    finding = always.failures[0].story["findings"][0]
    assert (finding["name"], finding["healed"]) == (stated.name, True)


def _again(cls: type[Scenario], attribute: str):
    async def holds(self, session):
        await getattr(super(type(self), self), attribute)(session)

    return holds
