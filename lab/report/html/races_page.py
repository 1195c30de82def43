"""The page of races: the races with their stories, every pair and what became of it, and what was not raced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.analysis.reported import ReportedFailure
from lab.report.html.contents import FailurePage
from lab.report.html.render import rendered, told

__all__ = ["races_page"]

SHOWN = 3
"""Pairs of a race that are shown at once."""


def races_page(
    data: Mapping[str, Any],
    failures: Sequence[ReportedFailure],
    meanings: Mapping[str, str],
    said: Sequence[str] = (),
) -> str:
    """The page. `data`: the report for programs; `failures`: that of each race, with its page.

    `meanings`: standing -> what it means, in the order of the table; `said`: what stands below the summary.
    """
    order = list(meanings)
    return rendered(
        "races.html",
        data=data,
        drawn=[(each, told(FailurePage.load(each.page)) if each.page else None) for each in failures],
        pairs=sorted(data["pairs"], key=lambda each: order.index(each["standing"])),
        meanings=meanings,
        said=said,
        shown=SHOWN,
    )
