"""What `lab.actions` hands out behaves as the service does, and is the service where nothing is recorded."""

import asyncio
import copy
import inspect
import sys
from dataclasses import dataclass
from functools import partial, wraps
from types import ModuleType
from unittest.mock import Mock

import pytest

import lab
from lab.engine.replaced import replaced
from lab.search.races.actions import Actions


class Missing(Exception):
    pass


class Store:
    """Keeps things."""

    shelf = 3

    def __init__(self, *things):
        self.things = list(things)

    async def put(self, thing):
        self.things.append(thing)
        return await self.count()

    async def count(self):
        return len(self)

    @classmethod
    async def opened(cls, *things):
        return cls(*things)

    def first(self):
        return self.things[0]

    def __len__(self):
        return len(self.things)

    def __eq__(self, other):
        return isinstance(other, Store) and self.things == other.things

    def __hash__(self):
        return 7

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        self.things.clear()


async def tidy(store):
    return await store.count()


def logged(function):
    @wraps(function)
    def call(*given):
        return function(*given)

    return call


@pytest.fixture
def calls():
    """The titles of the actions that are called, and of nothing that these call themselves."""
    made = []

    async def called(action, arguments, named):
        made.append(action.title)
        return await action.function(*arguments, **named)

    with replaced(Actions, "wanted", True), replaced(Actions, "called", staticmethod(called)):
        yield made


def test_it_is_the_service_itself_where_nothing_is_recorded():
    assert lab.actions(tidy) is tidy
    assert lab.actions(sys) is sys
    assert lab.actions(Store) is Store


async def test_calls_of_an_instance_are_recorded_and_those_within_are_part_of_them(calls):
    store = lab.actions(Store("a"))
    assert await store.put("b") == 2
    assert calls == ["Store.put"]


async def test_calls_of_what_a_class_makes_are_recorded(calls):
    made = lab.actions(Store)("a")
    assert await made.count() == 1
    assert await lab.actions(Store).opened("a") == Store("a")
    assert calls == ["Store.count", "Store.opened"]


async def test_calls_of_a_module_and_of_a_function_are_recorded_also_behind_plain_decorators(calls):
    module = ModuleType("stock")
    module.tidy, module.logged, module.Missing = tidy, logged(tidy), Missing
    service = lab.actions(module)
    for each in (service.tidy, service.logged, lab.actions(tidy), lab.actions(partial(tidy))):
        assert await each(Store()) == 0
    assert calls == ["tidy", "logged", "tidy", "action"]
    assert service.Missing is Missing


async def test_what_is_set_is_set_in_the_service(calls, monkeypatch):
    store = Store("a")
    service = lab.actions(store)
    service.things = ["b"]
    monkeypatch.setattr(service, "first", lambda: "c")
    assert (store.things, store.first()) == (["b"], "c")
    service.shelf = 5
    del service.shelf
    assert store.shelf == 3


async def test_an_instance_behaves_as_it_does_without_the_lab(calls):
    store = lab.actions(Store("a"))
    assert isinstance(store, Store)
    assert (len(store), store, hash(store), store.first(), bool(store)) == (1, Store("a"), 7, "a", True)
    assert Store("a") == store
    assert vars(store) == {"things": ["a"]}
    assert inspect.iscoroutinefunction(store.put)
    assert list(inspect.signature(store.put).parameters) == ["thing"]
    assert copy.deepcopy(store) == store
    async with store as entered:
        assert await entered.count() == 1
    assert calls == ["Store.count"]


async def test_a_class_behaves_as_it_does_without_the_lab(calls):
    cls = lab.actions(Store)
    assert isinstance(Store("a"), cls)
    assert isinstance(cls("a"), cls)
    assert issubclass(Store, cls)
    assert inspect.isclass(cls)
    assert (cls.__name__, cls.__doc__, cls.shelf) == ("Store", "Keeps things.", 3)

    class Larger(cls):
        shelf = 4

    assert Larger.__mro__[1] is Store
    assert Larger("a").first() == "a"


@dataclass
class Caller:
    async def __call__(self, number):
        return number + 1


async def test_an_instance_that_is_called_is_an_action(calls):
    assert await lab.actions(Caller())(1) == 2
    assert calls == ["Caller.__call__"]


@pytest.mark.parametrize("wrong", [3, None, "coupons", [tidy], len, lambda: None])
def test_what_has_no_coroutine_functions_is_refused_in_one_sentence(wrong):
    with pytest.raises(
        lab.ScenarioError, match=r"lab\.actions got .*; it takes a module, an instance, a class or a cor"
    ):
        lab.actions(wrong)


def test_a_call_that_has_begun_is_refused():
    with pytest.raises(lab.ScenarioError, match=r"tidy\(…\), a call that has begun; give it the function"):
        lab.actions(tidy(Store()))


def test_a_stand_in_that_a_test_made_is_an_instance_like_any_other(calls):
    assert lab.actions(Mock(shelf=4)).shelf == 4
    assert asyncio.iscoroutinefunction(lab.actions(tidy))
