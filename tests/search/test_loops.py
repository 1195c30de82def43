"""Explorers belong to event loops, and end with them."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from lab.errors import UsageError
from lab.search.direct.loops import Explorers
from lab.testing import Lab
from scenarios.transfer import Transfer


def of_the_lab(server) -> set[str]:
    """The lab's databases on a server."""

    async def asked():
        connection = await asyncpg.connect(**server.connect)
        found = await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, 'concurrency_lab_')")
        await connection.close()
        return {name for (name,) in found}

    return asyncio.run(asked())


def test_what_an_event_loop_opened_is_given_back_when_it_ends(server):
    """One explorer for a loop, however often it is asked for; its databases are gone with the loop."""
    lab = Lab(explorers := Explorers(server))
    before = of_the_lab(server)

    async def checked():
        await lab.check(Transfer())
        return explorers.here()

    with asyncio.Runner() as runner:
        first = runner.run(checked())
        assert runner.run(checked()) is first
        during = of_the_lab(server)
        with asyncio.Runner() as other:
            assert other.run(checked()) is not first
            assert of_the_lab(server) > during > before
    assert of_the_lab(server) == before


def test_without_an_event_loop_of_asyncio_there_is_no_explorer(server):
    with pytest.raises(UsageError, match="no event loop of asyncio is running"):
        Explorers(server).here()
