"""What `lab replay --as-spec` does: one replay, told as a spec that was tried before it is shown."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from lab.commands.console import err, out
from lab.errors import UsageError
from lab.model.verdict import Verdict

if TYPE_CHECKING:
    from lab.model.replay_token import ReplayToken
    from lab.postgres.server.place import Place
    from lab.scenario.whereabouts import Whereabouts

__all__ = ["show_spec"]


async def show_spec(named: ReplayToken, module: Whereabouts, place: Place) -> str:
    """Print the execution of a token as a spec. Raises `UsageError` for one that no spec can hold.

    The verdict is inconclusive where the spec, run as PostgreSQL's runner does, does not end as the execution did.
    """
    from lab.engine.watchdog import importing
    from lab.model.replay_token import scenario_of
    from lab.scenario.registry import imported, resolve
    from lab.search.direct.hints import is_of_a_race

    if is_of_a_race(named.target):
        raise UsageError("a race of functions has no scenario, so its execution cannot be told as a spec")
    with importing():
        imported(module.module)
        scenario = scenario_of(named, resolve(named.target))
    with place.server_soon() as start:  # it starts while this is imported
        from lab.explore import Conditions, Explorer
        from lab.explore.spec.retold import retold
        from lab.schedulers.replay import Replay

        server = start()
        async with aclosing(Explorer(server)) as explorer:
            conditions = Conditions(named.isolation or None)
            text, difference = await retold(explorer, server, scenario, Replay(named.schedule), conditions)
    out.out(text, end="")
    if difference:
        err.out(f"lab: run as a spec, it does not end as the execution did: {difference}")
    return Verdict.INCONCLUSIVE if difference else Verdict.PASS
