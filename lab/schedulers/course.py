"""Executions that a scheduler foresees, so that they can be made elsewhere while the search stays where it is.

The search is one: whoever has it takes in execution after execution, in the order in which it would make them alone.
What it foresees, others may make before. A sample is the same wherever it is made, so its number says all. Any other
execution depends on those before it: it is foreseen as far as the scheduler knows now, and when the search comes to it,
the scheduler is led along what was made (`lab.schedulers.way`) and makes each decision itself. Where it would decide
otherwise, what was made is of no use; so a wrong guess costs time and changes nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from lab.schedulers.base import Scheduler

__all__ = ["Course", "Samples", "Shared"]


@dataclass(frozen=True, slots=True)
class Course:
    """An execution that can be made anywhere. `key` says which; courses of one search with one key are the same."""

    key: str
    number: int
    """Of the execution, as its maker begins it; of a sample, the number that it has in the search."""
    made: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = field(default=None, compare=False, repr=False)
    """The plan, or what makes it: most courses are only looked at."""

    @property
    def plan(self) -> Mapping[str, Any]:
        """How to come to its decisions, as values that JSON can hold; nothing for a sample."""
        return self.made() if callable(self.made) else self.made or {}

    @property
    def is_sample(self) -> bool:
        """Whether it is the same wherever it is made, and whatever came before it."""
        return not self.made

    def dump(self) -> list[Any]:
        """As values that JSON can hold."""
        return [self.key, self.number, self.plan]

    @classmethod
    def load(cls, values: list[Any]) -> Course:
        """From what `dump` made, as JSON has it."""
        return cls(*values)

    @classmethod
    def sample(cls, number: int) -> Course:
        """The sample with this number."""
        return cls(str(number), number)


class Shared(ABC):
    """What a scheduler is besides whose search is one, while others can make some of its executions."""

    @abstractmethod
    def courses(self, execution: int) -> Iterator[Course]:
        """The execution with this number, which comes next, and those that are likely to follow, in their order.

        Each is made when it is asked for. Nothing where only the scheduler itself can make the next one.
        """

    def follower(self, course: Course) -> Scheduler:
        """On the side of a maker, whose scheduler this is: what makes the decisions of that execution.

        One that is `Shared` itself foresees afterwards what that execution leads to and what comes right behind it.
        """
        raise NotImplementedError("it foresees nothing but samples")

    def skip(self, execution: int, form: str) -> None:  # noqa: B027 - most have nothing to learn
        """That sample was made elsewhere; `form` is the digest of its normal form. There is no `begin` for it."""


class Samples(Shared):
    """The same of a scheduler whose executions are samples, each drawn from its number, once it is `calibrated`."""

    def courses(self, execution: int) -> Iterator[Course]:
        """All that follow."""
        assert isinstance(self, Scheduler), "this is a part of one"
        return map(Course.sample, count(execution)) if self.calibrated else iter(())
