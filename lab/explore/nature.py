"""Learns what no schedule controls in a scenario, from two runs of one schedule.

Two serial runs are made before the first execution at an isolation level, and belong to no search. What they do must be
the same: otherwise no schedule can be repeated, and a search that broke nothing says nothing of the next one. What
differs in values alone is left out of every comparison, and named. An execution with a statement that no equal runs
have shown yet is repeated once, and the two are compared like that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from lab.explore.contained import said
from lab.explore.equal_runs import difference, learn
from lab.explore.seen import Seen
from lab.model.nature import Places, joined
from lab.model.outcome import Ending
from lab.model.trace import ActionKind, Trace
from lab.postgres.statements.met import MetRows
from lab.scenario.declare import Scenario, actors_of, parameters_of, target_of

__all__ = ["Natures"]

SCENARIOS_KEPT = 200
"""As many as setups are kept; Hypothesis makes some 100 examples."""
EXAMPLES = 2
"""Sets of parameters of which it is learnt, where they are drawn: what is said of them is mostly the same."""
MOST_REPEATED = 20
"""Executions of a scenario that are repeated to learn from them. Code that writes values into its statements would have
a new one in each."""

NOTHING = MetRows()

Key = tuple[type[Scenario], str, str | None]


class Natures:
    """What was learnt of scenarios, if it `learns`. `observe` makes one serial run of a scenario at a level."""

    def __init__(self, observe: Callable[[Scenario, str | None], Awaitable[Seen]], *, learns: bool = True) -> None:
        self._observe, self._learns = observe, learns
        self._known: dict[Key, Places] = {}
        self._met: dict[Key, MetRows] = {}
        self._repeated = Counter[Key]()

    async def places(self, scenario: Scenario, level: str | None, *, drawn: bool = False) -> Places:
        """The places that differ by nature. `drawn`: these parameters are one example of many.

        Of those, what was learnt of a few will do.
        """
        if not self._learns:
            return Places()
        key = _key(scenario, level)
        if key in self._known:
            return self._known[key]
        others = [each for (cls, _, at), each in self._known.items() if (cls, at) == (type(scenario), level)]
        if drawn and len(others) >= EXAMPLES:
            return joined(others)
        with said("learn what differs between two equal runs"):
            places = await self._learnt(scenario, level)
        self._keep(key, places)
        return places

    def met(self, scenario: Scenario, level: str | None) -> MetRows:
        """The rows that statements wrote in a serial run of the scenario; none where no such run was made."""
        return self._met.get(_key(scenario, level), NOTHING)

    def has_news(self, scenario: Scenario, level: str | None, known: Places, trace: Trace) -> bool:
        """Whether an execution, as it is compared, is to be repeated for a statement that is new."""
        shown = known.statements
        if shown is None or known.unsteady or self._repeated[_key(scenario, level)] >= MOST_REPEATED:
            return False
        return any(step.action.kind is ActionKind.STATEMENT and step.action.text not in shown for step in trace)

    def teach(self, scenario: Scenario, level: str | None, known: Places, one: Seen, other: Seen) -> Places:
        """Take in two more equal runs. Returns what is known with that."""
        self._repeated[_key(scenario, level)] += 1
        places = joined([known, _compared(scenario, one, other)])
        self._keep(_key(scenario, level), places)
        return places

    def _keep(self, key: Key, places: Places) -> None:
        if key not in self._known and len(self._known) >= SCENARIOS_KEPT:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._met.pop(oldest, None)
        self._known[key] = places

    async def _learnt(self, scenario: Scenario, level: str | None) -> Places:
        one = await self._observe(scenario, level)
        self._met[_key(scenario, level)] = one.met
        if one.ending is Ending.STEP_LIMIT:  # it says nothing, and neither would another
            return Places()
        return _compared(scenario, one, await self._observe(scenario, level))


def _key(scenario: Scenario, level: str | None) -> Key:
    return type(scenario), repr(parameters_of(scenario)), level


def _compared(scenario: Scenario, one: Seen, other: Seen) -> Places:
    if said := difference(one, other):
        return Places(unsteady=_sentence(scenario, said))
    return learn(one, other, {each.name: each.attribute for each in actors_of(type(scenario))})


def _sentence(scenario: Scenario, said: str) -> str:
    """That no schedule of a scenario can be repeated, because of a difference between two equal runs."""
    return (
        f"two equal runs of {target_of(scenario)} do not do the same, so no schedule of it can be repeated: "
        f"{said}; chance that is not the lab's decides, or state of the process that outlives a run (a cache or a "
        "counter in a module)"
    )
