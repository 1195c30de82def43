"""A racy pair as a scenario in code: the regression test of the fix.

It holds what was recorded and nothing else: the application, the rows before the first request, what lies between, and
the two requests. The tables are those of the application's metadata where these are the same, so that a fix of the
tables counts; else the definition that was read from the tests' database.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.scenario.declare import Scenario
from lab.search.races.findings import Raced
from lab.search.races.keeping import NotGiven
from lab.search.races.loaded import metadata_of, place_of
from lab.search.races.overrides import carrier
from lab.search.races.sent import Sent
from lab.search.races.spelling import Spelled, Spelling, Unspelled
from lab.search.races.table import races_of

__all__ = ["write_races"]

_BEGINS = re.compile(r"^(?:INSERT INTO|SELECT setval|SET|TRUNCATE|REFRESH|ALTER)\b", re.MULTILINE)
_ROWS = re.compile(r"^(?:INSERT INTO|SELECT setval)", re.MULTILINE)


def write_races(folder: Path, raced: Sequence[Raced], command: str, known: tuple[str, str] | None = None) -> list[str]:
    """Write a module for each race that was found; returns what was written, and what could not be, as sentences.

    A folder that cannot be written into is such a sentence, so what was found is not lost for it. `command` is what
    found them, as entered. `known` are the module of the application and an expression for it there, where that is
    known: `app`, `container.app` or `create_app()`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [f"no scenario is written into {folder}: {error.strerror or error}"]
    return [_written(folder, pairs[0], command, known) for pairs in races_of(raced).values()]


def _written(folder: Path, first: Raced, command: str, known: tuple[str, str] | None) -> str:
    """Write one; says what became of it."""
    path = _free(folder, "race_" + "_".join(dict.fromkeys(re.sub(r"\W", "_", each) for each in _names(first))))
    try:
        path.write_text("\n".join(_lines(first, command, known)) + "\n")
    except OSError as error:
        return f"{first.pair.title}: no scenario is written into {folder}: {error.strerror or error}"
    except (Unspelled, NotGiven) as error:
        return f"{first.pair.title}: {error}, so no scenario is written"
    module = path.stem if path.is_absolute() else ".".join(path.with_suffix("").parts)
    return f"wrote {path}: lab hunt {module}:{_class(first)}"


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


def _app_of(raced: Raced, known: tuple[str, str] | None) -> tuple[str, str] | None:
    """Where the application is. Raises `Unspelled`."""
    if (app := raced.pair.app) is None:
        return None
    if (place := known or place_of(carrier(app) or app)) is None:
        raise Unspelled("its application is no global of a module")
    return place


def _lines(raced: Raced, command: str, known: tuple[str, str] | None) -> Iterator[str]:
    pair, state = raced.pair, raced.pair.first.state
    assert state is not None, "a pair without one is not raced"
    place, metadata, spelling = _app_of(raced, known), metadata_of(state.tables), Spelling()
    body = list(_body(raced, spelling))
    yield from _heading(raced, command)
    if any("contextlib." in line for line in body):
        yield "import contextlib"
    yield from (f"import {each}" for each in sorted({*spelling.modules, "lab"}))
    if any("AsyncSession(" in line for line in body):
        yield "from sqlalchemy.ext.asyncio import AsyncSession"
    if place is not None:
        yield f"from {place[0]} import {_first_name(place[1])} as application"
    if metadata is not None:
        yield f"from {metadata[0]} import {metadata[1].partition('.')[0]} as tables"
    yield ""
    if metadata is None:
        yield f"SCHEMA = {_text(state.definition)}"
    yield f"ROWS = {_text(state.script if metadata is None else _rows(state.script))}"
    yield ""
    yield ""
    yield f"class {_class(raced)}(lab.Scenario):"
    if place is not None:
        rest = place[1].removeprefix(_first_name(place[1]))
        yield f"    app = lab.http(application{rest}, lifespan={'execution' if pair.lifespan else None!r})"
    if metadata is not None:
        yield f"    metadata = tables{'.metadata' if metadata[1].endswith('.metadata') else ''}"
    if spelling.options:
        yield f"    session_options = {spelling.options!r}"
    yield "    nobody_waits_in_a_circle = lab.no_deadlock()"
    yield ""
    if metadata is None:
        raw = ["raw = await connection.get_raw_connection()", "await raw.driver_connection.execute(SCHEMA)"]
        yield from _method("schema", ("connection",), raw)
    yield from body


def _first_name(expression: str) -> str:
    """What is imported for an expression such as `container.app` or `create_app()`."""
    return re.split(r"\W", expression, maxsplit=1)[0]


def _heading(raced: Raced, command: str) -> Iterator[str]:
    pair, cause = raced.pair, f": {raced.cause}" if raced.cause else ""
    yield f'"""{pair.title}, from {pair.first.test}.'
    yield ""
    yield f"Found by {' '.join(command.split()[:2])}: {raced.anomaly}{cause}, {raced.line or 'at no known line'}."
    if missed := [getattr(each, "__qualname__", str(each)) for each in pair.first.overrides]:
        yield ""
        yield f"Its test overrides {', '.join(missed)}. Where requests need that, override it here as well."
    yield '"""'
    yield ""


def _body(raced: Raced, spelling: Spelling) -> Iterator[str]:
    """The setup, what comes before, and the actors. Raises `Unspelled`."""
    pair = raced.pair
    rows = ["connection = await session.connection()", "raw = await connection.get_raw_connection()"]
    rows += ["await raw.driver_connection.execute(ROWS)", "await session.commit()"]
    before = [each.spelled(spelling) for each in pair.between]
    for number, (sent, spelled) in enumerate(zip(pair.between, before, strict=True), 1):
        rows += _asked(sent, spelled, f"self.before_{number}")
    wants = ("session", "client") if any("client" in each.wants for each in before) else ("session",)
    yield from _method("setup", wants, rows)
    for number, each in enumerate(before, 1):
        yield from _method(f"before_{number}", each.wants, each.lines)
    for name, sent in zip(pair.names, pair.both, strict=True):
        yield f"    @lab.actor(allows={sent.ALLOWS!r})" if sent.ALLOWS else "    @lab.actor"
        spelled = sent.spelled(spelling)
        yield from _method(_method_name(name), spelled.wants, spelled.lines)


def _method_name(name: str) -> str:
    """A method of that name, or nearly, where it means something else."""
    name = re.sub(r"\W", "_", name)
    return f"do_{name}" if keyword.iskeyword(name) or hasattr(Scenario, name) or name == "app" else name


def _asked(sent: Sent, spelled: Spelled, method: str) -> Iterator[str]:
    """What a setup does for something that lies between the two: with a session of its own, if it needs one."""
    given = ", ".join(spelled.wants)
    indent = ""
    if sent.refused:
        yield "with contextlib.suppress(Exception):  # it was refused in the test as well"
        indent = "    "
    opened = {"session": "AsyncSession(session.bind, **self.session_options)", "connection": "session.bind.connect()"}
    for each in spelled.wants:
        if each in opened:
            yield f"{indent}async with {opened[each]} as own:"
            indent, given = f"{indent}    ", given.replace(each, "own")
    yield f"{indent}await {method}({given})"


def _method(name: str, wants: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    yield f"    async def {name}({', '.join(('self', *wants))}):"
    yield from (f"        {line}" for line in lines)
    yield ""


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
