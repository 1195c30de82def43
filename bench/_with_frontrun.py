"""frontrun's side of `peers.py`, in an environment of its own: reads the name of a race from each line, answers JSON.

It is asked in the way that its documentation has for async SQLAlchemy: a pool, `explore` with SQL detected.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import warnings

import frontrun
import psycopg
from _races import RACES, Race
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

ASKED = {"max_executions": 200, "total_timeout": 60.0, "deadlock_timeout": 2.0}
REPLAYS = 100


def explored(race: Race, engine: AsyncEngine, control: psycopg.Connection[tuple[int, int]], *, replays: int) -> object:
    refused: list[str] = []

    def setup() -> None:
        refused.clear()
        control.execute("TRUNCATE item")
        for key, value in enumerate(race.values):
            control.execute("INSERT INTO item (id, value) VALUES (%s, %s)", (key, value))

    def worker(actor):
        async def works(state: object) -> None:
            async with AsyncSession(engine) as session:
                await actor(session)

        return works

    def invariant(state: object) -> bool:
        return race.holds(dict(control.execute("SELECT id, value FROM item").fetchall()))

    return frontrun.explore(
        setup, [worker(each) for each in race.actors], invariant, detect_sql=True, reproduce_on_failure=replays, **ASKED
    )


async def asked(name: str, url: str, control: psycopg.Connection[tuple[int, int]]) -> dict[str, object]:
    race = RACES[name]
    engine = create_async_engine(url, isolation_level=race.level, pool_size=6)
    began = time.perf_counter()
    try:
        result = await explored(race, engine, control, replays=0)
        seconds, held = time.perf_counter() - began, result.property_holds
        again = await explored(race, engine, control, replays=REPLAYS) if held is False else None
        return {
            "found": held is False,
            "inconclusive": held is None,
            "executions": result.num_explored,
            "seconds": seconds,
            "reason": str(getattr(result, "inconclusive_reason", "") or "")[:200],
            "replayed": again and again.reproduction_successes,
            "of": again and again.reproduction_attempts,
        }
    except BaseException as error:  # noqa: BLE001 - it is what the table says of this race
        return {"error": f"{type(error).__name__}: {str(error)[:200]}", "seconds": time.perf_counter() - began}
    finally:
        await engine.dispose()


def main() -> None:
    warnings.simplefilter("ignore")
    url, conninfo = sys.argv[1:]
    with psycopg.connect(conninfo, autocommit=True) as control:
        for line in sys.stdin:
            answer = asyncio.run(asked(line.strip(), url, control))
            print(f"\x1e{json.dumps(answer)}", flush=True)


if __name__ == "__main__":
    main()
