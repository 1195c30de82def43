"""The commands of the command line: one file for each, and a line in `COMMANDS`.

A file holds a click command named `command`: its arguments, options and help, and what it does. It returns a verdict,
which becomes the exit status, or None; it may be asynchronous. What it needs of the lab is imported when it runs, so
that the help of all commands loads none of it.

May import: errors, scenario, model, analysis, schedulers, engine, postgres, checkers, explore, shrink, report, search.
"""

from __future__ import annotations

__all__ = ["COMMANDS"]

COMMANDS = {
    "check-history": "lab.commands.check_history",
    "demo": "lab.commands.demo",
    "doctor": "lab.commands.doctor",
    "explain": "lab.commands.explain",
    "hunt": "lab.commands.hunt",
    "hunts": "lab.commands.hunts",
    "init": "lab.commands.init",
    "invariants": "lab.commands.invariants",
    "list": "lab.commands.list",
    "matrix": "lab.commands.matrix",
    "races": "lab.commands.races",
    "replay": "lab.commands.replay",
    "spec": "lab.commands.spec",
    "tune": "lab.commands.tune",
}
"""Name -> the module of the command."""
