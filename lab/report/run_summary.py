"""A pytest run with the lab: what stands at its end, and what GitHub shows beside the code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lab.model.text import count

__all__ = ["annotation", "merged", "run_lines"]

Scenarios = dict[str, dict[str, Any]]
"""Target -> executions, failed, replayed (numbers), limits (texts)."""
_LIMITS_SHOWN = 3


def merged(tests: Iterable[Mapping[str, Mapping[str, Any]]]) -> Scenarios:
    """What the tests of a run did, by scenario."""
    whole: Scenarios = {}
    for test in tests:
        for target, entry in test.items():
            mine = whole.setdefault(target, {"executions": 0, "failed": 0, "replayed": 0, "limits": []})
            for name in ("executions", "failed", "replayed"):
                mine[name] += entry[name]
            mine["limits"] += [each for each in entry["limits"] if each not in mine["limits"]]
    return whole


def run_lines(whole: Scenarios) -> Iterator[str]:
    """The section at the end of a run: each scenario with its executions, and what limits its verdict."""
    total = sum(entry["executions"] for entry in whole.values())
    yield f"{count(len(whole), 'scenario')}, {count(total, 'execution')}"
    for target, entry in sorted(whole.items()):
        replayed = f", {count(entry['replayed'], 'token')} replayed" if entry["replayed"] else ""
        broke = "broken" if entry["failed"] else "nothing broken"
        yield f"  {target}: {count(entry['executions'], 'execution')}{replayed}, {broke}"
        if entry["failed"]:
            continue
        yield from (f"    {each}" for each in entry["limits"][:_LIMITS_SHOWN])
        if (left := len(entry["limits"]) - _LIMITS_SHOWN) > 0:
            yield f"    and {left} more; `lab hunt {target}` shows all"


def annotation(file: str, line: int, title: str, message: str) -> str:
    """A workflow command of GitHub's that puts an error beside a line of code."""
    properties = ",".join(f"{name}={_of_a_property(value)}" for name, value in (
        ("file", file), ("line", str(line)), ("title", title)
    ))  # fmt: skip
    return f"::error {properties}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _of_a_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
