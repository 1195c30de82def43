"""Directed: runs the actors serially once, predicts from what they touched the cycles they could form, and tries those.

In the spirit of predictive analysis (Smaragdakis et al., "Sound predictive race detection", POPL 2012) and of the
dangerous structures that IsoDiff (Gan et al., VLDB 2020) looks for in an application's transactions. Here a prediction
need not be sound: it is a schedule, and only the execution counts.
"""

from __future__ import annotations

from lab.analysis.dependence import Move
from lab.analysis.predictions import Prediction, predictions, programs_of
from lab.model.choices import Choices
from lab.model.trace import Trace
from lab.schedulers.base import Scheduler

__all__ = ["Directed"]


class Directed(Scheduler):
    """Serial executions to learn from, one for each prediction, then over.

    An actor that comes second may find nothing left to do. So when no prediction is left, the next actor goes first.
    """

    name = "directed"
    summary = "the cycles that serial runs let one predict"
    by_chance = False

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._programs: dict[str, tuple[Move, ...]] | None = None
        self._unknown: list[str] = []
        """Actors that have not gone first yet."""
        self._ahead: list[Prediction] = []
        self._known: set[tuple[tuple[str, int | None], ...]] = set()
        self._current: Prediction | None = None
        self._learning = ""
        self._plan: list[tuple[str, int | None]] = []
        self._taken: dict[str, int] = {}
        self._predictions = 0, 0

    @property
    def predictions(self) -> tuple[int, int]:
        """Predictions that were run, and those whose transactions really overlapped as planned."""
        return self._predictions

    def begin(self, execution: int) -> bool:
        """The next prediction, or else a serial run in which the next actor goes first; over when there is neither."""
        self._taken, self._current, self._learning, self._plan = {}, None, "", []
        if self._programs is None:
            return True
        if self._ahead:
            self._current = self._ahead.pop(0)
            self._plan = list(self._current.plan)
        elif self._unknown:
            self._learning = self._unknown.pop(0)
            self._plan = [(self._learning, None)]
        else:
            return False
        return True

    def choose(self, choices: Choices) -> int:
        """The actor whose turn it is in the plan, if it can run, else the next one there; serial beyond its end."""
        if not choices.actors:
            return 0
        names = [name.partition("/")[0] for name in choices.names[: choices.actors]]
        while self._plan:
            name, until = self._plan[0]
            if name in names and (until is None or self._taken.get(name, 0) < until):
                self._taken[name] = self._taken.get(name, 0) + 1
                return names.index(name)
            self._plan.pop(0)
        return 0

    def end(self, trace: Trace) -> None:
        """Learn from a serial run what may be possible, from another whether the plan could be followed."""
        if self._current is not None:
            tried, came_true = self._predictions
            self._predictions = tried + 1, came_true + _followed(self._current, trace)
            return
        if self._programs is None:
            self._programs = programs_of(trace)
            self._unknown = list(trace.actors[1:])
        elif self._learning:
            self._programs[self._learning] = programs_of(trace)[self._learning]
        self._ahead = [each for each in predictions(self._programs) if each.plan not in self._known]
        self._known.update(each.plan for each in self._ahead)


def _followed(prediction: Prediction, trace: Trace) -> bool:
    """Whether the first actor of the plan was stopped where it says, and went on after another had taken a step."""
    name, until = prediction.plan[0]
    own = [step.number for step in trace if step.actor.partition("/")[0] == name]
    return until is not None and len(own) > until and own[until] - own[until - 1] > 1
