"""Makes the text of a scenario to start from, of a spec: each session an actor that sends the same SQL.

It is a beginning and not a translation: who goes first is searched instead of listed, BEGIN and COMMIT become those of
the session, and what must hold in the end is for somebody to say who knows.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator

from lab.explore.spec.values import Spec, SpecSession

__all__ = ["scenario_text"]

_TOKENS = re.compile(
    r"--[^\n]*|/\*.*?\*/|[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""
    r"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|;|[^;'\"$/eE-]+|.",
    re.DOTALL,
)
"""What must not be cut at a semicolon inside it: comments, strings, quoted names, bodies."""
_BEGIN = re.compile(
    r"(?:BEGIN|START\s+TRANSACTION)(?:\s+(?:WORK|TRANSACTION))?(?:\s+ISOLATION\s+LEVEL\s+(?P<level>\w+(?:\s+\w+)?))?"
    r"(?:[\s,]+(?:READ\s+(?:ONLY|WRITE)|(?:NOT\s+)?DEFERRABLE))*",
    re.IGNORECASE,
)
_COMMIT = re.compile(r"(?:COMMIT|END)(?:\s+(?:WORK|TRANSACTION))?", re.IGNORECASE)
_ROLLBACK = re.compile(r"(?:ROLLBACK|ABORT)(?:\s+(?:WORK|TRANSACTION))?", re.IGNORECASE)
_ROWS = re.compile(r"(?:INSERT|UPDATE|DELETE|SELECT|WITH|VALUES|MERGE)\b", re.IGNORECASE)
_HEAD = '''"""{title}, from the sessions of {name}.spec."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from lab import Scenario, actor, invariant


class {title}(Scenario):
    """{first}"""
{level}
    async def schema(self, connection: AsyncConnection) -> None:
{schema}
    async def setup(self, session: AsyncSession) -> None:
{setup}
'''
_ACTOR = """    @actor
    async def {name}(self, session: AsyncSession) -> None:
{body}
"""
_INVARIANT = """    @invariant
    async def something_holds(self, session: AsyncSession) -> None:
        assert await session.scalar(text("SELECT true")), "say what must hold in the end, whoever went first"
"""


def statements_of(sql: str) -> Iterator[str]:
    """The statements of a script, without the semicolons between them, comments left where they are."""
    now = ""
    for found in _TOKENS.finditer(sql):
        if found[0] != ";":
            now += found[0]
            continue
        yield from filter(None, [now.strip()])
        now = ""
    yield from filter(None, [now.strip()])


def scenario_text(spec: Spec) -> str:
    """A module with one scenario."""
    title = "".join(part.capitalize() for part in re.findall(r"[A-Za-z0-9]+", spec.name)) or "Spec"
    title = title if title[0].isalpha() else f"Spec{title}"
    made = [each for sql in spec.setups for each in statements_of(sql)]
    levels = {each for session in spec.sessions if (each := _level(session))}
    level = f'\n    isolation: ClassVar[str] = "{levels.pop()}"\n' if len(levels) == 1 else ""
    head = _HEAD.format(
        title=title,
        name=spec.name,
        first="Sessions: " + ", ".join(session.name for session in spec.sessions) + ".",
        level=level,
        schema=_body(_executed("connection", each) for each in made if not _ROWS.match(each)),
        setup=_body(_executed("session", each) for each in made if _ROWS.match(each)),
    )
    if not level:
        head = head.replace("from typing import ClassVar\n\n", "")
    names: set[str] = set()
    actors = [
        _ACTOR.format(name=_unused(session.name, names), body=_body(_lines(session))) for session in spec.sessions
    ]
    return "\n".join([head, *actors, _INVARIANT])


def _sent(session: SpecSession) -> list[str]:
    """What a session sends, in the order in which the file has its steps."""
    return [each for sql in (session.setup or "", *(step.sql for step in session.steps)) for each in statements_of(sql)]


def _level(session: SpecSession) -> str:
    for each in _sent(session):
        if (found := _BEGIN.fullmatch(each)) and found["level"]:
            return " ".join(found["level"].upper().split())
    return ""


def _lines(session: SpecSession) -> Iterator[str]:
    for each in _sent(session):
        if _BEGIN.fullmatch(each):
            continue  # the session begins by itself
        if _COMMIT.fullmatch(each):
            yield "await session.commit()"
        elif _ROLLBACK.fullmatch(each):
            yield "await session.rollback()"
        else:
            yield _executed("session", each)


def _executed(by: str, sql: str) -> str:
    escaped = re.sub(r"(?<!:):(?=\w)", r"\\:", sql)
    literal = f'r"""{escaped}"""' if '"' in escaped or "\n" in escaped or "\\" in escaped else f'"{escaped}"'
    if '"""' in escaped or (literal.startswith("r") and escaped.endswith('"')):
        literal = repr(escaped)
    return f"await {by}.execute(text({literal}))"


def _body(lines: Iterable[str]) -> str:
    return "".join(f"        {line}\n" for line in lines) or "        pass\n"


def _unused(name: str, names: set[str]) -> str:
    base = re.sub(r"\W", "_", name.lower()).strip("_") or "session"
    base = f"session_{base}" if not base[0].isalpha() or keyword.iskeyword(base) else base
    while base in names:
        base += "_"
    names.add(base)
    return base
