"""What a report says of a failure that was tried in a fresh process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.analysis.reported import ReportedFailure
from lab.report.setting import sure

__all__ = ["Fresh", "with_fresh"]


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a fresh process gave for the token of a failure."""

    reproduced: bool | None
    """None where it could not be tried."""
    instead: str = ""
    """What the token did instead, as a verb; or why it could not be tried."""
    command: str = ""
    """What reproduces the failure in a fresh process, since the token does not; "" where nothing that was tried did."""


def with_fresh(failure: ReportedFailure, fresh: Fresh) -> ReportedFailure:
    """The failure with what a fresh process gave, also in its report."""
    before = sure(failure.identical, failure.replays)
    also = {True: " and in a fresh process", False: ", but not in a fresh process", None: ""}[fresh.reproduced]
    report = failure.report.replace(before, f"{before}{also}", 1) if before else failure.report
    return replace(
        failure,
        fresh_process=fresh.reproduced,
        reproduced_by=fresh.command,
        report="\n".join((report, *_lines(fresh))),
        page=_page(failure.page, (before, f"{before}{also}"), _lines(fresh)),
    )


def _page(page: Mapping[str, Any], sure: tuple[str, str], lines: tuple[str, ...]) -> Mapping[str, Any]:
    """The same on what the page is made from."""
    if not page:
        return page
    parts = [
        {
            **part,
            "lines": [line.replace(*sure) if sure[0] and part["name"] == "setting" else line for line in part["lines"]],
        }
        for part in page["parts"]
    ]
    more = {"name": "fresh", "heading": "", "lines": [line for line in lines if line], "apart": True}
    return {**page, "parts": [*parts, more] if lines else parts}


def _lines(fresh: Fresh) -> tuple[str, ...]:
    if fresh.reproduced:
        return ()
    if fresh.reproduced is None:
        return ("", f"It could not be tried in a fresh process: {fresh.instead}")
    involved = (
        f"State of the process is involved: in a fresh process the token {fresh.instead}, so this failure needs what "
        "an earlier execution left in the process (in a module, a cache, a pool)"
    )
    if not fresh.command:
        return ("", f"{involved}; neither the schedule as it was found nor the same hunt reproduces it there")
    return ("", involved, f"In a fresh process this reproduces it: {fresh.command}")
