"""What these tests share: the same requests twice as a scenario, and the search for what that breaks."""

from __future__ import annotations

from dataclasses import dataclass

from bank import Bank
from helpers.kit import Order

import lab
from lab import actor, invariant
from lab.model.decision_text import decision_text
from lab.scenario.http import Application
from lab.search.hunt import Hunt


def twice(application, /, *requests, judged=True, **members):
    """A scenario of two actors with the same requests, judged by serial runs, or by nothing but how they end.

    In a path, NAME stands for the actor's name; `members` are added to the class.
    """

    async def ask(self, client, name):
        response = None
        for each in requests:
            method, path = each.split(" ", 1)
            response = await client.request(method, path.replace("NAME", name))
        return response

    async def nothing_else(self):
        pass

    members = {
        "__module__": __name__,
        "app": application if isinstance(application, Application) else lab.http(application),
        "ask": actor(names=("alice", "bob"))(ask),
        "as_if_one_by_one": lab.serializable() if judged else invariant(nothing_else),
        **members,
    }
    return dataclass(frozen=True)(type("Twice", (Bank,), members))()


class Roots(Order):
    """An `Order` of root actors: in which of its tasks an actor goes on is the framework's business."""

    def choose(self, choices):
        if choices.step >= len(self._decisions):
            return 0
        wished = str(decision_text(self._decisions[choices.step]))
        texts = [decision_text(each) for each in choices.decisions]
        return next(n for n, each in enumerate(texts) if each == wished or each.startswith(f"{wished}/"))


async def found(explorer, scenario, **options):
    """The violation that reduction finds; it replays."""
    result = await Hunt.of(scenario, **{"scheduler": "dpor", **options}).run(explorer)
    (failure,) = result.failures
    assert "replayed 5/5 identical" in failure.report
    return failure
