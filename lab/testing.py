"""The lab for tests: what the fixture is, and what stands in for it in `unittest`, in scripts and in notebooks."""

from __future__ import annotations

import contextlib
import inspect
import os
import unittest
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Unpack

from lab.errors import UsageError
from lab.model.replay_token import ReplayToken, decode
from lab.postgres.server.place import Place as ServerPlace
from lab.scenario.race import Place, caller
from lab.search.direct.how import How
from lab.search.direct.lab import Lab, current
from lab.search.direct.ledger import RaceRecord
from lab.search.direct.loops import Explorers

__all__ = ["Lab", "LabCase", "RaceRecord", "opened", "race"]

URL, REPLAY = "LAB_URL", "LAB_REPLAY"
"""Where there is no command line to ask: a server, and a token to replay where its scenario is met."""


def _token() -> ReplayToken | None:
    text = os.environ.get(REPLAY)
    return decode(text) if text else None


@contextlib.asynccontextmanager
async def opened(url: str | None = None) -> AsyncIterator[Lab]:
    """A lab of one's own, on a server by URL (default: LAB_URL) or an embedded one, for scripts and notebooks."""
    with ServerPlace(url or os.environ.get(URL) or None).server() as server:
        explorers = Explorers(server)
        try:
            yield Lab(explorers, replay=_token())
        finally:
            await explorers.aclose()


def race(*actors: Callable[..., Awaitable[object]], **how: Unpack[How]) -> Coroutine[Any, Any, RaceRecord]:
    """Race coroutine functions, and raise `Violation` with the minimised report if an order breaks something.

        await lab.race(buy, buy, setup=one_left, holds=nothing_is_sold_twice)

    As `Lab.race`, on a server of its own; in a test the fixture's is faster.
    """
    return _race(caller(2), actors, how)


async def _race(place: Place, actors: tuple[Callable[..., Awaitable[object]], ...], how: How) -> RaceRecord:
    __tracebackhide__ = True
    if (lab := current.get()) is not None:
        return await lab.race_from(place, actors, how)
    async with opened() as lab:
        return await lab.race_from(place, actors, how)


class LabCase(unittest.IsolatedAsyncioTestCase):
    """A test case of `unittest` with the lab as `self.lab`, also in its `asyncSetUp`.

        class TestShop(LabCase):
            async def test_nothing_is_sold_twice(self) -> None:
                await self.lab.hunt(DoubleClick())

    The environment says where the server is (LAB_URL, else an embedded one for each class), and what is replayed
    (LAB_REPLAY). Methods under Hypothesis's `given` are run in the event loop of the test.
    """

    _lab: Lab | None = None
    _loop: AbstractEventLoop | None = None

    @property
    def lab(self) -> Lab:
        """The lab of this class, at work for this test."""
        cls = type(self)
        if "_lab" not in vars(cls) or cls._lab is None:
            block = contextlib.ExitStack()
            server = block.enter_context(ServerPlace(os.environ.get(URL) or None).server())
            cls._lab = Lab(Explorers(server), replay=_token())
            block.callback(setattr, cls, "_lab", None)
            cls.addClassCleanup(block.close)
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        again = f"{REPLAY}=TOKEN {f'pytest {test}' if test else f'python -m unittest {self.id()}'}"
        if cls._lab.ledger.again != again:
            cls._lab.begin(again)
        return cls._lab

    async def asyncSetUp(self) -> None:
        """Note the event loop, for examples that Hypothesis draws."""
        await super().asyncSetUp()
        self._loop = get_running_loop()

    def execute_example(self, example: Callable[[], object]) -> object:
        """Hypothesis's hook: runs one example."""
        result = example()
        if not inspect.iscoroutine(result):
            return result
        if self._loop is None:
            result.close()
            raise UsageError(
                f"{type(self).__name__}.asyncSetUp does not call super().asyncSetUp(), which Hypothesis needs"
            )
        return self._loop.run_until_complete(result)
