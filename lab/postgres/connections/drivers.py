"""Refuses the PostgreSQL drivers that the lab cannot lead, where code calls them itself, without SQLAlchemy.

psycopg and psycopg2 reach the server in C, so each is met in the one function of its own through which every connection
is opened, also one whose `connect` was imported long ago. They are looked for among the modules that are loaded, and
met as they are loaded. A driver that is not known here is met by what it does: it gives a socket of Python's the port
of PostgreSQL, or the name of its sockets. Other databases are elsewhere, and not the lab's business.
"""

from __future__ import annotations

import contextlib
import inspect
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from importlib.abc import Loader, MetaPathFinder
from typing import Any
from weakref import WeakKeyDictionary

from lab.engine.replaced import replaced
from lab.errors import ScenarioError
from lab.postgres.connections.others import led

__all__ = ["Drivers", "permitted"]

PORT = 5432
SOCKET = ".s.PGSQL."
ANY = "postgresql"
"""What permits every driver: SQLAlchemy's name for the dialect."""

_permitted: ContextVar[bool] = ContextVar("lab_permitted", default=False)


@contextlib.contextmanager
def permitted() -> Iterator[None]:
    """Let whatever is opened in the block reach its server: it is the lab's, or known to be meant."""
    token = _permitted.set(True)
    try:
        yield
    finally:
        _permitted.reset(token)


@dataclass(frozen=True, slots=True)
class _Door:
    """The one function of a driver that opens connections."""

    driver: str
    owner: str
    """The class that has it, "" for the module itself."""
    name: str
    where: Callable[..., Mapping[str, Any] | None]
    """Given the function and its arguments: the parameters of the connection; None if it opens none this time."""


def _where_given(real: Any, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    return parameters


def _where_psycopg(real: Any, conninfo: str, *_: Any, **__: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = sys.modules["psycopg.conninfo"].conninfo_to_dict(conninfo)
    return found


def _where_psycopg2(real: Any, *args: Any, **named: Any) -> Mapping[str, Any] | None:
    if sys._getframe(2).f_globals.get("__name__") != "psycopg2":  # noqa: SLF001 - others may make a text of parameters
        return None
    found: Mapping[str, Any] = sys.modules["psycopg2.extensions"].parse_dsn(real(*args, **named))
    return found


def _where_pg8000(real: Any, *args: Any, **named: Any) -> Mapping[str, Any]:
    given = inspect.signature(real).bind(*args, **named)
    given.apply_defaults()
    host = given.arguments["unix_sock"] or given.arguments["host"]
    return {**given.arguments, "host": host, "dbname": given.arguments["database"] or given.arguments["user"]}


_DOORS = {
    "psycopg.connection": _Door("psycopg", "", "timeout_from_conninfo", _where_given),
    "psycopg.connection_async": _Door("psycopg", "", "timeout_from_conninfo", _where_given),
    "psycopg.generators": _Door("psycopg", "", "connect", _where_psycopg),
    "psycopg2.extensions": _Door("psycopg2", "", "make_dsn", _where_psycopg2),
    "pg8000.core": _Door("pg8000", "CoreConnection", "__init__", _where_pg8000),
}
"""By the module in which each is found. aiopg opens its connections with psycopg2. psycopg asks first how long to wait,
then for the address of the host, and then connects."""


class Drivers:
    """The drivers that actors may not use, until they are meant. `refuse` makes the error."""

    def __init__(self, refuse: Callable[[str], ScenarioError], server: Mapping[str, Any]) -> None:
        self._refuse = refuse
        self._outside: Collection[str] = ()
        self._server = server
        self._known = set[object]()
        """Where what is permitted has opened sockets: a statement is cancelled over one more."""
        self._threads: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()
        """Who started a thread: it may know nothing of that, since it need not have its starter's context."""

    @contextlib.contextmanager
    def refused(self, outside: Collection[str]) -> Iterator[None]:
        """Refuse them until the block ends, but for drivers, hosts and dialects that are `outside`."""
        if tuple(outside) != tuple(self._outside):
            self._outside, self._known = outside, set()
        with contextlib.ExitStack() as stack:

            def shut(module: str) -> None:
                door, owner = _DOORS[module], sys.modules[module]
                owner = getattr(owner, door.owner) if door.owner else owner
                if hasattr(owner, door.name):
                    stack.enter_context(replaced(owner, door.name, self._shut(door, getattr(owner, door.name))))

            for module in _DOORS:
                if module in sys.modules:
                    shut(module)
            arrivals = _Arrivals(shut)
            sys.meta_path.insert(0, arrivals)
            stack.callback(sys.meta_path.remove, arrivals)
            for name in ("connect", "connect_ex"):
                stack.enter_context(replaced(socket.socket, name, self._plug(getattr(socket.socket, name))))
            stack.enter_context(replaced(threading.Thread, "start", self._starting(threading.Thread.start)))
            yield

    def _who(self) -> str:
        """Whose code is running, in a thread as well; "" for code that may do as it likes."""
        return led() or self._threads.get(threading.current_thread(), "")

    def _starting(self, real: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
        def start(thread: threading.Thread) -> None:
            if who := led():
                self._threads[thread] = f"a thread that {who} started"
            real(thread)

        return start

    @cached_property
    def _own(self) -> frozenset[object]:
        """The addresses of the lab's own server, where its statements are cancelled."""
        host, port = self._server.get("host") or "localhost", self._server.get("port") or PORT
        if str(host).startswith("/"):
            return frozenset({f"{host}/{SOCKET}{port}"})
        with contextlib.suppress(OSError):
            return frozenset(address[:2] for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        return frozenset()

    def _shut(self, door: _Door, real: Callable[..., Any]) -> Callable[..., Any]:
        def opens(*args: Any, **named: Any) -> Any:
            if not (who := self._who()) or (where := door.where(real, *args, **named)) is None:
                return real(*args, **named)
            if self._outside and not {door.driver, ANY, str(where.get("host"))}.isdisjoint(self._outside):
                with permitted():
                    return real(*args, **named)
            raise self._refuse(
                f"{who} opens {_url(where)} with {door.driver}, which the lab cannot lead to its own database; use "
                f'asyncpg there, or write outside = ("{door.driver}",) in the scenario if it is meant'
            )

        return opens

    def _plug(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def connect(own: socket.socket, address: Any) -> Any:
            if not (who := self._who()) or not _is_of_postgresql(address):
                return real(own, address)
            place = address[:2] if isinstance(address, tuple) else address
            if place in self._known or place in self._own:
                return real(own, address)
            host = address[0] if isinstance(address, tuple) else str(address)
            if _permitted.get() or host in self._outside or ANY in self._outside:
                self._known.add(place)
                return real(own, address)
            where = f"{host}:{address[1]}" if isinstance(address, tuple) else host
            raise self._refuse(
                f"{who} opens a socket to PostgreSQL at {where}, by a driver that the lab cannot lead to its own "
                f'database; use asyncpg there, or write outside = ("{host}",) in the scenario if it is meant'
            )

        return connect


def _is_of_postgresql(address: Any) -> bool:
    if isinstance(address, tuple):
        return len(address) > 1 and address[1] == PORT
    return SOCKET in (address.decode(errors="replace") if isinstance(address, bytes) else str(address))


def _url(where: Mapping[str, Any]) -> str:
    user, host, port, name = (where.get(each) or "" for each in ("user", "host", "port", "dbname"))
    place = f"{host}:{port}" if port and not str(host).startswith("/") else host
    return f"postgresql://{user}{'@' if user else ''}{place}/{name}"


class _Arrivals(MetaPathFinder):
    """Notices that a driver is loaded, in order to shut its door before anybody uses it."""

    def __init__(self, shut: Callable[[str], None]) -> None:
        self._shut = shut

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """What other finders find, with a loader that shuts the door."""
        if name not in _DOORS:
            return None
        others = (each for each in sys.meta_path if each is not self)
        spec = next((spec for each in others if (spec := each.find_spec(name, path, target))), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Shutting(spec.loader, self._shut)
        return spec


class _Shutting(Loader):
    """A module's loader, and what is to be done when the module is there."""

    def __init__(self, real: Any, shut: Callable[[str], None]) -> None:
        self._real, self._shut = real, shut

    def create_module(self, spec: Any) -> Any:
        """As the module's own loader does."""
        return self._real.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """As the module's own loader does, which the module then has."""
        module.__loader__ = module.__spec__.loader = self._real
        self._real.exec_module(module)
        self._shut(module.__name__)
