"""What the lab says of a failure, word by word: a change of a text shows as a change of a file beside this one.

`LAB_WRITE_SNAPSHOTS=1 pytest tests/snapshots` writes the files anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import stories
from helpers.decided import decided
from helpers.kit import Order

from lab.checkers import judged
from lab.errors import Divergence
from lab.explore import Conditions
from lab.model.record import Failure
from lab.model.replay_token import encode, token_of
from lab.model.schedule import Schedule
from lab.report.failure import execution_report, failure_report
from lab.schedulers.replay import Replay
from lab.shrink.refine import refined
from lab.shrink.relevance import relevance
from scenarios import constraints, isolation

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)  # places in code are shown relative to the current folder


def compare(name: str, text: str) -> None:
    file = HERE / f"{name}.txt"
    if os.environ.get("LAB_WRITE_SNAPSHOTS"):
        file.write_text(f"{text}\n")
    assert f"{text}\n" == file.read_text()


STORIES = {
    "broken_invariant": (stories.Withdrawals(), "alice bob bob bob alice alice"),
    "lock_wait_and_wake_up": (stories.Withdrawals(amount=5), "alice alice bob bob alice bob bob"),
    "unexpected_error": (stories.Registrations(), "alice bob alice"),
    "stall": (stories.Stuck(), "bob alice"),
    "deadlock": (stories.Crossed(), "alice bob alice bob"),
    "more_than_four_actors": (stories.Crowd(), "bob bob auditor"),
}


@pytest.mark.parametrize("name", STORIES)
async def test_the_failure_message_reads_as_pinned(explorer, name):
    """Headline, invariant, story, what was needed, waits, cycle, results and token, exactly."""
    scenario, order = STORIES[name]
    record = await explorer.run(scenario, Order(order), recorded=True)
    assert record.failed
    token = encode(token_of(record, "")) if name != "stall" else "lab1:…"
    failure = Failure(
        record, token, record, execution=37, executions=200, scheduler="random(seed=8123)", identical=5, replays=5
    )
    tried = await relevance(record, partial(explorer.run, scenario))
    compare(name, failure_report(replace(failure, relevance=tried)))


ANOMALIES = {
    "lost_update": (isolation.LostUpdateAnomaly(), "first second second second first first"),
    "read_skew": (isolation.ReadSkewAnomaly(), "reader mover mover mover reader"),
    "phantom": (isolation.PhantomAnomaly(), "counter founder founder counter"),
    "write_skew": (isolation.WriteSkewAnomaly(), "ann ben ben ben ann ann"),
    "check_then_insert": (constraints.NameCheckedByTheApplication(), "one other other other one one"),
}


@pytest.mark.parametrize("name", ANOMALIES)
async def test_an_anomaly_is_named_and_explained_and_the_levels_above_were_tried(explorer, name):
    """The whole message, with the cycle, its statements, and what the same order gave at the next levels."""
    scenario, order = ANOMALIES[name]
    record = await explorer.run(scenario, Order(order))
    failure = Failure(record, "", record, execution=3, executions=200, scheduler="random(seed=8123)")
    async for smaller in refined(explorer, failure, Conditions()):
        failure = smaller
    compare(name, failure_report(failure))


async def test_a_duplicate_key_has_its_cause_and_was_tried_at_the_levels_above(explorer):
    """Without an anomaly too: who looked, who inserted, and where the server refuses it in another way."""
    record = await explorer.run(constraints.GetThenCreate(), Order("tab1 tab2 tab2 tab2 tab1 tab1"))
    failure = Failure(record, "", record, execution=3, executions=200, scheduler="random(seed=8123)")
    async for smaller in refined(explorer, failure, Conditions()):
        failure = smaller
    compare("duplicate_key", failure_report(failure))


async def test_what_the_database_promised_to_prevent_is_told_apart(explorer):
    """Another verdict than a broken invariant: a real history, as if it had been seen at SERIALIZABLE."""
    record = await explorer.run(stories.Withdrawals(), Order("alice bob bob bob alice alice"), recorded=True)
    transactions = tuple(replace(each, level="SERIALIZABLE") for each in record.history.transactions)
    history = replace(record.history, transactions=transactions)
    promised = replace(record, history=history, broken=())
    compare("broken_promise", execution_report(judged(promised)))


async def test_a_failure_without_a_hunt_says_its_level_and_how_it_was_shrunk(explorer):
    """What a pytest run shows: no number of an execution, the isolation level, and both ways to replay."""
    record = await explorer.run(stories.Withdrawals(), Order("alice bob bob bob alice alice"), isolation="SERIALIZABLE")
    assert record.outcome.results["alice"].aborted
    compare("execution_without_hunt", execution_report(record))
    found = await explorer.run(stories.Withdrawals(), Order("bob alice bob alice bob"))
    broken = await explorer.run(stories.Withdrawals(), Order("alice bob bob bob alice alice"))
    failure = Failure(broken, "lab1:…", found)
    text = failure_report(failure, replay_hint="pytest … --lab-replay=TOKEN\nlab replay TOKEN")
    compare("failure_in_pytest", text)


async def test_a_failure_that_does_not_replay_surely_says_so(explorer):
    """How many replays were identical, what the others said, and what was not compared, stand in the message."""
    record = await explorer.run(stories.Withdrawals(), Order("alice bob bob bob alice alice"))
    outcome = replace(record.outcome, uncontrolled=("a clock value", "a generated UUID"))
    unsure = replace(record, outcome=outcome)
    failure = Failure(unsure, "lab1:…", record, 1, 1, "random(seed=0)", 3, 5, "diverged at step 2: expected bob …")
    compare("unsure_failure", failure_report(failure))


async def test_a_divergence_names_step_expectation_and_who_was_runnable(explorer):
    """A replay that meets other choices says where, what it expected, who was runnable, and likely causes."""
    texts = []
    for decisions in (
        ("alice", "alice", "bob", "bob", "bob"),
        ("alice", "bob", "alice"),
        ("alice", "alice", "alice", "bob", "bob", "bob", "alice"),
        ("alice", "alice", "alice", "bob", "bob", "bob"),
    ):
        replay = Replay(Schedule(decided(decisions), "aaaaa"))
        with pytest.raises(Divergence) as caught:
            await explorer.run(stories.Withdrawals(), replay)
        texts.append(str(caught.value))
    compare("divergence", "\n\n".join(texts))
