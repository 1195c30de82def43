"""What most tests need: one real server for the whole run, and an explorer on it for each module."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

from lab.explore import Explorer
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.server import Server


def pytest_configure() -> None:
    """A shell starts what it runs in the background with Ctrl-C ignored, and children inherit that.

    pytest rewrites the asserts of all that a plugin's distribution holds; the shipped scenarios are part of ours, and
    reports would say more of them than of a user's. What hunts of the tests find is not kept, but for tests of that.
    """
    os.environ["LAB_NO_KEEP"] = "1"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for hook in sys.meta_path:
        if isinstance(hook, AssertionRewritingHook):
            hook._must_rewrite.discard("scenarios")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with embedded_server() as server:
        yield server


@pytest.fixture(scope="module")
async def plain(server: Server, anyio_backend: str) -> AsyncIterator[Explorer]:
    """An explorer that makes no runs before the first, and shows every value as it is."""
    explorer = Explorer(server, learns=False)
    yield explorer
    await explorer.aclose()


@pytest.fixture(scope="module")
async def explorer(server: Server, anyio_backend: str) -> AsyncIterator[Explorer]:
    explorer = Explorer(server)
    yield explorer
    await explorer.aclose()
