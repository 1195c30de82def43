"""Pages as files: one for a failure; for a hunt one more, and those of its failures beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lab.analysis.tally import HuntResult
from lab.errors import UsageError
from lab.model.remedy import Remedies
from lab.report.html.contents import FailurePage
from lab.report.html.hunt_page import hunt_html
from lab.report.html.render import failure_html

__all__ = ["file_name", "write_hunt_pages", "written"]

LONGEST_NAME = 100


def written(path: Path, text: str) -> None:
    """Write a page; whoever reads it meanwhile sees the old one or the new one. Raises `UsageError`."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UsageError(f"the page {path} cannot be written: {error.strerror or error}") from None


def write_hunt_pages(
    path: Path, result: HuntResult, scheduler: str, remedies: Remedies | None, said: Sequence[str]
) -> list[Path]:
    """The pages of a hunt: `race.html` and, for each failure with a page, `race-failure-1.html` and so on."""
    beside: list[Path | None] = []
    for number, failure in enumerate(result.failures, 1):
        if not failure.page:
            beside.append(None)
            continue
        own = path.with_name(f"{path.stem}-failure-{number}{path.suffix or '.html'}")
        helps = remedies if number == 1 else None  # remedies are tried against one failure
        written(own, failure_html(FailurePage.load(failure.page), remedies=helps, whole=path.name))
        beside.append(own)
    links = [None if each is None else each.name for each in beside]
    written(path, hunt_html(result, scheduler, remedies, said, links))
    return [path, *filter(None, beside)]


def file_name(text: str) -> str:
    """A text as the name of a file, without anything that a file system or a shell minds."""
    return re.sub(r"[^\w.]+", "-", text, flags=re.ASCII).strip("-.")[-LONGEST_NAME:] or "page"
