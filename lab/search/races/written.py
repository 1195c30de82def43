"""A racy pair as a scenario in code: the regression test of the fix.

It holds what was recorded and nothing else: the application, the rows before the first request, what lies between, and
the two requests. The tables are those of the application's metadata where these are the same, so that a fix of the
tables counts; else the definition that was read from the tests' database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.search.races.findings import Raced
from lab.search.races.loaded import metadata_of, place_of
from lab.search.races.sent import Sent
from lab.search.races.table import races_of

__all__ = ["write_races"]

_LEFT_OUT = {"host", "content-length", "accept", "accept-encoding", "connection", "user-agent"}
"""Headers that a client adds by itself."""
_BEGINS = re.compile(r"^(?:INSERT INTO|SELECT setval|SET|TRUNCATE|REFRESH|ALTER)\b", re.MULTILINE)
_ROWS = re.compile(r"^(?:INSERT INTO|SELECT setval)", re.MULTILINE)


def write_races(folder: Path, raced: Sequence[Raced], command: str, known: tuple[str, str] | None = None) -> list[str]:
    """Write a module for each race that was found; returns what was written, and what could not be, as sentences.

    `command` is what found them, as entered. `known` are the module of the application and an expression for it there,
    where that is known: `app`, `container.app` or `create_app()`.
    """
    said = []
    folder.mkdir(parents=True, exist_ok=True)
    for pairs in races_of(raced).values():
        first = pairs[0]
        stem = "race_" + "_".join(dict.fromkeys(re.sub(r"\W", "_", each) for each in _names(first)))
        path = _free(folder, stem)
        if (place := known or place_of(first.pair.first.app)) is None:
            said.append(f"{first.pair.title}: its application is no global of a module, so no scenario is written")
            continue
        path.write_text("\n".join(_lines(first, place, command)) + "\n")
        module = path.stem if path.is_absolute() else ".".join(path.with_suffix("").parts)
        said.append(f"wrote {path}: lab hunt {module}:{_class(first)}")
    return said


def _names(raced: Raced) -> tuple[str, ...]:
    return raced.pair.names


def _class(raced: Raced) -> str:
    words = "_".join(_names(raced)).split("_")
    return "".join(each.capitalize() for each in words)


def _free(folder: Path, stem: str) -> Path:
    path, number = folder / f"{stem}.py", 2
    while path.exists():
        path, number = folder / f"{stem}_{number}.py", number + 1
    return path


def _lines(raced: Raced, place: tuple[str, str], command: str) -> Iterator[str]:
    pair, state = raced.pair, raced.pair.first.state
    assert state is not None, "a pair without one is not raced"
    metadata = metadata_of(state.tables)
    cause = f": {raced.cause}" if raced.cause else ""
    yield f'"""{pair.title}, from {pair.first.test}.'
    yield ""
    yield f"Found by {' '.join(command.split()[:2])}: {raced.anomaly}{cause}, {raced.line or 'at no known line'}."
    if missed := [getattr(each, "__qualname__", str(each)) for each in pair.first.overrides]:
        yield ""
        yield f"Its test overrides {', '.join(missed)}. Where requests need that, override it here as well."
    yield '"""'
    yield ""
    yield "import lab"
    name = re.split(r"\W", place[1], maxsplit=1)[0]
    rest = place[1].removeprefix(name)
    yield f"from {place[0]} import {name} as application"
    if metadata is not None:
        yield f"from {metadata[0]} import {metadata[1].partition('.')[0]} as tables"
    yield ""
    if metadata is None:
        yield f"SCHEMA = {_text(state.definition)}"
    yield f"ROWS = {_text(state.script if metadata is None else _rows(state.script))}"
    yield ""
    yield ""
    yield f"class {_class(raced)}(lab.Scenario):"
    yield f"    app = lab.http(application{rest}, lifespan={_lifespan(pair.first)!r})"
    if metadata is not None:
        yield f"    metadata = tables{'.metadata' if metadata[1].endswith('.metadata') else ''}"
    yield "    nobody_waits_in_a_circle = lab.no_deadlock()"
    yield ""
    if metadata is None:
        raw = ["raw = await connection.get_raw_connection()", "await raw.driver_connection.execute(SCHEMA)"]
        yield from _method("schema", "connection", raw)
    rows = ["connection = await session.connection()", "raw = await connection.get_raw_connection()"]
    rows += ["await raw.driver_connection.execute(ROWS)", "await session.commit()"]
    between = [f"await {_call(each)}" for each in pair.between]
    yield from _method("setup", "session, client" if between else "session", rows + between)
    for name, sent in zip(pair.names, (pair.first, pair.second), strict=True):
        yield "    @lab.actor"
        yield from _method(re.sub(r"\W", "_", name), "client", [f"return await {_call(sent)}"])


def _lifespan(sent: Sent) -> str | None:
    return "execution" if sent.lifespan else None


def _method(name: str, wants: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"    async def {name}(self, {wants}):"
    yield from (f"        {line}" for line in lines)
    yield ""


def _call(sent: Sent) -> str:
    """A request as a call of a client."""
    headers = {name: value for name, value in sent.headers if name.lower() not in _LEFT_OUT}
    arguments = [repr(sent.method), repr(sent.url)]
    if sent.content:
        if (body := sent.json) is not None and headers.get("content-type", "").startswith("application/json"):
            headers.pop("content-type", None)
            arguments.append(f"json={body!r}")
        else:
            arguments.append(f"content={sent.content!r}")
    if headers:
        arguments.append(f"headers={headers!r}")
    return f"client.request({', '.join(arguments)})"


def _rows(script: str) -> str:
    """The statements of a script that fill tables and set sequences, for the tables of the application's metadata."""
    kept = [each for each in _statements(script) if _ROWS.match(each) and "alembic_version" not in each]
    return "\n".join(["SET session_replication_role = replica;", *kept, "RESET session_replication_role;"])


def _statements(script: str) -> Iterator[str]:
    """The statements of a snapshot's script, each of which begins a line."""
    begins = [each.start() for each in _BEGINS.finditer(script)]
    for begin, end in zip(begins, [*begins[1:], len(script)], strict=True):
        yield script[begin:end].strip()


def _text(text: str) -> str:
    """A Python literal of several lines."""
    if '"""' in text or "\\" in text:
        return repr(text)
    return f'"""\n{text}\n"""'
