"""Makes the text that PostgreSQL's own runner prints of results, errors and notices.

A result is as libpq's `PQprint` shows it, aligned: widths count bytes, a column is right-aligned if all its values look
like numbers (or none has a value), and NULL is shown as nothing.
"""

from __future__ import annotations

import re

from lab.explore.spec.talk import Copying, Done, Gone, Notification, Part, Rows, Said

__all__ = ["failed", "notice", "notified", "part", "said", "text_of"]

_NUMBER = re.compile(rb"[0-9. -][0-9.Ee -]*(?<=[0-9])")
"""What counts as a number there: it may begin with a blank or a dot, and ends with a digit."""
_CLOSED = (
    "server closed the connection unexpectedly\n"
    "\tThis probably means the server terminated abnormally\n"
    "\tbefore or while processing the request.\n"
)
_MORE = (("D", "DETAIL"), ("H", "HINT"), ("q", "QUERY"), ("W", "CONTEXT"))
"""Fields of an error behind its message, with what stands before each."""


def text_of(value: bytes) -> str:
    """Bytes of the server as text that gives the same bytes again."""
    return value.decode("utf-8", "surrogateescape")


def part(answered: Part) -> str:
    """A part of what a step answers, as the lines under its name."""
    match answered:
        case Done():
            return ""
        case Rows():
            return _table(answered)
        case Said():
            return f"{text_of(answered.fields['S'])}:  {text_of(answered.fields['M'])}\n"
        case Gone():
            return f"{_CLOSED}\n"
        case Copying():
            return f"unexpected result status: PGRES_COPY_{answered.way}\n"


def _table(result: Rows) -> str:
    if not result.columns:
        return ""
    rows = [tuple(value or b"" for value in row) for row in result.rows]
    columns = list(zip(result.columns, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_NUMBER.fullmatch(value) for value in column[1:] if value) for column in columns]
    shown = [
        b"|".join(
            value.rjust(width) if is_right else value.ljust(width)
            for value, width, is_right in zip(row, widths, right, strict=True)
        )
        for row in (result.columns, *rows)
    ]
    lines = [shown[0], b"+".join(b"-" * width for width in widths), *shown[1:]]
    number = len(result.rows)
    return "".join(f"{text_of(line)}\n" for line in lines) + f"({number} row{'' if number == 1 else 's'})\n\n"


def said(message: Said, sql: str, *, with_context: bool) -> str:
    """An error or a notice with all that libpq shows of it."""
    fields = {letter: text_of(value) for letter, value in message.fields.items()}
    text = f"{fields['S']}:  {fields['M']}\n"
    place, of = (fields["P"], sql) if "P" in fields else (fields.get("p", ""), fields.get("q", ""))
    if place and of:
        text += _marked(of, int(place))
    return text + "".join(
        f"{name}:  {fields[letter]}\n" for letter, name in _MORE if letter in fields and (letter != "W" or with_context)
    )


def _marked(sql: str, place: int) -> str:
    """The line of a query in which a character stands, counted from 1, and a mark under it."""
    before = sql[: place - 1]
    start, line = before.rfind("\n") + 1, before.count("\n") + 1
    shown = sql[start:].partition("\n")[0].replace("\t", " ")
    head = f"LINE {line}: "
    return f"{head}{shown}\n{' ' * (len(head) + len(before) - start)}^\n"


def notice(session: str, message: Said, sql: str) -> str:
    """A notice, with the session that got it."""
    return f"{session}: {said(message, sql, with_context=False)}"


def notified(session: str, message: Notification, sender: str) -> str:
    """A notification, with the session that got it and the name of the one that sent it."""
    return f'{session}: NOTIFY "{text_of(message.channel)}" with payload "{text_of(message.payload)}" from {sender}\n'


def failed(what: str, parts: list[Part], sql: str) -> str:
    """What is printed of a setup or teardown that failed; "" of one that did not."""
    for each in parts:
        match each:
            case Said(error=True):
                return f"{what} failed: {said(each, sql, with_context=True)}"
            case Gone():
                return f"{what} failed: {_CLOSED}"
            case _:
                continue
    return ""
