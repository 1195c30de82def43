"""What most tests need: one real server for the whole run, and an explorer on it for each module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from lab.explore import Explorer
from lab.postgres.embedded import embedded_server
from lab.postgres.server import Server


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with embedded_server() as server:
        yield server


@pytest.fixture(scope="module")
async def explorer(server: Server, anyio_backend: str) -> AsyncIterator[Explorer]:
    explorer = Explorer(server)
    yield explorer
    await explorer.aclose()
