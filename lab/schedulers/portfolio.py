"""The portfolio: no single policy is enough, so several take turns. The default.

1. A serial run in the order of declaration: what breaks without a preemption, and what the others learn from. Then one
   in which the actors take a step each, in turn: symmetric races fall in it.
2. Directed search: what that run lets one predict, and serial runs in which another actor goes first. It shares the
   prologue with the samplers, as long as it knows any. It knows nothing of faults; where they can strike, depth-first
   search has its place, by the number of preemptions and faults: one fault at every place where it can strike, then one
   with a preemption, then two. It keeps every other execution until all schedules with so many were run. One of these
   has the first execution: where every policy finds the bug at once, the portfolio must not be the one that comes to it
   late.
3. Random walk, URW and POS in turn, with a slice of PCT of depth 3. The chance of a bug differs between them by a
   factor of ten and more, in either direction (docs/architecture.md, "Measured facts"); a mix costs at most a factor of
   some two.
4. When new traces become rare, every other execution is one of the reduction, which ends the search when every trace
   was run. Rare means what Good (1953) says it does: the share of new traces among the last samples estimates the
   chance that the next one is new.

The idea is that of algorithm portfolios: Gomes, Selman, Artificial Intelligence 126, 2001.

The execution's number decides whose turn it is, and each sampler draws from (seed, number). So the samples are the
same wherever they run, and a part of a hunt may begin anywhere behind the prologue, once execution 0 was run there for
the lengths. Reduction is for a search that began at 0 and left nothing out: a part sees too little of the whole. So
one process has the search, and others make what it foresees (`courses`): samples, which it skips, and executions of the
reduction.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from itertools import count

from lab.errors import Divergence
from lab.model.choices import Choices
from lab.model.trace import Trace
from lab.schedulers.base import Option, Scheduler
from lab.schedulers.course import Course, Shared
from lab.schedulers.dfs import DepthFirst
from lab.schedulers.directed import Directed
from lab.schedulers.dpor import Dpor
from lab.schedulers.guided import Guided
from lab.schedulers.in_turn import InTurn
from lab.schedulers.novelty import Seen
from lab.schedulers.pct import PCT
from lab.schedulers.pos import PartialOrderSampling
from lab.schedulers.random_walk import RandomWalk
from lab.schedulers.urw import UniformRandomWalk

__all__ = ["PROLOGUE", "SAMPLERS", "Portfolio"]

PROLOGUE = 30
"""From this execution on there are samples only, or reduction. Before, up to 15 are directed."""
LIKELY = 7
"""Before this execution two of three are directed, beginning with the second after the serial run; then every other."""
TURNS = "RRPUPRUUPCR"
"""POS, random walk, URW, PCT. An odd number of turns, so that every other execution meets all of them."""
SAMPLERS = {"random": "R", "urw": "U", "pos": "P", "pct": "C"}
"""Those whose turns can be chosen, by the names of their schedulers."""
WINDOW = 50
PAIRS = 2
"""So many preemptions and faults a schedule has at most that is run for its own sake, where faults can strike."""
RARE = 0.1
"""Reduction begins when fewer than this share of the last samples, so many, showed a new trace."""

SERIALLY = Guided(())


def in_turn(turns: Mapping[str, int]) -> str:
    """Samplers in turn, each as often as is said by its scheduler's name, well mixed, and met by every other execution.

    Whoever is furthest behind its share goes next. An even number of turns is followed by the same turns again, moved
    on by one.
    """
    total = sum(turns.values())
    had: Counter[str] = Counter()
    order = ""
    for turn in range(1, total + 1):
        name = max(turns, key=lambda each: turns[each] * turn / total - had[each])
        had[name] += 1
        order += SAMPLERS[name]
    return order if total % 2 else order + order[1:] + order[:1]


class Portfolio(Scheduler, Shared):
    """Lets other schedulers make the decisions, one for each execution."""

    name = "portfolio"
    summary = "several of the others in turn"
    options = tuple(
        Option(name, f"turns of {name}, where turns are given; others have none", least=1) for name in SAMPLERS
    )
    prologue = PROLOGUE

    def __init__(
        self,
        seed: int = 0,
        *,
        directed: Scheduler | None = None,
        reduction: Scheduler | None = None,
        random: int | None = None,
        urw: int | None = None,
        pos: int | None = None,
        pct: int | None = None,
    ) -> None:
        super().__init__(seed)
        given = {"random": random, "urw": urw, "pos": pos, "pct": pct}
        turns = {name: number for name, number in given.items() if number is not None}
        self._turns = in_turn(turns) if turns else TURNS
        self._samplers: dict[str, Scheduler] = {
            "R": RandomWalk(seed),
            "U": UniformRandomWalk(seed),
            "P": PartialOrderSampling(seed),
            "C": PCT(seed),
        }
        self._samples: Counter[str] = Counter()
        """How often it was each sampler's turn."""
        self._firsts = {name: int(not sampler.calibrated) for name, sampler in self._samplers.items()}
        """The first execution of each that is a sample."""
        self._directed, self._reduction = directed or Directed(), reduction or Dpor()
        self._by_cost, self._by_cost_runs = DepthFirst(), 1
        """What is searched where faults can strike. It takes the serial run for its first execution."""
        self._learners: tuple[Scheduler, ...] = (*self._samplers.values(), self._directed)
        """The schedulers that learn from the serial run: each takes it for its own execution 0."""
        self._turn: Scheduler = SERIALLY
        self._execution = -1
        self._whole = True
        """Every execution since the first was made here."""
        self._over = False
        self._faults = False
        self._directed_runs, self._reduction_runs = 1, 0
        self._seen = Seen()
        self._new: deque[bool] = deque(maxlen=WINDOW)
        """Of the last samples, whether they showed a new trace."""
        self._calibrated = False

    @property
    def calibrated(self) -> bool:
        """Whether execution 0 was run."""
        return self._calibrated

    @property
    def sampled(self) -> bool:
        """Whether this execution is an independent sample."""
        return self._turn.sampled

    @property
    def exact(self) -> bool:
        """Whether the scheduler is whose turn it is."""
        return self._turn.exact

    @property
    def bound(self) -> int | None:
        """Schedules with fewer preemptions and faults than this were all run, where faults can strike."""
        return self._by_cost.bound if self._faults and self._whole and not self._over else None

    @property
    def predictions(self) -> tuple[int, int]:
        """How many predictions of the directed search were tried, and how many came true."""
        return self._directed.predictions

    @property
    def complete(self) -> bool:
        """Whether every trace was run: only the reduction ends a search, or depth-first search."""
        return self._over

    def begin(self, execution: int) -> bool:
        """Choose the scheduler of this execution. Over when the reduction is over."""
        self._whole = self._whole and execution <= self._execution + 1
        self._execution = execution
        if not execution:
            self._turn = SERIALLY
            return all(learner.begin(0) for learner in (*self._learners, self._by_cost))
        if execution == 1:
            self._turn = InTurn()
            return True
        whole = self._faults and self._whole and self._by_cost.complete
        self._over = self._over or whole or not (self._begins_systematic(execution) or self._begins_another(execution))
        return not self._over

    def choose(self, choices: Choices) -> int:
        """The choice of the scheduler whose turn it is."""
        if not self._execution:
            self._faults |= any(each.is_fault for each in choices.alternatives)
            return self._by_cost.choose(choices)
        try:
            return self._turn.choose(choices)
        except Divergence:
            # Reduction needs a scenario that its schedule determines; samples are useful without that.
            self._whole, self._turn = False, SERIALLY
            return 0

    def end(self, trace: Trace) -> None:
        """Report the execution to the scheduler whose turn it was, and note how rare new traces are."""
        new = self._seen.add(trace)
        if self.sampled:
            self._new.append(new)
        if self._execution:
            self._turn.end(trace)
            return
        for learner in (*self._learners, self._by_cost):
            learner.end(trace)
        self._calibrated = True

    def courses(self, execution: int) -> Iterator[Course]:
        """Behind the prologue: samples, and where new traces are rare, every other time what the reduction foresees."""
        if self._over or execution < PROLOGUE:
            return
        others: Iterator[Course] = iter(())
        if self._pairs_are_left:
            others = self._by_cost.courses(self._by_cost_runs)
        elif isinstance(self._reduction, Shared) and self._rare():
            others = self._reduction.courses(self._reduction_runs)
        for number in count(execution):
            if not ((self._pairs_are_left or self._rare()) and number % 2):
                yield Course.sample(number)
            elif (course := next(others, None)) is not None:
                yield course
            elif number == execution:
                return

    def follower(self, course: Course) -> Scheduler:
        """Itself for a sample, else what its reduction says."""
        if course.is_sample:
            return self
        if self._by_cost.has_foreseen(course):
            return self._by_cost.follower(course)
        assert isinstance(self._reduction, Shared), "it has foreseen this execution"
        return self._reduction.follower(course)

    def skip(self, execution: int, form: str) -> None:
        """A sample that was made elsewhere: it counts for how rare new traces are."""
        self._execution = execution
        self._new.append(self._seen.note(form))

    def _begins_systematic(self, execution: int) -> bool:
        if not self._whole or execution >= PROLOGUE or execution % (3 if execution < LIKELY else 2) == 1:
            return False
        return self._begins_by_cost() if self._faults else self._begins_directed()

    @property
    def _pairs_are_left(self) -> bool:
        """Whether faults can strike, and not every schedule with few of them and of preemptions was run."""
        bound = self.bound
        return bound is not None and bound <= PAIRS

    def _begins_by_cost(self) -> bool:
        if not self._pairs_are_left or not self._by_cost.begin(self._by_cost_runs):
            return False
        self._by_cost_runs += 1
        self._turn = self._by_cost
        return True

    def _begins_directed(self) -> bool:
        if not self._directed.begin(self._directed_runs):
            return False
        self._directed_runs += 1
        self._turn = self._directed
        return True

    def _begins_reduction(self) -> bool:
        if not self._reduction.begin(self._reduction_runs):
            return False
        self._reduction_runs += 1
        self._turn = self._reduction
        return True

    def _begins_another(self, execution: int) -> bool:
        if self._pairs_are_left and execution % 2:
            return self._begins_by_cost()
        if self._rare() and execution % 2:
            return self._begins_reduction()
        name = self._turns[execution % len(self._turns)]
        self._turn = self._samplers[name]
        # In the prologue each sampler makes the executions that it would make alone; behind it, numbers that can be
        # computed anywhere.
        self._samples[name] += 1
        return self._turn.begin(self._samples[name] - 1 + self._firsts[name] if execution < PROLOGUE else execution)

    def _rare(self) -> bool:
        return self._whole and len(self._new) == WINDOW and sum(self._new) < RARE * WINDOW
