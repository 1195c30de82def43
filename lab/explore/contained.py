"""Keeps a defect of the lab's own from ending a hunt: a sentence says what was not done, and the rest goes on.

A server that fails, a Ctrl-C, and whatever the lab raises on purpose go on as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from lab.errors import DEFECTS, LabError, defect, is_a
from lab.postgres.recording.results import is_connection_loss

__all__ = ["caught_in_recording", "or_else", "said"]

_CODE = ("postgres/statements", "postgres/recording", "postgres/connections/journal.py")
_OWN = tuple(str(Path(__file__).parents[1] / each) for each in _CODE)
"""Where code of the lab's lies that an actor runs with its statements, beyond the reach of wrong arguments."""

Made = TypeVar("Made")


async def or_else(doing: str, made: Awaitable[Made], otherwise: Made) -> tuple[Made, str]:
    """What is made, or something else and the sentence that says what the lab could not do."""
    try:
        return await made, ""
    except (LabError, OSError):  # of the server's, or of the lab's on purpose
        raise
    except Exception as error:
        if is_connection_loss(error):
            raise
        return otherwise, defect(doing, error)


@contextlib.contextmanager
def said(doing: str) -> Iterator[None]:
    """A block without which there is nothing to go on with. Raises `LabError`, one sentence, for a defect in it."""
    try:
        yield
    except DEFECTS as error:
        raise LabError(defect(doing, error)) from error


def caught_in_recording(errors: Mapping[str, BaseException]) -> tuple[str, ...]:
    """What the errors of actors say of the lab, where they come from the lab's own recording, as sentences.

    They are not the actors' then, and what these did not come to is nobody's fault.
    """
    own = [each for each in errors.values() if is_a(each, *DEFECTS) and _innermost(each).startswith(_OWN)]
    return tuple(dict.fromkeys(defect("record a statement of an actor", each) for each in own))


def _innermost(error: BaseException) -> str:
    """The file in which an error was raised."""
    trace, file = error.__traceback__, ""
    while trace is not None:
        file, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
    return file
