"""Replays a race by calling the function that holds it: nobody wrote a class that could be found by name."""

from __future__ import annotations

import inspect

from lab.errors import UsageError, first_line
from lab.explore import Explorer
from lab.model.replay_token import ReplayToken
from lab.search.direct.hints import FIXTURE, racing_function, why_not_called
from lab.search.direct.lab import Lab, current
from lab.search.direct.runs import Replayed
from lab.shrink.replays import Replays

__all__ = ["replayed_race"]


async def replayed_race(explorer: Explorer, token: ReplayToken, times: int) -> Replays:
    """The replays of a race. Raises `UsageError` where its function cannot be called, or races something else."""
    module, _, name = token.target.partition(":")
    function = racing_function(token.target)
    if function is None:
        raise UsageError(f"no function of {module} races {name}: it changed since the token was made; race again")
    if why := why_not_called(function):
        raise UsageError(
            f"the race {name} stands in a function that {why}, so it cannot be called from here; "
            "replay it where it runs, by pytest's --lab-replay=TOKEN or @replays(TOKEN) above the test"
        )
    lab = Lab(explorer, replay=token, times=times)
    known = current.set(lab)
    try:
        await function(**({FIXTURE: lab} if FIXTURE in inspect.signature(function).parameters else {}))
    except Replayed:
        assert lab.repeated is not None
        return lab.repeated
    except Exception as error:
        raise UsageError(f"{name} ended before its race: {first_line(error)}") from error
    finally:
        current.reset(known)
    met = ", ".join(lab.met) or "nothing"
    raise UsageError(
        f"{token.target} was not raced when its function was called, but {met}; race again for a new token"
    )
