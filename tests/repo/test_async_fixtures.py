"""An asynchronous fixture is made by anyio's plugin, which looks after it where `anyio_backend` is among a test's fixtures."""

import inspect

import pytest


def asynchronous(function):
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def test_synchronous_tests_ask_for_the_backend_of_their_asynchronous_fixtures(request):
    """Else such a test passes only where an asynchronous one of its module ran before it, in the same process."""
    bad = [
        f"{item.nodeid}: {name}"
        for item in request.session.items
        if isinstance(item, pytest.Function) and "anyio_backend" not in item.fixturenames
        for name, definitions in item._fixtureinfo.name2fixturedefs.items()
        if asynchronous(definitions[-1].func)
    ]
    assert not bad
