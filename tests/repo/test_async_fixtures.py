"""An asynchronous fixture needs the plugin of anyio, which sees to it where a test has the fixture `anyio_backend`."""

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
