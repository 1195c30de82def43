"""Scenarios as they are declared."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from lab import Scenario, actor, invariant, planted_bug, probe
from lab.errors import ScenarioError
from lab.explore import Explorer
from lab.scenario.declare import actors_of, invariants_of, kind_of, parameters_of, planted_bug_of, target_of


@dataclass(frozen=True)
class Right(Scenario):
    amount: int = 3
    names: list[str] = field(default_factory=list)
    isolation = "REPEATABLE READ"

    @actor
    async def alice(self, session) -> None: ...

    @actor(names=("bob", "carol"), isolation="SERIALIZABLE", allows=("23505",))
    async def clerk(self, session, name) -> None: ...

    @invariant
    async def nothing_is_lost(self, session) -> None: ...


@planted_bug(of=Right, cause="reads first")
@dataclass(frozen=True)
class Wrong(Right):
    async def alice(self, connection) -> None: ...


@probe
class Shown(Right): ...


def test_actors_come_in_the_order_of_declaration_with_what_they_want():
    assert [(each.name, each.attribute, each.wants) for each in actors_of(Right)] == [
        ("alice", "alice", ("session",)),
        ("bob", "clerk", ("session", "name")),
        ("carol", "clerk", ("session", "name")),
    ]
    bob = actors_of(Right)[1]
    assert (bob.isolation, bob.allows) == ("SERIALIZABLE", ("23505",))


def test_an_override_keeps_place_and_mark_and_may_want_something_else():
    alice, *others = actors_of(Wrong)
    assert (alice.name, alice.wants) == ("alice", ("connection",))
    assert len(others) == 2


def test_a_subclass_can_take_an_actor_out():
    class Fewer(Right):
        clerk = None

    assert [each.name for each in actors_of(Fewer)] == ["alice"]


def test_an_invariant_is_a_sentence_with_a_place():
    (only,) = invariants_of(Right)
    assert only.name == "nothing is lost"
    assert only.location.startswith(__file__)


def test_kinds_are_not_inherited():
    assert [kind_of(each) for each in (Right, Wrong, Shown)] == ["right", "planted", "probe"]
    assert planted_bug_of(Wrong).of is Right

    class Child(Wrong): ...

    assert kind_of(Child) == "right"
    assert planted_bug_of(Child) is None


def test_parameters_are_the_fields_and_on_request_only_what_was_changed():
    assert parameters_of(Right()) == {"amount": 3, "names": []}
    assert parameters_of(Right(), changed_only=True) == {}
    assert parameters_of(Right(names=["x"]), changed_only=True) == {"names": ["x"]}


def test_a_target_names_module_and_class():
    assert target_of(Right()) == target_of(Right) == f"{__name__}:Right"


def _without_actors():
    class Lonely(Scenario): ...

    return Lonely()


def _with_one_actor():
    class Lonely(Scenario):
        @actor
        async def alice(self) -> None: ...

    return Lonely()


def _with_a_strange_wish():
    class Wishes(Right):
        async def alice(self, moon) -> None: ...

    return Wishes()


def _with_an_actor_that_is_no_coroutine():
    class Plain(Right):
        def alice(self, session) -> None: ...

    return Plain()


def _at_a_strange_level():
    class Level(Right):
        isolation = "READ UNCOMMITTED"

    return Level()


def _without_the_decorator():
    class Bare(Right):
        extra: int = 1

    return Bare()


def _of_a_base_without_the_decorator():
    class Bare(Right):
        extra: int = 1

    @dataclass(frozen=True)
    class Decorated(Bare):
        more: int = 1

    return Decorated()


def _with_a_strange_setup():
    class Setup(Right):
        async def setup(self, engine) -> None: ...

    return Setup()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_without_actors, "Lonely has no actor: a schedule needs two or more"),
        (_with_one_actor, r"Lonely has one actor \(alice\)"),
        (_with_a_strange_wish, "Wishes.alice asks for 'moon'; it can ask for session"),
        (_with_an_actor_that_is_no_coroutine, "Plain.alice must be `async def`"),
        (_at_a_strange_level, "Level asks for isolation 'READ UNCOMMITTED'; known are READ COMMITTED"),
        (_without_the_decorator, "Bare declares extra but is not a dataclass"),
        (_of_a_base_without_the_decorator, "Bare declares extra but is not a dataclass"),
        (_with_a_strange_setup, "Setup.setup asks for 'engine'"),
    ],
)
async def test_a_scenario_that_cannot_be_run_is_told_why_in_one_sentence(explorer: Explorer, make, message):
    with pytest.raises(ScenarioError, match=message) as raised:
        await explorer.run(make(), None)
    assert "\n" not in str(raised.value)
