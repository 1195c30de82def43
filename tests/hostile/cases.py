"""The hostile scenarios: what is run, and how it must end."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["CASES", "Case"]

FEW = ("--executions", "6", "--no-remedies")
NOT_AFRESH = ("--no-fresh",)
SHORT = ("--step-seconds", "1", "--setup-seconds", "1", "--invariant-seconds", "1", "--import-seconds", "1")

PASS, VIOLATION, WRONG, BROKEN = 0, 1, 2, 3
TOKEN = "lab replay lab1:"


@dataclass(frozen=True)
class Case:
    """A command line, the exit status that must come out, and a text that must be said."""

    name: str
    arguments: tuple[str, ...]
    status: int
    says: str
    environment: Mapping[str, str] = field(default_factory=dict)
    press: tuple[tuple[float, int], ...] = ()
    folder: str = ""
    """Where it is run: "" for tests/hostile, "at_import", "gone" for one that is removed before."""
    pressed: bool = False
    """Whether the scenario itself sends a signal."""
    json: Mapping[str, Any] | None = None
    """What the JSON value on standard output holds, for those that ask for one."""


def hunt(target: str, status: int, says: str, *more: str, json: Mapping[str, Any] | None = None, **rest: Any) -> Case:
    """A hunt of few executions; with `json`, in JSON."""
    as_json = () if json is None else ("--json",)
    in_here = NOT_AFRESH if status == VIOLATION else ()
    name = f"{target.partition(':')[2]} {' '.join(more)}".strip()
    arguments = ("hunt", f"scenarios.{target}", *FEW, *in_here, *more, *as_json)
    return Case(name, arguments, status, says, json=json, **rest)


def at_import(way: str, status: int, says: str, *arguments: str, **more: Any) -> Case:
    """A command that imports the module which does something at import."""
    arguments = arguments or ("hunt", "importing:Right", *FEW)
    name = f"{way or 'nothing'} at import: {' '.join(arguments)}"
    return Case(name, arguments, status, says, {"HOSTILE": way}, folder="at_import", **more)


IN_ACTOR = {
    "Base": "Base",
    "Fail": "Failed: not right",
    "Skip": "Skipped: not now",
    "Exit": "SystemExit: 0",
    "ExitOne": "SystemExit: 1",
    "Interrupt": "KeyboardInterrupt",
    "Generator": "GeneratorExit",
    "Cancelled": "CancelledError",
    "Group": "ExceptionGroup: several",
    "BaseGroup": "BaseExceptionGroup: several",
    "NoText": "NoText",
    "NoTextAtAll": "NoTextAtAll",
    "Surrogate": "ValueError: half a",
    "Zero": "ValueError: a",
    "Stop": "RuntimeError: coroutine raised StopIteration",
    "Recursion": "RecursionError",
    "Long": "ValueError: long",
    "NoState": "NoState",
    "OddState": "OddState",
    "Usage": "UsageError: of the lab itself",
    "Divergence": "Divergence: of the lab itself",
}
IN_TASK = {each: IN_ACTOR[each] for each in ("Fail", "Exit", "Interrupt", "Generator", "BaseGroup", "NoText")}
OUTSIDE = {
    each: IN_ACTOR[each].partition(":")[0]
    for each in ("Base", "Fail", "Skip", "Exit", "Interrupt", "Generator", "Cancelled", "BaseGroup", "NoTextAtAll")
} | {"Surrogate": "ValueError", "Stop": "RuntimeError"}


def raising() -> Iterator[Case]:
    """Whatever is raised is an end, said with its type."""
    for kind, says in IN_ACTOR.items():
        yield hunt(f"raising:InActor{kind}", VIOLATION, says)
    for kind, says in IN_TASK.items():
        yield hunt(f"raising:InTask{kind}", VIOLATION, says)
        yield hunt(f"raising:InLostTask{kind}", VIOLATION, says)
    for kind, says in OUTSIDE.items():
        yield hunt(f"raising:InSetup{kind}", WRONG, says)
        yield hunt(f"raising:InInvariant{kind}", WRONG, says)
        if kind != "Stop":  # it is another error only when it leaves a coroutine
            yield hunt(f"raising:InPostInit{kind}", WRONG, says)
    yield hunt("raising:InSetupFail", WRONG, "Failed: not right", "--workers", "2")
    yield hunt("raising:InActorExit", VIOLATION, "SystemExit", "--workers", "2")
    yield hunt("raising:InPropertyExit", WRONG, "must be `async def`")
    for kind in ("NoText", "NoTextAtAll", "NoString", "Surrogate", "Long"):
        yield hunt(f"returning:{kind}", PASS, "", json={"verdict": "pass", "executions": 6})
    for where in ("", "InATask"):
        yield hunt(f"raising:OutlastsItsTimeout{where}", VIOLATION, "TimeoutError")
    yield hunt("raising:ErrsInAHandler", VIOLATION, "ValueError: a mistake")
    yield hunt("raising:LeavesAFuture", PASS, "nobody asked for its error: ValueError: lost")
    yield hunt("leaving:NamedTwice", WRONG, "ann")
    yield hunt("leaving:NamedTwiceAtOnce", WRONG, "cleo", json={"exit_status": WRONG})


def leaving() -> Iterator[Case]:
    """Nobody but the end of a hunt writes 0, and nothing but a violation 1."""
    for way in ("Leaves", "LeavesOne", "LeavesInC", "Killed", "Aborts", "Becomes", "LeavesInThread", "Forges"):
        yield hunt(f"leaving:InActor{way}", BROKEN, "ended")
    for way in ("Leaves", "LeavesOne"):
        yield hunt(f"leaving:InSetup{way}", BROKEN, "ended")
        yield hunt(f"leaving:InInvariant{way}", BROKEN, "ended")
        yield hunt(f"leaving:InActor{way}", BROKEN, "ended", "--workers", "2", "--scheduler", "random")
        yield hunt(f"leaving:InActor{way}", BROKEN, "ended", "--workers", "2")
    yield hunt("leaving:InActorTerminated", BROKEN, "interrupted")
    yield hunt("leaving:InActorExitsInThread", PASS, "", json={"verdict": "pass"})
    yield hunt("leaving:InActorStopped", PASS, "", json={"verdict": "pass"})
    yield hunt("leaving:InActorStopped", PASS, "", "--workers", "2", json={"verdict": "pass"})
    for way in ("Leaves", "Returns"):
        yield hunt(f"leaving:InActorForksAnd{way}", PASS, "", json={"verdict": "pass"})


LIST, MATRIX = ("list", "importing"), ("matrix", "importing:Right", "--executions", "2")


def importing() -> Iterator[Case]:
    """A module may do anything while it is imported."""
    yield at_import("", PASS, "pass: importing:Right")
    for way in ("leaves", "leaves one", "killed", "becomes"):
        yield at_import(way, BROKEN, "ended")
    for command in (LIST, MATRIX):
        yield at_import("leaves", BROKEN, "ended", *command)
        yield at_import("exits", WRONG, "SystemExit", *command)
    for way, says in {
        "exits": "SystemExit",
        "exits one": "SystemExit",
        "interrupts": "KeyboardInterrupt",
        "fails": "Failed: not right",
        "skips": "Skipped: not now",
        "base": "BaseException: of no kind",
        "generator": "GeneratorExit",
        "surrogate": "ValueError",
    }.items():
        yield at_import(way, WRONG, says)
    for way in ("computes", "sleeps"):
        yield at_import(way, WRONG, "importing", "hunt", "importing:Right", *FEW, *SHORT)
    for way in ("prints", "replaces"):
        yield at_import(way, PASS, "", "hunt", "importing:Right", *FEW, "--json", json={"verdict": "pass"})
        yield at_import(way, PASS, "", *LIST, "--json", json={})
    yield at_import("leaves at the end", PASS, "pass")
    yield Case("a folder that is gone", ("hunt", "scenarios.quiet:Quiet"), WRONG, "folder", folder="gone")
    yield Case("a folder that is gone, list", ("list",), WRONG, "folder", folder="gone")


def hanging() -> Iterator[Case]:
    """Nothing waits for ever."""
    for way, says in {
        "Sleeps": "",
        "Yields": "step limit",
        "Retries": "step limit",
    }.items():
        status = PASS if way == "Sleeps" else BROKEN
        yield hunt(f"hanging:InActor{way}", status, says, "--executions", "2" if way == "Retries" else "200")
    for way in ("Computes", "ComputesOn", "Blocks", "Backtracks", "Joins", "BlocksOnProcess"):
        yield hunt(f"hanging:InActor{way}", BROKEN, "hanging.py:", *SHORT)
    for way in ("Listens", "Thread", "Process"):
        yield hunt(f"hanging:InActor{way}", BROKEN, "hanging.py:", *SHORT)
    yield hunt("hanging:InActorPgSleeps", BROKEN, "quiet.py:", *SHORT)
    yield hunt("hanging:InActorNever", VIOLATION, "hanging.py:")
    yield hunt("hanging:InActorSwallows", BROKEN, "hanging.py:", *SHORT)
    yield hunt("hanging:SwallowsWhileSleeping", BROKEN, "hanging.py:", *SHORT)
    yield hunt("hanging:InActorLocksCatalog", BROKEN, "catalogs", *SHORT)
    yield hunt("hanging:LocksItselfOut", VIOLATION, "cleo", *SHORT)
    yield hunt("hanging:Sixty", BROKEN, "nothing overlapped", "--executions", "1")
    for kind in ("Raises", "Returns"):
        yield hunt(f"hanging:{kind}WhatTakesForEverToShow", BROKEN, "hanging.py:", *SHORT)
    for place in ("Setup", "Invariant"):
        for way in ("Sleeps", "Computes", "Blocks", "Never", "Thread"):
            yield hunt(f"hanging:In{place}{way}", WRONG, "hanging.py:", *SHORT)
        yield hunt(f"hanging:In{place}PgSleeps", WRONG, "quiet.py:", *SHORT)
        yield hunt(f"hanging:In{place}Backtracks", WRONG, "hanging.py:", *SHORT)
    yield hunt("hanging:InActorComputes", BROKEN, "hanging.py:", *SHORT, "--workers", "2")
    yield hunt("hanging:InSetupComputes", WRONG, "hanging.py:", *SHORT, "--workers", "2")


def astray() -> Iterator[Case]:
    """What an actor changes blames it and not the server, and the next execution does not see it."""
    unharmed = {"verdict": "pass", "executions": 6}
    broken = {"verdict": "fail", "executions": 6}
    for name in (
        "ReplicationRole",
        "LockTimeout",
        "DefaultIsolation",
        "Temporary",
        "Notices",
        "Listens",
        "AdvisoryLock",
        "FullMemory",
        "Sequence",
        "ClientMinMessages",
        "LogLockWaits",
        "DeadlockTimeout",
        "Role",
        "Authorization",
        "SearchPath",
        "StatementTimeout",
        "ReadOnly",
        "DropsLabsSchema",
    ):
        yield hunt(f"astray:{name}Last", PASS, "", json=unharmed)
    for name in ("ClientMinMessages", "LogLockWaits", "DeadlockTimeout"):
        yield hunt(f"astray:{name}First", PASS, "ann set")
    for name, says in {
        "Role": "42501",
        "SearchPath": "42P01",
        "ReadOnly": "25006",
        "DropsTable": "42P01",
        "DropsColumn": "42703",
        "Renames": "42P01",
        "RenamesInFunction": "42P01",
        "DropsSchema": "42P01",
        "DropsDatabase": "25001",
        "TerminatesItself": "ann ends without an error",
        "CancelsItself": "57014",
        "VacuumsInside": "25001",
    }.items():
        yield hunt(f"astray:{name}First", VIOLATION, says, "--keep-going", json=broken)
    yield hunt("astray:AddsColumnLast", VIOLATION, "NotNullViolation", "--keep-going")
    yield hunt("astray:TerminatesAllFirst", BROKEN, "ann")
    for name in ("Disposes", "Vacuums", "Indexes"):
        yield hunt(f"astray:{name}", PASS, "", json=unharmed)
    for name in ("ClosesConnection", "TerminatesConnection"):
        yield hunt(f"astray:{name}", VIOLATION, "ann ends without an error", "--keep-going", json=broken)
    for name in (
        "Prints",
        "ReplacesStdout",
        "ClosesStdout",
        "ClosesOne",
        "IgnoresSignals",
        "ClearsEnvironment",
        "ChangesFolder",
        "Threads",
        "ErrorsInLoop",
        "RaisingHandler",
        "PatchesSleep",
        "PatchesOpen",
        "Memory",
        "Logs",
        "Collects",
        "LeavesProcess",
        "TracesItself",
        "Factory",
    ):
        yield hunt(f"astray:{name}", PASS, "", json=unharmed)
    for kind, says in {"SetsForDatabase": "settings of a role", "ChangesRoles": "changes roles"}.items():
        yield hunt(f"astray:{kind}Last", WRONG, says)
    yield hunt("astray:Warns", VIOLATION, "UserWarning")
    yield hunt("astray:ClosesAll", BROKEN, "")
    yield hunt("astray:LeavesOpen", VIOLATION, "somebody can always go on", "--keep-going", json=broken)
    yield hunt("astray:StopsLoop", BROKEN, "ann stopped the event loop: ")
    yield hunt("astray:ExitsInLoop", BROKEN, "ann raised SystemExit in a callback of the event loop: ")
    yield hunt("astray:ClosesLoop", VIOLATION, "RuntimeError: Cannot close a running event loop")
    yield hunt("astray:Recursion", PASS, "", json=unharmed)
    yield hunt("astray:RecursionAtOnce", VIOLATION, "ann ends without an error", "--keep-going", json=broken)
    yield hunt("astray:CancelsEverybody", BROKEN, "interrupted")


def pressing() -> Iterator[Case]:
    """Ctrl-C, a hang-up and a request to end are answered within two seconds."""
    long = ("--executions", "1000000", "--scheduler", "random")  # which never comes to an end
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for after in (0.05, 0.3, 1.0):
            yield Case(
                f"{signal.Signals(number).name} after {after} s",
                ("hunt", "scenarios.quiet:Quiet", *long),
                BROKEN,
                "interrupted",
                press=((after, number),),
            )
    yield Case(  # by then they have joined
        "Ctrl-C with --workers 3",
        ("hunt", "scenarios.quiet:Quiet", *long, "--workers", "3"),
        BROKEN,
        "interrupted",
        press=((5.0, signal.SIGINT),),
    )
    for way in ("Computes", "ComputesOn", "Backtracks", "PgSleeps", "SwallowsWhileSleeping"):
        target = f"scenarios.hanging:{'' if way.startswith('Sw') else 'InActor'}{way}"
        yield Case(f"Ctrl-C while {target}", ("hunt", target), BROKEN, "interrupted", press=((1.5, signal.SIGINT),))
    for way in ("Computes", "Sleeps"):
        target = f"scenarios.hanging:InSetup{way}"
        yield Case(f"Ctrl-C while {target}", ("hunt", target), BROKEN, "interrupted", press=((1.5, signal.SIGINT),))
    yield Case(
        "Ctrl-C twice",
        ("hunt", "scenarios.quiet:Quiet", *long),
        BROKEN,
        "interrupted",
        press=((1.0, signal.SIGINT), (1.1, signal.SIGINT)),
    )
    yield Case(
        "Ctrl-C that an actor ignores",
        ("hunt", "scenarios.astray:IgnoresSignals", *long),
        BROKEN,
        "interrupted",
        press=((1.5, signal.SIGINT),),
    )
    yield at_import("sleeps", BROKEN, "interrupted", "list", "importing", press=((0.5, signal.SIGINT),))
    yield at_import("computes", BROKEN, "interrupted", "list", "importing", press=((0.5, signal.SIGTERM),))


PRESSED = {
    "InSetup": "",
    "InSearch": "ended early: interrupted",
    "InInvariant": "",
    "InMinimise": TOKEN,
    "InMinimiseDeaf": TOKEN,
    "InRemedies": TOKEN,
}


def pressing_aimed() -> Iterator[Case]:
    """The same in each phase of a hunt, once and twice; what was found until then is shown."""
    for phase, says in PRESSED.items():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for times in (1, 2):
                yield Case(
                    f"{signal.Signals(number).name} {times} times {phase}",
                    ("hunt", f"scenarios.pressed:{phase}", *(NOT_AFRESH if says == TOKEN else ())),
                    VIOLATION if says == TOKEN else BROKEN,
                    says,
                    {"HOSTILE_SIGNAL": str(int(number)), "HOSTILE_TIMES": str(times)},
                    pressed=True,
                )


def afresh(cases: list[Case]) -> Iterator[Case]:
    """Each violation once more, with the failure tried in a fresh process as well: most of what such a hunt costs."""
    for case in cases:
        if NOT_AFRESH[0] in case.arguments:
            arguments = tuple(word for word in case.arguments if word not in NOT_AFRESH)
            yield replace(case, name=f"{case.name}, afresh", arguments=arguments)


CASES = [*raising(), *leaving(), *importing(), *hanging(), *astray(), *pressing(), *pressing_aimed()]
AFRESH = list(afresh(CASES))
LONG = (
    "--workers",
    "--keep-going",
    "Last",
    "SIGTERM 2",
    "SIGHUP 2",
    "hanging:Swallows",
    "InActorYields",
    "Retries",
    "Sixty",
)
BRIEF = {
    case.name
    for number, case in enumerate(CASES)
    if not any(part in case.name for part in LONG) and (number % 5 < 2 or case.press or case.pressed)
} | {f"{name}, afresh" for name in ("InActorSurrogate", "InActorNoTextAtAll", "InTaskInterrupt")}
"""Those that each change runs; the others are long."""
