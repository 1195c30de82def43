"""`lab check-history`: reads a file, judges the history in it and says what was found."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from lab.commands.console import out, show_json
from lab.commands.options import json_option, level_option
from lab.errors import LONGEST_MESSAGE, UsageError
from lab.model.text import cut

__all__ = ["command"]


@click.command()
@click.argument("file")
@level_option("Judge every transaction by this isolation level instead of the one that FILE states.")
@json_option
def command(file: str, *, isolation: str | None, as_json: bool) -> str:
    """Judge the transactions that FILE records: did anything happen that their isolation level promises to prevent.

    FILE is JSON, as docs/history.md describes it; - reads standard input.
    """
    from lab.checkers.external.history_file import read_history
    from lab.checkers.external.inference import check_recorded
    from lab.report.checked import checked_json, checked_lines, verdict_on
    from lab.report.contained import lines_of

    try:
        checked = check_recorded(read_history(_decoded(file), isolation))
    except UsageError as error:  # it may quote a value of any length
        raise UsageError(cut(str(error), LONGEST_MESSAGE)) from None
    if as_json:
        show_json(checked_json(checked))
    else:
        for line in lines_of("history", partial(checked_lines, checked)):
            out.out(line)
    return verdict_on(checked)[0]


def _decoded(file: str) -> object:
    import json

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not text in UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    except ValueError as error:  # the name has a character that no name has
        raise UsageError(f"cannot read {file}: {error}") from None
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{file} is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise UsageError(f"{file} is nested too deeply to be a history") from None


def _whole_number(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise UsageError(f"a number of {len(digits)} digits is too long to be a value") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    decoded = dict(pairs)
    if len(decoded) < len(pairs):
        names = [name for name, _ in pairs]
        raise UsageError(f'an object names "{next(name for name in names if names.count(name) > 1)}" twice')
    return decoded
