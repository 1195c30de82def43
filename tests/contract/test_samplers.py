"""What the sampling schedulers promise beyond the contract: distributions, on simulated programs.

Seeds are fixed. A bound on a share is four standard deviations of it, sqrt(p * (1 - p) / n), unless stated.
"""

from __future__ import annotations

import math
from collections import Counter

import pytest
from helpers.decided import offer, step_of
from test_schedulers import PROGRAMS, Program, decisions

from lab.errors import Divergence, SearchOver, UsageError
from lab.model.choices import Choices
from lab.model.footprint import Access, Deferred, Footprint, Lock, Rows
from lab.model.trace import Action, ActionKind, Trace
from lab.schedulers import Scheduler, describe, make_scheduler
from lab.schedulers.feedback import Feedback
from lab.schedulers.lengths import Lengths
from lab.schedulers.novelty import Seen
from lab.schedulers.pct import PATIENCE, PCT
from lab.schedulers.portfolio import PROLOGUE, RARE, TURNS, WINDOW, Portfolio, in_turn
from lab.schedulers.pos import PartialOrderSampling
from lab.schedulers.urw import UniformRandomWalk

SAMPLERS = ("feedback", "pct", "pos", "random", "urw")
LETTERS = {"random": "R", "urw": "U", "pos": "P", "pct": "C"}
"""How the portfolio writes turns."""


def off(found: Counter, likely: dict) -> float:
    """How many standard deviations the share that is worst off lies from what it should be."""
    number = found.total()
    assert found.keys() <= likely.keys()
    return max(abs(found[key] / number - p) / math.sqrt(p * (1 - p) / number) for key, p in likely.items())


def orders(name: str, program: Program, executions: int, **options: int) -> Counter[str]:
    """How often each interleaving was run, by the first letters of the actors; execution 0 is left out."""
    found = decisions(lambda: make_scheduler(name, 11, **options), program, executions + 1)
    return Counter("".join(each[0] for each in one) for one in found[1:])


UNEVEN = Program({"alice": 1, "bob": 3})
"""4 interleavings: a before b number 1, 2, 3, or at the end."""


def test_urw_is_uniform_over_interleavings_and_a_random_walk_is_not():
    """Of alice's one step among bob's three, each place has chance 1/4; a random walk takes the first with 1/2."""
    places = ("abbb", "babb", "bbab", "bbba")
    assert off(orders("urw", UNEVEN, 2000), dict.fromkeys(places, 1 / 4)) < 4
    assert off(orders("random", UNEVEN, 2000), dict(zip(places, (1 / 2, 1 / 4, 1 / 8, 1 / 8), strict=True))) < 4


def test_urw_counts_the_steps_of_a_task_as_its_parents_until_it_is_started():
    """Parent: 2 steps, then a task of 3. While the task was not started, 5 steps lie behind the parent."""
    lengths = Lengths()
    lengths.learn(trace_of(["alice"] * 2 + ["alice/1"] * 3 + ["bob"] * 4))
    assert lengths.total == 9
    assert lengths.left("alice", Counter()) == 5
    assert lengths.left("alice", Counter({"alice": 1, "alice/1": 0})) == 1
    assert lengths.left("alice/1", Counter({"alice/1": 1})) == 2
    assert lengths.left("bob", Counter({"bob": 9})) == 1, "an actor that is longer than measured is not forgotten"
    assert lengths.left("nobody", Counter()) == 1


def test_urw_leaves_a_task_that_was_started_out_of_its_parents_weight():
    """Alice has 2 steps, her task 3, bob 4. All are runnable, so alice's chance is 2/9, not 5/12."""
    urw = UniformRandomWalk(4)
    urw.begin(0)
    urw.end(trace_of(["alice"] * 2 + ["alice/1"] * 3 + ["bob"] * 4))
    found: Counter[int] = Counter()
    alternatives = tuple(offer(name, Action(ActionKind.POINT, "x")) for name in ("alice", "alice/1", "bob"))
    for number in range(1, 1501):
        urw.begin(number)
        found[urw.choose(Choices(0, alternatives))] += 1
    assert off(found, {0: 2 / 9, 1: 3 / 9, 2: 4 / 9}) < 4


def trace_of(names: list[str]) -> Trace:
    action = Action(ActionKind.STATEMENT, "UPDATE t")
    return Trace(
        tuple(step_of(number, name, (name,), action) for number, name in enumerate(names, 1)), ("alice", "bob")
    )


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_pct_preempts_at_depth_minus_1_places_at_most(depth):
    program = Program({"alice": 6, "bob": 6, "carol": 6})
    scheduler = make_scheduler("pct", 3, depth=depth)
    preemptions = [trace.preemptions for trace in program.search(scheduler, 60)]
    assert max(preemptions) == depth - 1
    assert preemptions[0] == 0


def test_pct_of_depth_1_takes_every_order_of_the_actors_alike():
    found = orders("pct", Program({"alice": 2, "bob": 2, "carol": 2}), 1200, depth=1)
    sixth = {f"{a * 2}{b * 2}{c * 2}": 1 / 6 for a, b, c in ("abc", "acb", "bac", "bca", "cab", "cba")}
    assert off(found, sixth) < 4


def test_pct_of_depth_2_finds_what_needs_one_preemption_as_often_as_its_paper_says():
    """After alice's fourth step of 8, all of bob: chance 1/2 (alice first) times 1/15 (the place, of 15).

    The bound of the paper is 1 / (n * k) = 1/32.
    """
    found = orders("pct", Program({"alice": 8, "bob": 8}), 3000, depth=2)
    share = found["a" * 4 + "b" * 8 + "a" * 4] / found.total()
    assert abs(share - 1 / 30) < 4 * math.sqrt(1 / 30 * 29 / 30 / 3000)


def test_pct_demotes_an_actor_that_goes_on_without_end():
    """Of two actors without end, the second has its turn after `PATIENCE` times the measured steps."""
    scheduler = PCT(4, depth=1)
    PROGRAMS["two"].run(scheduler)
    for number in range(1, 9):
        scheduler.begin(number)
        action, last, taken = Action(ActionKind.POINT, "spin"), None, []
        for step in range(30):
            names = ("alice", "bob") if last != "bob" else ("bob", "alice")
            last = names[scheduler.choose(Choices(step, tuple(offer(n, action) for n in names), last))]
            taken.append(last)
        most = PATIENCE * sum(PROGRAMS["two"].steps.values())
        assert taken[: most + 1] == [taken[0]] * most + [taken[most]]
        assert taken[most] != taken[0]


def test_pct_refuses_a_depth_below_1():
    with pytest.raises(UsageError, match="the option 'depth' of the scheduler 'pct' is at least 1, not 0"):
        make_scheduler("pct", 0, depth=0)


READ = Footprint((Access(Rows("t"), reads=True),))
WRITE = Footprint((Access(Rows("t"), Lock.UPDATE, reads=True, writes=True),))


def touching(footprint: Footprint, text: str = "…") -> Action:
    return Action(ActionKind.STATEMENT, text, touches=Deferred.known(footprint))


def pos_choice(scheduler: PartialOrderSampling, step: int, pending: dict[str, Footprint]) -> str:
    alternatives = tuple(offer(name, touching(footprint)) for name, footprint in pending.items())
    return alternatives[scheduler.choose(Choices(step, alternatives))].actor


@pytest.mark.parametrize(("footprint", "kept"), [(READ, True), (WRITE, False)])
def test_pos_draws_anew_only_what_conflicts_with_the_step_that_was_taken(footprint, kept):
    """Three pending reads: the order is settled at once. Three pending writes: each step draws the others anew."""
    settled = 0
    for number in range(40):
        scheduler = PartialOrderSampling(2)
        scheduler.begin(number)
        pending = dict.fromkeys(("alice", "bob", "carol"), footprint)
        first = pos_choice(scheduler, 0, pending)
        del pending[first]
        settled += len(scheduler._priorities) == 2
        assert pos_choice(scheduler, 1, pending) in pending
    assert settled == (40 if kept else 0)


def test_pos_takes_every_place_of_a_read_among_reads_alike():
    """Alice's one read has one priority; bob's three are drawn one by one.

    Alice is after k steps of bob with chance 1/(k+1): she has the lowest of k + 1 alike. So the places have chances
    1/2, 1/2 - 1/3, 1/3 - 1/4, 1/4, where a random walk halves each time.
    """
    found: Counter[int] = Counter()
    scheduler = PartialOrderSampling(7)
    for number in range(2000):
        scheduler.begin(number)
        step = 0
        while step < 3 and pos_choice(scheduler, step, {"alice": READ, "bob": READ}) == "bob":
            step += 1
        found[step] += 1
    assert off(found, {0: 1 / 2, 1: 1 / 6, 2: 1 / 12, 3: 1 / 4}) < 4


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_strikes_faults_early_and_late_and_sometimes_not_at_all(name):
    found = decisions(lambda: make_scheduler(name, 1), PROGRAMS["faults"], 200)[1:]
    places = Counter(next((at for at, actor in enumerate(one) if "@" in actor), None) for one in found)
    assert places.keys() >= {None, 0, 1, 2, 3}
    assert max(places.values()) < 160


@pytest.mark.parametrize("name", ["feedback", "pct", "pos", "urw"])
def test_every_sampler_meets_every_interleaving_of_a_small_program(name):
    """6 interleavings. PCT of depth 3 is the least even: abba needs both points, chance 1/2 * 1/3 at least."""
    assert len(orders(name, PROGRAMS["two"], 300)) == 6


def test_two_executions_that_differ_in_the_order_of_reads_are_one_trace():
    seen = Seen()

    def trace(*steps: tuple[str, Footprint, str]) -> Trace:
        numbered = enumerate(steps, 1)
        both = ("a", "b")
        return Trace(tuple(step_of(n, who, both, touching(footprint, text)) for n, (who, footprint, text) in numbered))

    early, late, lock, other = ("a", READ, "r1"), ("b", READ, "r2"), ("b", WRITE, "w"), ("a", READ, "r3")
    assert seen.add(trace(early, late, lock))
    assert not seen.add(trace(late, early, lock))
    assert not seen.add(trace(late, lock, early)), "a plain read does not see what is not committed"
    assert seen.add(trace(other, late, lock)), "another statement"
    assert seen.add(trace(("a", WRITE, "x"), lock))
    assert seen.add(trace(lock, ("a", WRITE, "x"))), "two writes of one row"


def test_feedback_follows_a_schedule_that_showed_a_new_trace():
    """With one schedule kept, most executions share at least half of its decisions, more than a random walk does."""
    program = Program({"alice": 8, "bob": 8, "carol": 8})
    feedback = Feedback(3)
    kept = [step.actor for step in program.run(feedback)]
    alike = {}
    for name in ("feedback", "random"):
        shares = []
        for seed in range(60):
            scheduler = feedback if name == "feedback" else make_scheduler("random", seed)
            if name == "feedback":
                del scheduler._kept[1:]
            names = [step.actor for step in program.run(scheduler, seed + 1)]
            shares.append(next((at for at, (a, b) in enumerate(zip(names, kept, strict=True)) if a != b), len(names)))
        alike[name] = sum(shares) / len(shares)
    assert alike["feedback"] > 3 * alike["random"]


def test_feedback_keeps_a_schedule_for_each_new_trace_and_no_more():
    feedback = Feedback(3)
    for number in range(100):
        PROGRAMS["two"].run(feedback, number)
    assert len(feedback._kept) == 6


class Told(Scheduler):
    """A scheduler that goes serially, for so many executions, and notes what it was told."""

    def __init__(self, executions: int) -> None:
        super().__init__()
        self.left = executions
        self.begun: list[int] = []
        self.ended: list[Trace] = []

    def begin(self, execution: int) -> bool:
        self.begun.append(execution)
        self.left -= 1
        return self.left >= 0

    def choose(self, choices: Choices) -> int:
        return 0

    def end(self, trace: Trace) -> None:
        self.ended.append(trace)


def test_the_portfolio_begins_serially_goes_on_with_predictions_and_then_samples():
    """Execution 1 takes turns; then one in three is a sample, later every other; all once nothing is predicted."""
    directed = Told(1 + 6)
    portfolio = Portfolio(1, directed=directed)
    runs, samples = [], []
    for number in range(PROLOGUE):
        runs.append(PROGRAMS["three"].run(portfolio, number))
        samples.append(portfolio.sampled)
    assert samples == [number not in (0, 1, 2, 3, 5, 6, 8, 10) for number in range(PROLOGUE)]
    assert directed.begun[:7] == [0, 1, 2, 3, 4, 5, 6]
    assert directed.ended == [runs[number] for number in (0, 2, 3, 5, 6, 8, 10)]
    assert runs[0].preemptions == 0
    assert [step.actor for step in runs[1]][:3] == ["alice", "bob", "carol"]
    assert any(run.preemptions for run in runs)


def test_where_faults_can_strike_the_fewest_come_first():
    """Directed search knows nothing of faults. Schedules with one fault come before those with one preemption."""
    directed, program = Told(100), PROGRAMS["faults"]
    portfolio, costs, bounds = Portfolio(1, directed=directed), [], []
    for number in range(200):
        try:
            run = program.run(portfolio, number)
        except SearchOver:
            break
        bounds.append(portfolio.bound)
        if portfolio._turn is portfolio._by_cost:
            costs.append((run.faults + run.preemptions, run.preemptions))
    assert directed.begun == [0]
    assert costs == sorted(costs)
    assert {(0, 0), (1, 0), (1, 1), (2, 1)} <= {*costs}
    assert bounds == sorted(bounds, key=lambda bound: 99 if bound is None else bound)
    assert portfolio.complete, "all schedules were run"


def test_the_portfolio_gives_predictions_no_more_than_the_prologue():
    directed = Told(1000)
    portfolio = Portfolio(1, directed=directed)
    for number in range(PROLOGUE + 10):
        PROGRAMS["three"].run(portfolio, number)
    assert len(directed.ended) == 1 + 4 + 11


def test_the_portfolio_makes_no_predictions_in_a_part_of_a_hunt():
    directed = Told(1000)
    portfolio = Portfolio(1, directed=directed)
    for number in (0, *range(PROLOGUE, PROLOGUE + 9)):
        PROGRAMS["three"].run(portfolio, number)
    assert directed.begun == [0]


def test_the_portfolio_does_without_a_reduction_that_diverges():
    """The scenario depends on more than its schedule: what reduction would prove is void, samples are not."""

    class Diverges(Told):
        def choose(self, choices: Choices) -> int:
            raise Divergence("…")

    reduction = Diverges(1000)
    portfolio = Portfolio(1, directed=Told(1), reduction=reduction)
    samples = []
    for number in range(WINDOW + 60):
        PROGRAMS["two"].run(portfolio, number)
        samples.append(portfolio.sampled)
    assert reduction.begun == [0]
    assert samples.count(False) == 3, "the serial run, the one in turn, and the one that was led to its end"


def test_each_execution_of_the_portfolio_is_that_of_the_sampler_whose_turn_it_is():
    program = PROGRAMS["three"]
    mixed = decisions(lambda: make_scheduler("portfolio", 5), program, PROLOGUE + len(TURNS))
    for name, letter in LETTERS.items():
        own = decisions(lambda: make_scheduler(name, 5), program, PROLOGUE + len(TURNS))  # noqa: B023
        for number in range(PROLOGUE, PROLOGUE + len(TURNS)):
            if TURNS[number % len(TURNS)] == letter:
                assert mixed[number] == own[number], (name, number)


@pytest.mark.parametrize("turns", [{"random": 3, "urw": 1, "pos": 2}, {"pos": 2}, {"random": 4, "urw": 3, "pct": 2}])
def test_the_turns_of_the_portfolio_are_those_that_it_is_given(turns):
    """Also among every other execution, which are all that is left to samples beside reduction."""
    order = in_turn(turns)
    for half in (order, [order[number % len(order)] for number in range(0, 2 * len(order), 2)]):
        met = {name: list(half).count(letter) / len(half) for name, letter in LETTERS.items()}
        assert met == pytest.approx({name: turns.get(name, 0) / sum(turns.values()) for name in LETTERS})
    portfolio = make_scheduler("portfolio", 5, **turns)
    program = PROGRAMS["three"]
    mixed = decisions(lambda: portfolio, program, PROLOGUE + len(order))
    for number in range(PROLOGUE, PROLOGUE + len(order)):
        name = next(name for name, letter in LETTERS.items() if letter == order[number % len(order)])
        own = decisions(lambda: make_scheduler(name, 5), program, number + 1)  # noqa: B023
        assert mixed[number] == own[number]


def test_without_turns_the_portfolio_is_what_it_was_and_no_turn_is_none():
    assert Portfolio()._turns is TURNS
    assert in_turn({"random": 1}) == "R"
    with pytest.raises(UsageError, match="the option 'random' of the scheduler 'portfolio' is at least 1, not 0"):
        make_scheduler("portfolio", 0, random=0, urw=2)


def test_the_portfolio_turns_to_reduction_when_new_traces_are_rare_and_ends_with_it():
    """6 interleavings are soon seen. Every other execution is then the reduction's, and when it is over, so is all."""
    reduction = Told(4)
    portfolio = Portfolio(1, directed=Told(1), reduction=reduction)
    number = sum(1 for _ in PROGRAMS["two"].search(portfolio, 10 * WINDOW))
    assert reduction.begun == [0, 1, 2, 3, 4]
    assert len(reduction.ended) == 4
    assert WINDOW < number < WINDOW + 40
    assert not portfolio.begin(number)
    assert not portfolio.begin(number + 1)


def test_the_portfolio_leaves_reduction_out_while_new_traces_are_common_and_in_parts_of_a_hunt():
    for program, first in ((Program({"alice": 9, "bob": 9}), 1), (PROGRAMS["two"], PROLOGUE + 5)):
        reduction = Told(4)
        portfolio = Portfolio(1, directed=Told(1), reduction=reduction)
        for number in (0, *range(first, first + 3 * WINDOW)):
            program.run(portfolio, number)
        assert not reduction.begun
    assert 0 < RARE < 1


def test_options_are_checked_and_named():
    assert describe("pct", 3, {"depth": 2}) == "pct(depth=2, seed=3)"
    assert describe("random", 0, {}) == "random(seed=0)"
    with pytest.raises(UsageError, match="'random' has no option 'depth'; it has none"):
        make_scheduler("random", 0, depth=3)
    with pytest.raises(UsageError, match="'pct' has no option 'preemptions'; its options are depth"):
        make_scheduler("pct", 0, preemptions=3)


def test_a_sampler_that_was_never_measured_still_samples():
    """Whoever asks for an execution without execution 0 gets one: URW is then a random walk, PCT assumes a length."""
    for scheduler in (UniformRandomWalk(1), PCT(1), Portfolio(1)):
        assert not scheduler.calibrated
        assert len(PROGRAMS["three"].run(scheduler, 5)) == 6
