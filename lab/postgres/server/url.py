"""Reads the URL of a server, and keeps what is secret in it out of every text.

A URL that is wrong in any way is refused without being shown: where a password begins and ends is just what cannot be
known of it. Of a right one only scheme, role, host, port and database are ever shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from lab.errors import UsageError
from lab.model.secret import Secret

__all__ = ["Address", "parsed"]

EXPECTED = (
    "expected postgresql://user:password@host:port/database, where characters such as @ : / ? # % in a password are "
    "written as %40 %3A %2F %3F %23 %25"
)
_POSTGRESQL = {"postgresql", "postgres"}
_OTHERS = {"mysql", "mariadb", "sqlite", "oracle", "mssql", "cockroachdb", "redshift", "snowflake", "mongodb", "http"}
"""Kinds that are worth naming in a message; anything else before `://` may be a slip that holds a secret."""
_SYNONYMS = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "dbname": "database",
    "database": "database",
    "ssl": "ssl",
    "sslmode": "ssl",
    "passfile": "passfile",
}
"""What asyncpg calls the parameters that a URL may carry after its question mark."""
_OF_LIBPQ = {
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "sslpassword",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "target_session_attrs",
    "krbsrvname",
    "gsslib",
    "service",
    "servicefile",
}
"""Those that asyncpg reads in a URL of its own only."""
_OF_SQLALCHEMY = {"prepared_statement_cache_size", "prepared_statement_name_func"}
_OF_ONE_WORD = {"options", "role", "datestyle", "geqo", "intervalstyle", "jit", "seed", "timezone", "xmlbinary"}
_OF_ONE_WORD |= {"xmloption"}
"""PostgreSQL's settings for a session whose names have neither `_` nor a dot, and its `options`."""
_SEVERAL_WORDS = re.compile(r"[A-Za-z]\w*[_.]\w[\w.]*", re.ASCII)
"""The names of all others. The server itself refuses one that it does not know."""
_AUTHORITY = re.compile(r"^[^/]*//(?:[^@]*@)?(?:\[[^\]]*\]|[^:/?]*)")
"""All before the port."""
_SHORTEST = 4
"""A shorter secret is a part of any text, so a text with it is not shown at all."""


class _Unshown(str):
    """A text that may hold a secret, for a reader that wants a `str`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True)
class Address:
    """Where a server is, as keyword arguments for `asyncpg.connect`, and as a text that may be shown."""

    description: str
    connect: Mapping[str, Any] = field(repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def cleaned(self, text: str) -> str:
        """A message of a driver or server without the secrets of the URL."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            for form in {secret, quote(secret), quote(secret, safe=""), repr(secret)[1:-1]}:
                if form in text and len(form) < _SHORTEST:
                    return "the reason is not shown, since it holds the password"
                text = text.replace(form, "***")
        return text


def parsed(url: str) -> Address:
    """The address in a URL. Raises `UsageError`, without showing it, for one that cannot be a PostgreSQL server."""
    if not url.strip():
        raise UsageError("not a database URL: it is empty; leave it out to use the embedded server")
    if re.search(r"[\x00-\x20\x7f\ud800-\udfff]", url):
        raise UsageError(f"not a database URL: it has blanks or characters that are not UTF-8; {EXPECTED}")
    try:
        found = make_url(url)
        backend = found.get_backend_name()
        ambiguous = url.count("@") > 1 or not re.fullmatch(r"[\w.:%-]*", found.host or "")
    except (ArgumentError, ValueError):  # the latter from a port that is not a number
        raise UsageError(f"not a database URL; {EXPECTED}") from None
    if backend not in _POSTGRESQL:
        named = f"this URL names {backend}" if backend in _OTHERS else "this URL names something else"
        raise UsageError(f"the lab needs PostgreSQL, and {named}")
    if "#" in f"{url.rpartition('@')[2] if found.username else url}{found.database}{found.host}":
        raise UsageError(f"not a database URL: it has a # behind the host, which no URL of a server has; {EXPECTED}")
    if re.search("[/?#]", url.partition("://")[2].rpartition("@")[0]):
        raise UsageError(f"not a database URL: it has / ? or # before an @; {EXPECTED}")
    if ambiguous:
        raise UsageError(f"not a database URL: it has more than one @, or an odd host; {EXPECTED}")
    try:
        connect = _asyncpg_arguments(found)
        _port(_AUTHORITY.sub("", url))
    except ValueError:
        raise UsageError("not a database URL: its port is not a number between 1 and 65535") from None
    return Address(_description(found), connect, _secrets(found))


def _description(url: URL) -> str:
    """The URL without its password and without what follows the question mark; odd parts are left out."""
    user = url.username
    shown = URL.create(
        "postgresql",
        username=user if user is None or re.fullmatch(r"[\w.+-]*", user) else "…",
        host=url.host,
        port=url.port,
        database=url.database,
    )
    password = "***" if url.password is not None else None
    return shown.set(password=password).render_as_string(hide_password=True)


def _secrets(url: URL) -> frozenset[str]:
    found = [url.password] if isinstance(url.password, str) else []
    for name, value in url.query.items():
        if _is_secret(name):
            found += [value] if isinstance(value, str) else value
    return frozenset(each for each in found if each)


def _is_secret(name: str) -> bool:
    """Whether a parameter's value may be one, also where its name is misspelt."""
    return bool(re.search("pass|pwd|secret|token|key", name.lower())) and name not in {"passfile", "sslkey"}


def _asyncpg_arguments(url: URL) -> dict[str, Any]:
    named: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "database": url.database or "postgres",
    }
    settings: dict[str, Any] = {}
    of_libpq: dict[str, Any] = {}
    for name, given in url.query.items():
        value = given if isinstance(given, str) else given[-1]
        if name in _SYNONYMS:
            _refuse_an_odd_one(_SYNONYMS[name], value, named)
            named[_SYNONYMS[name]] = value
        elif name in _OF_LIBPQ:
            of_libpq[name] = value
        elif name not in _OF_SQLALCHEMY:
            if _is_secret(f"{name} {value}"):
                raise UsageError(
                    "not a database URL: behind the question mark it has a parameter that may hold a password and is "
                    f"not known; {EXPECTED}"
                )
            if not (_SEVERAL_WORDS.fullmatch(name) or name.lower() in _OF_ONE_WORD):
                raise UsageError(
                    "not a database URL: behind the question mark it has a parameter that neither asyncpg nor "
                    f"PostgreSQL knows; {EXPECTED}"
                )
            settings[name] = value  # as libpq and asyncpg take what they do not know
    if named["port"] is not None:
        named["port"] = _port(f":{named['port']}")
    if named["password"] is not None:
        named["password"] = Secret(named["password"])
    if of_libpq:
        named["dsn"] = _Unshown(f"postgresql://?{urlencode(of_libpq)}")
    named["host"] = named["host"] or "localhost"
    named["server_settings"] = settings or None
    return {name: value for name, value in named.items() if value is not None}


def _port(rest: str) -> int | None:
    """The port at the beginning of what follows a host; None for none. Raises `ValueError` where it is not digits."""
    if not rest.startswith(":"):
        return None
    digits = re.split("[/?]", rest[1:], maxsplit=1)[0]
    if not digits:
        return None
    if not re.fullmatch("[0-9]{1,5}", digits) or not 0 < int(digits) < 1 << 16:
        raise ValueError(digits)
    return int(digits)


def _refuse_an_odd_one(name: str, value: str, named: Mapping[str, Any]) -> None:
    """Raises `UsageError` for a parameter that leads elsewhere than the URL before it, or may hold a password."""
    if name in ("host", "user") and re.search("[@#]" if name == "host" else "[:@/#]", value):
        raise UsageError(f"not a database URL: behind the question mark it has an odd {name}; {EXPECTED}")
    if name in ("host", "port", "user") and named[name] not in (None, "") and str(named[name]) != value:
        raise UsageError(f"not a database URL: it names two different values of {name}; {EXPECTED}")
