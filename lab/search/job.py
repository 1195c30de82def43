"""What to hunt and how: one value for a hunt, or for a part of one, that can be passed to another process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from lab.explore.conditions import AS_IT_STANDS, Conditions
from lab.report.section import WIDTH
from lab.scenario.declare import Scenario, parameters_of, target_of
from lab.scenario.registry import instance_of
from lab.schedulers import DEFAULT, describe

__all__ = ["Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """A hunt, or a part of one: `first` is then the number of its first execution."""

    target: str
    scheduler: str = DEFAULT
    executions: int = 200
    """How many at most."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Of the scenario, those that are not its defaults. For another process: as a replay token can carry them."""
    first: int = 0
    total: int = 0
    """How many executions the whole may have, of which this is a part; 0: it is the whole."""
    known: Sequence[Sequence[str]] = ()
    """The keys of violations that earlier parts have reported."""
    seconds: float | None = None
    seed: int = 0
    keep_going: bool = False
    """Do not stop at the first violation."""
    at_least: int = 1
    """Do not stop for a violation before so many executions."""
    refine: bool = True
    """Minimise failures, find out what they needed and replay them; without, they are counted and reported as met."""
    options: Mapping[str, int] = field(default_factory=dict)
    """Options of the scheduler."""
    conditions: Conditions = AS_IT_STANDS
    token: str = ""
    """Replay this once, instead of a search."""
    ahead: bool = False
    """Only get ready to replay the token: do what comes before its execution."""
    follow: bool = False
    """Where the token does not replay, take its decisions as far as they can be: does that still break something?"""
    remedy: str = ""
    """Search under this remedy, as `lab.search.remedies.away` writes it, until the answer is certain."""
    pages: bool = False
    """Failures are reported with what their pages are made from."""
    width: int = WIDTH
    """Columns of the reports of failures."""
    helps: bool = False
    """Make executions for the search of another process, as that one asks for them. See `lab.search.crew`."""

    @classmethod
    def of(cls, scenario: Scenario, **more: Any) -> Job:
        """The hunt of a scenario with its parameters; `more` are fields."""
        return cls(target_of(scenario), parameters=parameters_of(scenario, changed_only=True), **more)

    def scenario(self) -> Scenario:
        """What is hunted. Raises `UsageError` if it cannot be found or made."""
        return instance_of(self.target, self.parameters)

    @property
    def described(self) -> str:
        """The scheduler as reports name it."""
        return describe(self.scheduler, self.seed, self.options)

    def dump(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"conditions": self.conditions.dump()}

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Job:
        """From what `dump` made, as JSON has it."""
        return cls(**{**values, "conditions": Conditions.load(values["conditions"])})
