"""Pages as HTML. The only file that knows the templates; Jinja2 is loaded when a page is written.

A page allows its own style and its own script by their hashes, and nothing else: it asks nobody for anything, so it can
be opened from a disk, sent by mail or kept as an artifact of CI.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lab.model.record import AtLevel
from lab.model.remedy import Remedies
from lab.model.text import count
from lab.report.anomaly import at_level
from lab.report.grid import Grid, grid
from lab.report.html.circles import circle
from lab.report.html.contents import FailurePage
from lab.report.html.lanes import drawing
from lab.report.html.side_by_side import beside
from lab.report.html.texts import harmless, marked_sql, pieces, shortly
from lab.report.html.views import UNKNOWN_LOCKS, UNKNOWN_ROWS
from lab.report.remedies import price_text

__all__ = ["Helps", "failure_html", "rendered", "told"]


@dataclass(frozen=True, slots=True)
class Helps:
    """What helps against a failure, for a template."""

    remedies: Remedies
    grid: Grid | None


def failure_html(page: FailurePage, *, remedies: Remedies | None = None, whole: str = "") -> str:
    """The page of a failure. `whole`: the address of the page of its hunt, relative to this one."""
    helps = None if remedies is None else Helps(remedies, None if remedies.trouble else grid(remedies))
    return rendered("failure.html", helps=helps, whole=whole, **told(page))


def told(page: FailurePage) -> dict[str, Any]:
    """What the template `told.html` tells of a failure."""
    data = page.dump()
    return {
        "page": data,
        "part": {part["name"]: part["lines"] for part in data["parts"]},
        "whys": [part for part in data["parts"] if part["heading"] and part["name"] != "through"],
        "others": [part for part in data["parts"] if part["name"] not in _KNOWN],
        "drawing": drawing(data),
        "circle": circle(data),
        "pairs": beside(data),
        "levels": [_at_level(each) for each in data["levels"]],
        "start": _start(data),
        "rest": {key: value for key, value in data["story"].items() if key not in ("steps", "results")},
        "unknown": (UNKNOWN_LOCKS, UNKNOWN_ROWS),
    }


_KNOWN = frozenset(
    {
        *("headline", "setting", "story", "through", "relevance", "cause", "anomaly", "serial", "results", "deadlocks"),
        *("stalls", "sharing", "unsearched", "more", "replay"),
    }
)


def _start(data: Mapping[str, Any]) -> int:
    """The step at which a page opens: where the cause is complete, else the last one that the explanation names."""
    named = [*(data["cause"] or {"steps": []})["steps"]]
    named = named or [step for link in (data["explanation"] or {"links": []})["links"] for step in link["steps"]]
    return max(named, default=len(data["story"]["steps"]))


def _at_level(level: Mapping[str, Any]) -> str:
    refused = tuple((name, state) for name, state in level["refused"])
    return at_level(AtLevel(level["isolation"], refused, level["broken"]))


def rendered(template: str, **values: Any) -> str:
    """A template of this folder, filled."""
    style, script = _source("page.css"), _source("page.js")
    return str(
        _environment()
        .get_template(template)
        .render(style=style, script=script, style_hash=_hash(style), script_hash=_hash(script), **values)
    )


@cache
def _source(name: str) -> str:
    return (files("lab.report.html") / "templates" / name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Any:
    """Jinja2, which escapes everything; whatever is a text is made harmless on its way as well."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415 - loaded when a page is written
    from markupsafe import Markup  # noqa: PLC0415

    def shown(value: object) -> object:
        return value if isinstance(value, (Markup, int, float)) else "" if value is None else harmless(str(value))

    made = Environment(
        autoescape=True,
        finalize=shown,
        loader=FunctionLoader(_source),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    raw = {name: Markup(_source(name)) for name in ("page.css", "page.js")}  # noqa: S704 - our own files
    made.globals["raw"] = raw
    made.filters |= {
        "count_of": count,
        "pieces": pieces,
        "marked_sql": marked_sql,
        "price": price_text,
        "leaf": _is_leaf,
        "shortly": shortly,
    }
    return made


def _is_leaf(value: object) -> bool:
    return not isinstance(value, Mapping) and (isinstance(value, str) or not isinstance(value, Sequence))
