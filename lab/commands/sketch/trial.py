"""Tries a drafted scenario before it is kept: both actors in turn, on a server of the lab's."""

from __future__ import annotations

import sys
import types
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from lab.commands.sketch.place import Target
from lab.errors import DEFECTS, LabError, first_line
from lab.explore import Explorer
from lab.postgres.server.server import Server
from lab.scenario.declare import Scenario
from lab.schedulers import make_scheduler

__all__ = ["Trial", "tried"]

REFUSED = 400


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a draft."""

    worth: int
    """The more of it works, the higher: 0, it cannot be set up; 1, nobody got through; 2, one did; 3, both did."""
    why: str = ""
    """What the first actor that did not get through raised or answered."""
    refusals: tuple[type, ...] = field(default=())
    """Errors that the second one met, where the first got through."""
    refused: bool = False
    """The first got through, and the application itself refused the second: what was there was gone."""


async def tried(server: Server, text: str, target: Target, name: str) -> Trial:
    """Run both actors of a scenario in turn. Its module is made of the text, as if the file were there."""
    module = target.module
    made = types.ModuleType(module)
    made.__file__ = str(target.file)
    kept = sys.modules.get(module)
    sys.modules[module] = made
    try:
        exec(compile(text, made.__file__, "exec"), vars(made))  # noqa: S102 - the file that is about to be written
        scenario: Scenario = vars(made)[name]()
        async with aclosing(Explorer(server)) as explorer:
            record = await explorer.run(scenario, make_scheduler("serial", 0))
    except LabError as error:
        return Trial(0, str(error))
    except Exception as error:  # noqa: BLE001 - of the user's modules, or of a draft that does not suit them
        return Trial(0, first_line(error))
    finally:
        if kept is None:
            del sys.modules[module]
        else:
            sys.modules[module] = kept
    results = list(record.outcome.results.values())
    wrong = [_wrong(each) for each in results]
    why = next((each for each in wrong if each), "")
    refusals = tuple(
        type(each.error) for each in results[1:] if each.error is not None and not isinstance(each.error, DEFECTS)
    )
    if wrong[0]:
        return Trial(1 + wrong.count("") - (not record.trace), why)
    foreign = any(each.__module__.partition(".")[0] in ("builtins", "sqlalchemy", "asyncpg") for each in refusals)
    refused = bool(why) and not foreign and (bool(refusals) or why.startswith("status 4"))
    return Trial(1 + wrong.count("") - (not record.trace), why, refusals, refused)


def _wrong(result: Any) -> str:
    """Why an actor did not get through, or "" if it did."""
    if not result.returned:
        return first_line(result.error) if result.error is not None else result.text
    status = getattr(result.value, "status", None)
    return f"status {status}: {result.text}" if isinstance(status, int) and status >= REFUSED else ""
