"""A token in a test: replayed exactly, or else followed as far as it goes, to say what replays now."""

from __future__ import annotations

from dataclasses import replace

from lab.errors import Divergence
from lab.explore import Conditions, Explorer
from lab.model.record import ExecutionRecord
from lab.model.replay_token import ReplayToken, encode, token_of
from lab.scenario.declare import Scenario
from lab.schedulers.guided import Wished
from lab.schedulers.replay import CAUSES, Replay

__all__ = ["followed"]


async def followed(
    explorer: Explorer, scenario: Scenario, token: ReplayToken, conditions: Conditions
) -> tuple[ExecutionRecord, str]:
    """One execution under the schedule of a token, and "".

    Where the scenario no longer meets the recorded choices, its decisions are taken as far as they can be. If that
    execution breaks something, it is handed back, with the sentence that says so. Raises `Divergence`, with a token of
    what replays now, if it breaks nothing.
    """
    conditions = replace(conditions, recorded=True, origins=True)
    try:
        return await explorer.run(scenario, Replay(token.schedule), conditions), ""
    except Divergence as error:
        where = str(error).removesuffix(CAUSES).strip()
    conditions = replace(conditions, starts=token.schedule.starts)
    near = await explorer.run(scenario, Wished(token.schedule.decisions), conditions)
    changed = f"the scenario has changed since its token was made: the replay {where}"
    if near.failed:
        return near, f"{changed} The same decisions, taken as far as they can be, still break something:"
    now = encode(replace(token_of(near, token.isolation), verdict=None))
    raise Divergence(
        f"{changed} The same decisions, taken as far as they can be, break nothing. That says less than a replay: look "
        f"whether the race that was found is still tried, and hunt again if in doubt. What replays now is {now}"
    )
