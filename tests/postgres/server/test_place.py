"""Which server a run uses, and when it is started."""

from __future__ import annotations

import threading

import pytest

from lab.errors import UsageError
from lab.postgres.server import place as module
from lab.postgres.server.place import Place
from lab.postgres.server.server import Server


class Started:
    """Servers, played: when each was asked for, and whether it was closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.may_start = threading.Event(), threading.Event()
        self.closed = False
        monkeypatch.setattr(module, "embedded_server", self.embedded_server)

    def embedded_server(self, version: int) -> Server:
        self.asked.set()
        self.may_start.wait()
        server = Server(f"number {version}", {}, lambda pid: False)
        server.on_close.callback(lambda: setattr(self, "closed", True))
        return server


def test_a_server_starts_while_something_else_is_done(monkeypatch):
    """It is waited for where it is asked for, and closed when the block is left."""
    started = Started(monkeypatch)
    with Place(version=18).server_soon() as server:
        started.asked.wait()
        started.may_start.set()
        assert server().description == "number 18"
        assert server() is server()
        assert not started.closed
    assert started.closed


def test_a_server_that_nobody_came_to_ask_for_is_closed(monkeypatch):
    """What was done meanwhile failed, before the server was up."""
    started = Started(monkeypatch)
    threading.Timer(0, started.may_start.set).start()
    with pytest.raises(LookupError), Place(version=18).server_soon():
        raise LookupError
    assert started.closed


def test_why_there_is_no_server_is_said_where_it_is_asked_for():
    with Place(url="mysql://nowhere/x").server_soon() as server, pytest.raises(UsageError):
        server()
