"""An INSERT of several rows as people write it: SQLAlchemy sends it with a counter, to get the new keys in order."""

from __future__ import annotations

import re

__all__ = ["several_rows", "split"]

_COUNTED = re.compile(
    r"^(INSERT INTO .+? \(.+?\)) SELECT p0::.+? FROM \(VALUES (\(.+\))\) AS imp_sen\([^)]*\) ORDER BY sen_counter"
)
_PART = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|[(),\[\]]|[^'\"(),\[\]]+|.")


def several_rows(statement: str) -> str:
    """A statement on one line: with plain VALUES where SQLAlchemy wrote them as a table that is selected from."""
    return _COUNTED.sub(_plain, statement, count=1) if " AS imp_sen(" in statement else statement


def _plain(found: re.Match[str]) -> str:
    rows = (", ".join(split(row[1:-1])[:-1]) for row in split(found[2]))
    return f"{found[1]} VALUES {', '.join(f'({row})' for row in rows)}"


def split(values: str) -> list[str]:
    """The values of a list, at the commas that are within no quotes and no brackets."""
    found, depth, value = list[str](), 0, ""
    for part in _PART.findall(values):
        depth += (part in "([") - (part in ")]")
        if part == "," and not depth:
            found.append(value.strip())
            value = ""
        else:
            value += part
    return [*found, value.strip()]
