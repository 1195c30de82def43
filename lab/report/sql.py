"""Statements as a reader wants them in a story: one line, values in place, nothing of the driver's notation."""

from __future__ import annotations

import re
from collections.abc import Callable

from lab.model.decision import Pause
from lab.model.text import beginning, cut
from lab.model.trace import Action, ActionKind, Result, Step

__all__ = ["action_text", "result_text", "statement_text", "step_text"]

ROWS_SHOWN = 3
LONGEST_ACTION, LONGEST_RESULT = 600, 200
"""Characters of what a step did, and of the answer; a value of a million of them would hide all other steps."""
_NAME = r"(?:\w+\.)?(?:\"[^\"]+\"|\w+)"
_TYPE = rf"{_NAME}(?:\(\d+(?:, ?\d+)?\))?(?: VARYING| PRECISION| WITH(?:OUT)? TIME ZONE)?(?:\(\d+\))?(?:\[\])?"
_PLACEHOLDER = re.compile(rf"\$(\d{{1,9}})(?!\d)(?:::{_TYPE})?")
_COLUMN_OF = re.compile(r"\b([A-Za-z_]\w*)\.([A-Za-z_]\w*)")
_ALIAS = re.compile(r" AS (\w+_\w+)(?=[,\s]|$)")
_LITERAL = re.compile(r"('(?:[^']|'')*')")


def statement_text(sql: str, parameters: tuple[object, ...] = ()) -> str:
    """The SQL on one line, bound values in place of `$1`, columns without their table where there is only one."""
    text = " ".join(sql.split())
    tables = {table for table, _ in _COLUMN_OF.findall(_LITERAL.sub("", text))}
    if len(tables) == 1:
        text = _outside_literals(text, lambda part: _COLUMN_OF.sub(r"\2", part))
    used = {table for table, _ in _COLUMN_OF.findall(text)}
    text = _outside_literals(text, lambda part: _ALIAS.sub(lambda a: a[0] if a[1] in used else "", part))
    if parameters and isinstance(parameters[0], tuple):
        more = [f"({', '.join(map(str, row))})" for row in parameters[1:] if isinstance(row, tuple)]
        first = _filled(text, parameters[0])
        return f"{first}, then with {beginning(more, ROWS_SHOWN, gap=' ')}" if more else first
    return _filled(text, parameters)


def _filled(text: str, parameters: tuple[object, ...]) -> str:
    def value(found: re.Match[str]) -> str:
        index = int(found[1]) - 1
        return str(parameters[index]) if 0 <= index < len(parameters) else found[0]

    return _outside_literals(text, lambda part: _PLACEHOLDER.sub(value, part))


def _outside_literals(text: str, change: Callable[[str], str]) -> str:
    """A text with a change made everywhere but inside quotes."""
    return "".join(part if index % 2 else change(part) for index, part in enumerate(_LITERAL.split(text)))


def action_text(action: Action) -> str:
    """What an actor does at a scheduling point, in words of SQL where there are any."""
    return cut(f"{action.database}: {_plain(action)}" if action.database else _plain(action), LONGEST_ACTION)


def _plain(action: Action) -> str:
    if action.kind is ActionKind.STATEMENT:
        return statement_text(action.text, action.parameters)
    if action.kind is ActionKind.SLEEP:
        return f"sleep {action.text}"
    if action.kind is ActionKind.START:
        return "begins"
    if action.kind is ActionKind.POINT:
        return f"point {action.text!r}"
    if action.kind is ActionKind.FETCH:
        return "FETCH"
    return f"{action.kind} {action.text}".strip()


def result_text(result: Result | None) -> str:
    """The answer, short: values of a few rows, a count of changed rows, or the SQLSTATE of an error."""
    if result is None:
        return ""
    if result.error:
        return f"→ error {result.error}"
    if result.rows:
        rows = beginning([_row(row) for row in result.rows[: ROWS_SHOWN + 1]], ROWS_SHOWN, gap=" ")
        return cut(f"→ {rows}", LONGEST_RESULT)
    verb, _, count = result.tag.rpartition(" ")
    if verb.startswith("SELECT") or result.tag == "FETCH":
        return "→ no row"
    if count.isdigit():
        return f"→ {count} row{'' if count == '1' else 's'}"
    return ""


def _row(row: tuple[str, ...]) -> str:
    return row[0] if len(row) == 1 else f"({', '.join(row)})"


def step_text(step: Step) -> str:
    """One step: the action with its answer, and whether it began or ended a lock wait."""
    if step.woken:
        done = f"<… completed> {result_text(step.result)}".strip()
        return f"{done} <waits again{_for(step)}>" if step.wait else done
    if isinstance(step.chosen, Pause) and step.wait:
        return f"{action_text(step.action)} <paused {step.wait.target}>"
    if step.wait:
        return f"{action_text(step.action)} <waits{_for(step)}>"
    return f"{action_text(step.action)} {result_text(step.result)}".strip()


def _for(step: Step) -> str:
    assert step.wait is not None
    holders = " and ".join(step.wait.holders)
    target = f": {step.wait.target}" if step.wait.target else ""
    return f" for {holders}{target}" if holders else ""
