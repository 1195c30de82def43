"""Makes a spec of one execution: the same race for people who know PostgreSQL and not the application.

Each actor is a session, each of its statements a step with its values written in, and the one permutation is the order
in which the execution took them. What an actor did between its statements is not there: values that it computed stand
in the SQL as they were.

Two things are put so that PostgreSQL's own runner gives the same. A transaction is begun by a step of its own, or in
the setup of its session, since that runner looks for a lock wait in the first statement of a step only; so what was
executed with several rows of values becomes one DO block. And who is refused in a deadlock is who looks for it first:
`deadlock_timeout` is short in that session and long in all others.
"""

from __future__ import annotations

import ast
import datetime as dt
import decimal
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lab.errors import UsageError
from lab.model.decision import Pause
from lab.model.record import ExecutionRecord
from lab.model.trace import Action, ActionKind, Step
from lab.scenario.declare import actors_of

__all__ = ["exported", "without_braces"]

SHORT, LONG = "100ms", "100s"
"""`deadlock_timeout` of who is to be refused, and of all others. The short one is long enough to be seen waiting."""
AFTERWARDS = "afterwards"
_COMPOSITE = "replace((t.*)::text, chr(10), '\\n') AS row"
_PLAIN = "setup { SET datestyle = 'ISO'; SET timezone = 'UTC'; SET intervalstyle = 'postgres'; }\n"
_LITERAL = re.compile(r"((?<![\w$])[eE]?'(?:[^'\\]|''|\\.)*'|(?<![\w$])'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")", re.DOTALL)
_PLACEHOLDER = re.compile(r"\$(\d{1,9})(?!\d)")
_NAME = re.compile(r"[A-Za-z_]\w*")
_WORDS = {"notices", "permutation", "session", "setup", "step", "teardown"}
_TABLE = re.compile(r"\s*CREATE TABLE (\S+) ", re.IGNORECASE)
_INDEX = re.compile(r"\s*CREATE (?:UNIQUE )?INDEX \S+ ON (\S+) ", re.IGNORECASE)
_KINDS: Mapping[str, object] = {
    "datetime.datetime": dt.datetime,
    "datetime.date": dt.date,
    "datetime.time": dt.time,
    "datetime.timedelta": dt.timedelta,
    "datetime.timezone.utc": dt.UTC,
    "datetime.timezone": dt.timezone,
    "Decimal": decimal.Decimal,
    "UUID": uuid.UUID,
}
"""What may be called in the `repr` of a value."""


@dataclass(slots=True)
class _Lines:
    """What is written so far of one session."""

    level: str
    deadlock: str
    setup: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)
    is_open: bool = False
    """A transaction is open, or will be by the setup."""


def exported(record: ExecutionRecord, schema: Sequence[str], rows: str, *, compared: bool = False) -> str:
    """The spec of an execution, whose tables `schema` makes and whose rows the script `rows` puts there.

    `compared`: the last steps show rows as `Outcome.rows` has them, each in a line. Raises `UsageError` where the
    execution holds what no spec can: a fault, a pause between two rows, a cursor, a value that was not written down.
    """
    sessions = _sessions(record)
    order: list[str] = []
    for step in record.trace:
        if not step.woken:
            order += _taken(step, sessions[step.actor], step.actor) if step.actor else _fault(step)
    for name, session in sessions.items():
        if session.is_open and session.steps:
            order += _add(session, name, len(record.trace) + 1, "ROLLBACK")
    texts = [sql for session in sessions.values() for _, sql in session.steps]
    known = record.outcome.rows.items()
    tables = [table for table, after in known if after or any(_has(sql, table) for sql in texts)]
    columns = _COMPOSITE if compared else "*"
    last = [
        (f"{AFTERWARDS}_{at}", f"SELECT {columns} FROM {name} AS t ORDER BY t")  # noqa: S608 - text for a reader
        for at, name in enumerate(tables)
    ]
    parts = [f"# {record.scenario.__class__.__qualname__}: one execution, as its actors sent it.\n"]
    made = [*_needed(schema, [*texts, _inserts(rows)]), _inserts(rows)]
    parts += [f"setup\n{_block(each)}\n" for each in made if each.strip()]
    if dropped := [found[1] for each in made if (found := _TABLE.match(each))]:
        drop = f"DROP TABLE {', '.join(dropped)} CASCADE"
        parts.append(f"teardown\n{_block(drop)}\n")
    for name, session in sessions.items():
        if session.steps:
            begin = f"SET deadlock_timeout = '{session.deadlock}';{session.setup}"
            parts.append(f"session {_name(name)}\nsetup {{ {begin} }}\n{_steps(session.steps)}")
    if last:
        parts.append(f"session {AFTERWARDS}\n{_PLAIN if compared else ''}{_steps(last)}")
    return "\n".join([*parts, f"permutation {' '.join([*map(_name, order), *(name for name, _ in last)])}\n"])


def _sessions(record: ExecutionRecord) -> dict[str, _Lines]:
    """For each actor and each task of one: its level, and how soon it looks for a deadlock."""
    refused = {step.actor for step in record.trace if step.result and step.result.error == "40P01"}
    levels = {each.name: each.isolation for each in actors_of(type(record.scenario))}
    names = dict.fromkeys(step.actor for step in record.trace if step.actor)
    return {
        name: _Lines(levels.get(name.partition("/")[0]) or record.isolation, SHORT if name in refused else LONG)
        for name in names
    }


def _fault(step: Step) -> list[str]:
    raise UsageError(f"step {step.number} is a fault ({step.action.text}), which no spec can say")


def _taken(step: Step, session: _Lines, name: str) -> list[str]:
    """The names of the steps that a step of the execution becomes."""
    action = step.action
    if isinstance(step.chosen, Pause):
        raise UsageError(f"step {step.number} pauses a statement between two rows, which no spec can say")
    if action.database:
        raise UsageError(f"step {step.number} is in the database {action.database!r}, and a spec has one database")
    if action.kind is ActionKind.FETCH:
        raise UsageError(f"step {step.number} reads on from a cursor of the driver, which no spec can say")
    if action.kind in (ActionKind.START, ActionKind.POINT, ActionKind.SLEEP):
        return []
    sql = _sql(action)
    names: list[str] = []
    if not session.is_open and action.kind not in (ActionKind.COMMIT, ActionKind.ROLLBACK):
        begin = f"BEGIN ISOLATION LEVEL {session.level}"
        if session.steps:
            names += _add(session, f"begins_{name}", step.number, begin)
        else:
            session.setup = f" {begin};"
    session.is_open = action.kind not in (ActionKind.COMMIT, ActionKind.ROLLBACK)
    return [*names, *_add(session, name, step.number, sql)]


def _add(session: _Lines, name: str, number: int, sql: str) -> list[str]:
    step = f"{name}_{number}"
    session.steps.append((step, sql))
    return [step]


def _sql(action: Action) -> str:
    if action.kind is not ActionKind.STATEMENT:
        return f"{action.kind} {action.text}".strip()
    text = " ".join(action.text.split()) if "'" not in action.text else action.text
    if not action.parameters or not isinstance(action.parameters[0], tuple):
        return _filled(text, action.parameters)
    filled = [_filled(text, row) for row in action.parameters if isinstance(row, tuple)]
    return filled[0] if len(filled) == 1 else f"DO $$ BEGIN {'; '.join(filled)}; END $$"


def _filled(sql: str, parameters: tuple[object, ...]) -> str:
    """A statement with its values in the place of its parameters."""

    def value(found: re.Match[str]) -> str:
        index = int(found[1]) - 1
        return _literal(str(parameters[index])) if 0 <= index < len(parameters) else found[0]

    pieces = enumerate(_LITERAL.split(sql))
    return "".join(piece if at % 2 else _PLACEHOLDER.sub(value, piece) for at, piece in pieces)


def _literal(text: str) -> str:
    """A value as SQL, of its `repr`. Raises `UsageError` for one that is not known from that."""
    try:
        value = _value(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, TypeError, ArithmeticError):
        raise UsageError(f"a statement has a value that cannot be written into a spec: {text}") from None
    return _as_sql(value)


def _as_sql(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return f"({value})" if value < 0 else str(value)
    if isinstance(value, list | tuple):
        return f"ARRAY[{', '.join(map(_as_sql, value))}]" if value else "'{}'"
    if isinstance(value, dt.timedelta):
        return f"'{value / dt.timedelta(microseconds=1):.0f} microseconds'"
    quoted = f"\\x{value.hex()}" if isinstance(value, bytes) else str(value).replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in quoted else f"'{quoted}'"


def _value(node: ast.expr) -> object:
    """What a `repr` stands for: literals, lists, and calls of the few kinds of values that a driver takes."""
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(each) for each in node.elts]
    if isinstance(node, ast.Call):
        made = _KINDS.get(ast.unparse(node.func))
        if callable(made):
            return made(*map(_value, node.args), **{each.arg: _value(each.value) for each in node.keywords if each.arg})
    if isinstance(node, ast.Attribute) and (known := _KINDS.get(ast.unparse(node))) is not None:
        return known
    return ast.literal_eval(node)


def _inserts(script: str) -> str:
    """Of the script that restores rows, what fills fresh tables: rows, and sequences that gave numbers."""
    pieces = enumerate(_LITERAL.split(script))
    statements = "".join(piece if at % 2 else piece.replace(";\n", "\0") for at, piece in pieces).split("\0")
    filling = (each.strip() for each in statements if each.strip().startswith(("INSERT", "SELECT setval")))
    return "\n".join(f"{each};" for each in filling if not each.endswith(", 1, false)"))


def _has(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _needed(schema: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Of the statements that make a schema, all but the tables of which nothing else speaks, and their indexes."""
    tables = {each: found[1] for each in schema if (found := _TABLE.match(each))}
    kept = [each for each in schema if each not in tables and not _INDEX.match(each)]
    while True:
        spoken_of = [*texts, *kept]
        more = [each for each, name in tables.items() if each not in kept and any(_has(t, name) for t in spoken_of)]
        if not more:
            break
        kept += more
    names = {name for each, name in tables.items() if each in kept}
    return [each for each in schema if each in kept or ((found := _INDEX.match(each)) and found[1] in names)]


def without_braces(sql: str) -> str:
    """SQL without closing braces, at the first of which a block ends. Raises `UsageError` for one outside a string."""
    pieces = _LITERAL.split(sql)
    for at, piece in enumerate(pieces):
        if "}" not in piece:
            continue
        if not at % 2 or piece.startswith('"'):
            raise UsageError(f"a statement holds a closing brace, with which a block of a spec ends: {sql.strip()}")
        is_escaped = piece[0] in "eE"
        inner = piece[2:-1] if is_escaped else piece[1:-1].replace("\\", "\\\\")
        pieces[at] = "E'" + inner.replace("}", "\\x7D") + "'"
    return "".join(pieces)


def _block(sql: str) -> str:
    """A block of its own lines, indented where no string goes over the end of a line."""
    text = without_braces(sql).strip().rstrip(";")
    if any("\n" in piece for piece in _LITERAL.split(text)[1::2]):
        return f"{{\n{text};\n}}"
    lines = (f"    {line.rstrip()}".expandtabs(4) for line in text.splitlines() if line.strip())
    return "{\n" + "\n".join(lines) + ";\n}"


def _steps(steps: Iterable[tuple[str, str]]) -> str:
    return "".join(f"step {_name(name)} {{ {without_braces(sql)}; }}\n" for name, sql in steps)


def _name(name: str) -> str:
    is_plain = _NAME.fullmatch(name) and name not in _WORDS
    return name if is_plain else '"' + name.replace('"', '""') + '"'
