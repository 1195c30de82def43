"""The lab beside other tools: the same races, on the same server, in one run, taking turns.

    python bench/peers.py              # makes an environment for frontrun, then runs five rounds
    python bench/peers.py --keep DIR   # keeps the environment there, and uses one that is there

The peers: frontrun, newest, with its extra `sql`, in an environment of its own; `asyncio.gather` of the actors, 100
times; the actors one after the other, which shows what no tool costs; PostgreSQL's isolationtester, where it is
installed (`--isolationtester`), for the races that are SQL alone. A tool that finds nothing in a wrong race passes it
falsely; one that objects to a right race gives a false alarm.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack, aclosing
from functools import partial
from pathlib import Path
from typing import IO, Any

import asyncpg
from _common import show
from _races import RACES, Actor, Base, Item, Race
from sqlalchemy import NullPool, delete, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from lab import Outcome, Scenario, actor, invariant
from lab.errors import SearchOver
from lab.explore import Conditions, Explorer
from lab.model.record import ExecutionRecord
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.server import Server
from lab.schedulers import DEFAULT, make_scheduler
from lab.shrink.minimise import minimise
from lab.shrink.replays import replay_times

HERE = Path(__file__).resolve().parent
TESTER = Path("/usr/lib/postgresql/15/lib/pgxs/src/test/isolation/isolationtester")
DATABASE = "peers"
VICTIM = "40P01"
EXECUTIONS = 200
"""Of a search, at most."""
PATIENCE_SECONDS = 120
"""For one answer of a program."""
Figures = dict[str, Any]


# ------------------------------------------------------------------ the lab


def scenario_of(race: Race) -> Scenario:
    """The race as a scenario."""

    def takes(each: Actor) -> Any:
        async def acts(self: Scenario, session: AsyncSession) -> None:
            await each(session)

        return acts

    async def setup(self: Scenario, session: AsyncSession) -> None:
        session.add_all([Item(id=key, value=value) for key, value in enumerate(race.values)])

    async def it_holds(self: Scenario, session: AsyncSession, outcome: Outcome) -> None:
        rows = {item.id: item.value for item in await session.scalars(select(Item))}
        refused = [name for name, result in outcome.results.items() if result.sqlstate == VICTIM]
        assert race.holds(rows), rows
        assert not refused, refused

    namespace: dict[str, Any] = {"metadata": Base.metadata, "isolation": race.level, "setup": setup}
    namespace["it_holds"] = invariant(it_holds)
    for number, each in enumerate(race.actors):
        taking = takes(each)
        taking.__name__ = f"actor{number}"
        namespace[taking.__name__] = actor(taking)
    made: Scenario = type("Raced", (Scenario,), {**namespace, "__module__": __name__, "__doc__": "A race."})()
    return made


async def by_the_lab(explorer: Explorer, scenario: Scenario, seed: int, replays: int) -> Figures:
    """Search with default settings until the first violation, then replay and minimise it."""
    scheduler = make_scheduler(DEFAULT, seed)
    began, found, executions, exhausted = time.perf_counter(), None, 0, False
    while found is None and executions < EXECUTIONS:
        try:
            record = await explorer.run(scenario, scheduler, execution=executions)
        except SearchOver:
            exhausted = True
            break
        executions += 1
        found = record if record.failed else None
    figures: Figures = {"found": found is not None, "executions": executions, "seconds": time.perf_counter() - began}
    if found is None:
        return {**figures, "exhausted": exhausted}
    again = await replay_times(explorer, scenario, found.schedule, Conditions(), replays)

    async def run(scheduler: Any, **changes: Any) -> ExecutionRecord:
        return await explorer.run(scenario, scheduler, Conditions(), **changes)

    least = (await minimise(found, run)).record
    return {**figures, "replayed": again.identical, "of": replays, "preemptions": least.trace.preemptions}


# ------------------------------------------------------------------ without a tool


async def plainly(race: Race, engine: AsyncEngine, *, together: bool) -> bool:
    """One run of the actors, together or one after the other; whether it was as it should be."""
    async with engine.begin() as connection:
        await connection.execute(delete(Item))
        rows = [{"id": key, "value": value} for key, value in enumerate(race.values)]
        await connection.execute(insert(Item), rows)

    async def one(each: Actor) -> None:
        async with AsyncSession(engine) as session:
            await each(session)

    refused = []
    if together:
        results = await asyncio.gather(*map(one, race.actors), return_exceptions=True)
        refused = [each for each in results if isinstance(each, DBAPIError)]
    else:
        for each in race.actors:
            await one(each)
    async with engine.connect() as connection:
        return race.holds(dict((await connection.execute(select(Item.id, Item.value))).tuples().all())) and not refused


async def by_nothing(race: Race, url: str, number: int, *, together: bool) -> Figures:
    """Runs without a tool, up to the first that is not as it should be."""
    engine = create_async_engine(url, isolation_level=race.level, pool_size=len(race.actors))
    try:
        await plainly(race, engine, together=False)  # the pool is warm
        began, executions, found = time.perf_counter(), 0, False
        while not found and executions < number:
            found = not await plainly(race, engine, together=together)
            executions += 1
        return {"found": found, "executions": executions, "seconds": time.perf_counter() - began}
    finally:
        await engine.dispose()


# ------------------------------------------------------------------ frontrun


class Frontrun:
    """Its process, in an environment of its own."""

    def __init__(self, programs: Path, server: Server) -> None:
        folder = server.connect["host"]
        port, user = server.connect["port"], server.connect["user"]
        url = url_of(server)
        command = [programs / "python", HERE / "_with_frontrun.py", url]
        command.append(f"host={folder} port={port} user={user} dbname={DATABASE}")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=HERE
        )

    def ask(self, name: str) -> Figures:
        """One search. What else it prints is passed over."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        asked.write(f"{name}\n")
        asked.flush()
        return _answer(answers)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def _answer(answers: IO[str]) -> Figures:
    for line in answers:
        if line.startswith("\x1e"):
            return dict(json.loads(line[1:]))
    return {"error": "its process ended"}


def environment(folder: Path) -> Path:
    """The programs of an environment with frontrun, newest. Raises `CalledProcessError`."""
    venv = folder / "frontrun"
    if not (venv / "bin/frontrun").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        wanted = ["frontrun[sql]", "sqlalchemy[asyncio]", "asyncpg", "psycopg[binary]"]
        subprocess.run([venv / "bin/python", "-m", "pip", "install", "-q", "--upgrade", *wanted], check=True)
    return venv / "bin"


# ------------------------------------------------------------------ isolationtester


def spec_of(race: Race) -> str:
    """The race as a spec without a listed permutation: it runs all of them."""
    values = ", ".join(f"({key}, {value})" for key, value in enumerate(race.values))
    parts = [f"setup {{ DELETE FROM item; INSERT INTO item (id, value) VALUES {values}; }}"]
    for name, statements in race.steps.items():
        steps = "\n".join(f"step {name}_{number} {{ {sql}; }}" for number, sql in enumerate(statements))
        parts.append(f"session {name}\nsetup {{ BEGIN; }}\n{steps}\nteardown {{ ROLLBACK; }}")
    return "\n".join(parts)


def by_isolationtester(tester: Path, race: Race, server: Server) -> Figures:
    """All permutations, with steps that may wait for a second: those that cannot happen are cancelled then."""
    connect = server.connect
    target = f"host={connect['host']} port={connect['port']} user={connect['user']} dbname={DATABASE}"
    began = time.perf_counter()
    done = subprocess.run(
        [tester, target],
        input=spec_of(race),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, "PGISOLATIONTIMEOUT": "1"},
    )
    seconds = time.perf_counter() - began
    permutations = done.stdout.split("starting permutation:")[1:]
    first = next((at for at, each in enumerate(permutations, 1) if "deadlock detected" in each), None)
    executions = len(permutations) if first is None else first
    share = executions / max(1, len(permutations))
    return {"found": first is not None, "executions": executions, "seconds": seconds * share}


# ------------------------------------------------------------------ all of them


def url_of(server: Server) -> str:
    """Of the database that the peers use."""
    connect = server.connect
    return f"postgresql+asyncpg://{connect['user']}@/{DATABASE}?host={connect['host']}&port={connect['port']}"


async def prepared(server: Server) -> None:
    """Make the database of the peers, with its table."""
    connection = await asyncpg.connect(**server.connect)
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    await connection.close()
    engine = create_async_engine(url_of(server), poolclass=NullPool)
    async with engine.begin() as begun:
        await begun.run_sync(Base.metadata.create_all)
    await engine.dispose()


async def compared(options: argparse.Namespace, programs: Path) -> dict[tuple[str, str], list[Figures]]:
    """For each race and each tool: the figures of each round."""
    found: dict[tuple[str, str], list[Figures]] = {}
    async with AsyncExitStack() as stack:
        server = stack.enter_context(embedded_server(clock=False))
        await prepared(server)
        explorer = await stack.enter_async_context(aclosing(Explorer(server)))
        frontrun = Frontrun(programs, server)
        stack.callback(frontrun.close)
        scenarios = {name: scenario_of(RACES[name]) for name in options.races}
        url = url_of(server)
        for round_ in range(options.rounds):
            for name in options.races:
                race = RACES[name]
                tools: dict[str, Any] = {
                    "lab": partial(by_the_lab, explorer, scenarios[name], round_, options.replays),
                    "frontrun": partial(asyncio.to_thread, frontrun.ask, name),
                    "gather": partial(by_nothing, race, url, EXECUTIONS, together=True),
                    "one after the other": partial(by_nothing, race, url, EXECUTIONS, together=False),
                }
                if race.steps and options.isolationtester.exists():
                    tools["isolationtester"] = partial(
                        asyncio.to_thread, by_isolationtester, options.isolationtester, race, server
                    )
                for tool, run in tools.items():
                    found.setdefault((name, tool), []).append(await run())
                    print(f"{round_ + 1} {name}: {tool} {found[name, tool][-1]}", file=sys.stderr)
    return found


def row_of(name: str, tool: str, rounds: list[Figures]) -> Figures:
    """The medians of a tool on a race, and how often it was wrong."""
    ran = [each for each in rounds if "error" not in each]
    is_right = RACES[name].is_right
    sure = [each for each in ran if not each.get("inconclusive")]
    hits = [each for each in ran if each["found"]]
    replayed = [each for each in hits if each.get("of")]
    tools_of_chance = tool in ("gather", "one after the other")
    spent = sum(each["seconds"] for each in ran)
    return {
        "race": name + (" (right)" if is_right else ""),
        "tool": tool,
        "rounds": len(rounds),
        "executions_a_second": round(sum(each["executions"] for each in ran) / spent, 1) if spent else None,
        "found": len(hits),
        "executions": _median(hits, "executions"),
        "seconds": _median(hits, "seconds"),
        "false_passes": 0 if is_right or tools_of_chance else sum(not each["found"] for each in sure),
        "false_alarms": len(hits) if is_right else 0,
        "inconclusive": len(rounds) - len(sure),
        "identical": sum(each["replayed"] for each in replayed) if replayed else None,
        "replays": sum(each["of"] for each in replayed) if replayed else None,
        "preemptions": _median(hits, "preemptions"),
        "error": next((each["error"] for each in rounds if "error" in each), ""),
        "reason": next((each["reason"] for each in rounds if each.get("reason")), ""),
    }


def _median(figures: list[Figures], name: str) -> float | None:
    known = [each[name] for each in figures if each.get(name) is not None]
    return round(statistics.median(known), 3) if known else None


def versions(programs: Path, tester: Path) -> dict[str, str]:
    """Of the tools."""
    script = "import importlib.metadata as m; print(m.version('frontrun'))"
    asked = {"frontrun": [programs / "python", "-c", script], "isolationtester": [tester, "-V"]}
    there = {name: command for name, command in asked.items() if Path(command[0]).exists()}
    said = {name: subprocess.run(each, capture_output=True, text=True, check=True) for name, each in there.items()}
    return {name: re.sub(r"[^0-9.]*([0-9.]+).*", r"\1", done.stdout.strip()) for name, done in said.items()}


def main() -> None:
    """The program. Exit status 1: the lab passed a wrong race, objected to a right one, or a replay differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--races", type=lambda text: text.split(";"), default=list(RACES), help="names, by semicolons")
    parser.add_argument("--isolationtester", type=Path, default=TESTER, metavar="FILE")
    parser.add_argument("--keep", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-peers-") as temporary:
        programs = environment(options.keep or Path(temporary))
        known = versions(programs, options.isolationtester)
        found = asyncio.run(compared(options, programs))
    rows = [row_of(*each, rounds) for each, rounds in found.items()]
    columns = [name for name in rows[0] if name not in ("error", "reason")]
    show(
        f"The lab beside its peers: {known}",
        columns,
        [["-" if row[name] is None else row[name] for name in columns] for row in rows],
        {"versions": known, "rows": rows},
        as_json=options.json,
    )
    own = [row for row in rows if row["tool"] == "lab"]
    wrong = [row for row in own if row["false_passes"] or row["false_alarms"] or row["identical"] != row["replays"]]
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
