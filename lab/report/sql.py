"""Statements as a reader wants them in a story: one line, values in place, nothing of the driver's notation."""

from __future__ import annotations

import re
from collections.abc import Callable

from lab.model.decision import Pause
from lab.model.text import beginning, cut
from lab.model.trace import Action, ActionKind, Result, Step
from lab.report.columns import ALL, Columns
from lab.report.inserts import several_rows

__all__ = ["action_text", "one_line", "result_text", "statement_text", "step_text"]

ROWS_SHOWN = 3
LONGEST_ACTION, LONGEST_RESULT = 600, 200
"""Characters of what a step did, and of the answer; a value of a million of them would hide all other steps."""
LONGEST = 60
"""Characters of a value."""
LONGEST_STATEMENT = 500
"""Characters of a statement in a story."""
_NAME = r"(?:\w+\.)?(?:\"[^\"]+\"|\w+)"
_TYPE = rf"{_NAME}(?:\(\d+(?:, ?\d+)?\))?(?: VARYING| PRECISION| WITH(?:OUT)? TIME ZONE)?(?:\(\d+\))?(?:\[\])?"
_PLACEHOLDER = re.compile(rf"\$(\d{{1,9}})(?!\d)(?:::{_TYPE})?")
_VARYING = re.compile(r"(?:(?:\"[^\"]+\"|\b\w+) ?[=<>]+ ?|\()?\$\d")
_AFTER_VALUES = re.compile(r" (?:ON CONFLICT|RETURNING) .*")
_COLUMN_OF = re.compile(r"\b([A-Za-z_]\w*)\.([A-Za-z_]\w*)")
_OTHER_VERSIONS = {"excluded", "old", "new"}
"""No tables: `SET runs = excluded.runs` takes the value that was to be inserted."""
_ALIAS = re.compile(r" AS (\w+_\w+)(?=[,\s]|$)")
_LITERAL = re.compile(r"('[^']*')")
"""A quote within one is written twice: then it is two, with nothing in between."""


def statement_text(sql: str, parameters: tuple[object, ...] = (), columns: Columns = ALL) -> str:
    """The SQL on one line, bound values in place of `$1`, columns without their table where there is only one.

    `columns`: those that are shown of long lists. Where it is executed with several rows of values, the part that holds
    them is repeated: `SET x=1 WHERE id = 2, then x=3 WHERE id = 4`.
    """
    text = columns.cut(one_line(sql))
    if not parameters or not isinstance(parameters[0], tuple):
        return _filled(text, parameters)
    first, *rest = (row for row in parameters if isinstance(row, tuple))
    more = [_filled(_varying(text), row) for row in rest[: ROWS_SHOWN + 1]]
    return f"{_filled(text, first)}, then {beginning(more, ROWS_SHOWN, gap=' ')}" if more else _filled(text, first)


def _varying(text: str) -> str:
    """The part of a statement that its values make another one: from the first of them on."""
    found = _VARYING.search(text)
    return _AFTER_VALUES.sub("", text[found.start() :]) if found else "again"


def one_line(sql: str) -> str:
    """The SQL without line breaks, and without tables and aliases that say nothing; parameters are still `$1`."""
    text = several_rows(" ".join(sql.split()))
    tables = {table for table, _ in _COLUMN_OF.findall(_LITERAL.sub("", text))} - _OTHER_VERSIONS
    if len(tables) == 1:
        text = _outside_literals(text, lambda part: _COLUMN_OF.sub(_without_table, part))
    used = {table for table, _ in _COLUMN_OF.findall(text)}
    return _outside_literals(text, lambda part: _ALIAS.sub(lambda a: a[0] if a[1] in used else "", part))


def _without_table(column: re.Match[str]) -> str:
    return column[0] if column[1] in _OTHER_VERSIONS else column[2]


def _filled(text: str, parameters: tuple[object, ...]) -> str:
    def value(found: re.Match[str]) -> str:
        index = int(found[1]) - 1
        return cut(str(parameters[index]), LONGEST) if 0 <= index < len(parameters) else found[0]

    return _outside_literals(text, lambda part: _PLACEHOLDER.sub(value, part))


def _outside_literals(text: str, change: Callable[[str], str]) -> str:
    """A text with a change made everywhere but inside quotes."""
    return "".join(part if index % 2 else change(part) for index, part in enumerate(_LITERAL.split(text)))


def action_text(action: Action, columns: Columns = ALL) -> str:
    """What an actor does at a scheduling point, in words of SQL where there are any."""
    said = _plain(action, columns)
    return cut(f"{action.database}: {said}" if action.database else said, LONGEST_ACTION)


def _plain(action: Action, columns: Columns) -> str:
    if action.kind is ActionKind.STATEMENT:
        return statement_text(action.text, action.parameters, columns)
    if action.kind is ActionKind.SLEEP:
        return f"sleep {action.text}"
    if action.kind is ActionKind.START:
        return "begins"
    if action.kind is ActionKind.POINT:
        return f"point {action.text!r}"
    if action.kind is ActionKind.FETCH:
        return "FETCH"
    return f"{action.kind} {action.text}".strip()


def result_text(result: Result | None, sql: str = "", columns: Columns = ALL) -> str:
    """The answer, short: values of a few rows, a count of changed rows, or the SQLSTATE of an error.

    `sql` is what was asked, and `columns` are those that are shown of a long list in it.
    """
    if result is None:
        return ""
    if result.error:
        return f"→ error {result.error}"
    verb, _, number = result.tag.rpartition(" ")
    if result.rows:
        asked = one_line(sql) if columns.names is not None else ""
        rows = [_row(columns.row(asked, row)) for row in result.rows[: ROWS_SHOWN + 1]]
        of = f" ({number} rows)" if len(rows) > ROWS_SHOWN and number.isdigit() else ""
        return cut(f"→ {beginning(rows, ROWS_SHOWN, gap=' ')}{of}", LONGEST_RESULT)
    if verb.startswith("SELECT") or result.tag == "FETCH":
        return "→ no row"
    if number.isdigit():
        return f"→ {number} row{'' if number == '1' else 's'}"
    return ""


def _row(row: tuple[str, ...]) -> str:
    values = [cut(value, LONGEST) for value in row]
    return values[0] if len(values) == 1 else f"({', '.join(values)})"


def step_text(step: Step, columns: Columns = ALL) -> str:
    """One step: the action with its answer, and whether it began or ended a lock wait."""
    action = cut(action_text(step.action, columns), LONGEST_STATEMENT)
    result = result_text(step.result, step.action.text, columns)
    if step.woken:
        done = f"<… completed> {result}".strip()
        return f"{done} <waits again{_for(step)}>" if step.wait else done
    if isinstance(step.chosen, Pause) and step.wait:
        return f"{action} <paused {step.wait.target}>"
    if step.wait:
        return f"{action} <waits{_for(step)}>"
    return f"{action} {result}".strip()


def _for(step: Step) -> str:
    assert step.wait is not None
    holders = " and ".join(step.wait.holders)
    target = f": {step.wait.target}" if step.wait.target else ""
    return f" for {holders}{target}" if holders else ""
