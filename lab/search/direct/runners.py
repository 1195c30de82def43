"""Who runs an asynchronous test that asks for `lab`: pytest-asyncio where it says so, else anyio.

Neither is asked to run anything differently. Where no plugin has claimed a test, it gets anyio's fixture, as if it were
marked. And anyio ends an event loop when nobody needs it: without an asynchronous fixture that is after each example of
Hypothesis. So while a test uses the lab, its loop is kept until the fixture `anyio_backend`, of whatever scope, ends.
"""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

__all__ = ["Keeper", "inner_test", "is_claimed"]

BACKEND = "anyio_backend"


def inner_test(test: Any) -> Any:
    """The function that somebody wrote, below Hypothesis's `given`."""
    return getattr(getattr(test, "hypothesis", None), "inner_test", test)


def is_claimed(node: pytest.Collector | pytest.Item, test: Any) -> bool:
    """Whether pytest-asyncio runs this test: by its mode, or by a mark on the function or around it."""
    config = node.config
    if not config.pluginmanager.has_plugin("asyncio"):
        return False
    mode = config.getoption("asyncio_mode", None) or config.getini("asyncio_mode")
    marks = [mark.name for mark in getattr(test, "pytestmark", ())]
    return str(getattr(mode, "value", mode)) == "auto" or "asyncio" in marks or bool(node.get_closest_marker("asyncio"))


@dataclass(eq=False, slots=True)
class _Kept:
    """What one fixture `anyio_backend` keeps until it ends."""

    begun: bool = False
    stack: ExitStack = field(default_factory=ExitStack)


class Keeper:
    """Keeps anyio's event loop from one test with the lab to the next."""

    def __init__(self) -> None:
        self._backends: list[_Kept] = []
        """Those fixtures that are set up, the innermost last, each with what is kept as long."""

    def set_up(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """The fixture `anyio_backend` is being set up."""
        kept = _Kept()
        self._backends.append(kept)
        fixturedef.addfinalizer(lambda: self._end(kept))

    def _end(self, kept: _Kept) -> None:
        self._backends.remove(kept)
        kept.stack.close()

    def keep(self, item: pytest.Function) -> None:
        """Keep the loop in which anyio will run this test, if anyio does."""
        backend = item.funcargs.get(BACKEND)
        if backend is None or not self._backends or not inspect.iscoroutinefunction(inner_test(item.obj)):
            return
        from anyio.pytest_plugin import extract_backend_and_options, get_runner  # noqa: PLC0415 - only where needed

        name, options = extract_backend_and_options(backend)
        if name != "asyncio":
            pytest.fail(
                f"the lab runs on asyncio, not on {name}: let the fixture anyio_backend return 'asyncio' for tests "
                "that use the lab",
                pytrace=False,
            )
        kept = self._backends[-1]
        if not kept.begun:
            kept.stack.enter_context(get_runner(name, options))
            kept.begun = True
