"""An explained anomaly as text: the "Why" of the failure message."""

from __future__ import annotations

from lab.checkers.explanation import Explanation, Link

__all__ = ["anomaly_lines"]


def anomaly_lines(explanation: Explanation) -> list[str]:
    """One line for each edge with its statements in a column of their own, then the name, then what the level says."""
    told = [_told(link) for link in explanation.links]
    width = max(len(line) for line in told)
    edges = [f"{line:<{width}}   ({_where(link)})" for line, link in zip(told, explanation.links, strict=True)]
    return [*edges, explanation.summary, explanation.verdict]


def _told(link: Link) -> str:
    return f"{link.before} < {link.after}: {link.sentence}" if link.after else link.sentence


def _where(link: Link) -> str:
    steps = "→".join(f"#{step}" for step in link.steps)
    return f"{link.kind}, {steps}" if link.after else steps
