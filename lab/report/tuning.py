"""Comparisons of schedulers as tables, one sentence and lines for `[tool.lab]`; and as data for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.table import Table

from lab.analysis.advised import Advice
from lab.analysis.searches import MUCH
from lab.analysis.standings import Figures, Judged, Standings
from lab.model.text import count, listed
from lab.report.tables import plain_table

__all__ = ["sentence", "tuning_data", "tuning_lines"]

BY_VIOLATIONS = (
    "scheduler",
    "found",
    "executions to it (95 %)",
    "median",
    "seconds",
    "chance in one (95 %)",
    "p",
    "",
)
BY_COVERAGE = ("scheduler", "seeds", "executions", "traces/s", "pairs/s", "outcomes/s", "p", "")
SMALL = 0.001
NO_VIOLATION = "no scheduler met a violation"


def tuning_lines(compared: Iterable[Standings], advice: Advice) -> Iterator[str | Table]:
    """Each comparison with its sentence, then what to write."""
    judged = {each.standings.target: each for each in advice.judged}
    for each in compared:
        yield f"{each.target}: {_extent(each)}"
        if each.target in judged:
            yield _table(judged[each.target])
            yield ""
            yield sentence(judged[each.target])
        if each.trouble:
            yield f"It ended early: {each.trouble}"
        yield ""
    if advice.lines:
        yield "For [tool.lab] of pyproject.toml:"
        yield from (f"  {line}" for line in advice.lines)
    elif any(each.first is not None and each.first.is_default for each in advice.judged):
        yield "[tool.lab] needs no line: the portfolio is the default."
    if advice.turns is not None and advice.turns_lines:
        yield _turns(advice)
        yield from (f"  {line}" for line in advice.turns_lines)


def _extent(each: Standings) -> str:
    unit = "seconds" if each.in_seconds else "executions"
    wanted = f" of {each.bug!r}" if each.bug else ""
    what = f"{unit} to the first violation{wanted}" if each.found else f"{NO_VIOLATION}{wanted}"
    seeds = count(each.seeds, "seed")
    return f"{what} · {seeds} · {each.cap} executions at most each · {each.executions} in all · {each.seconds:.0f} s"


def _table(judged: Judged) -> Table:
    figures = [judged.figures(each) for each in judged.standings.searches]
    if judged.standings.found:
        figures.sort(key=lambda each: (each.mean is None, each.mean))
        return plain_table(BY_VIOLATIONS, map(_by_violations, figures))
    figures.sort(key=lambda each: -(each.traces_a_second or 0))
    return plain_table(BY_COVERAGE, map(_by_coverage, figures))


def _by_violations(each: Figures) -> tuple[str, ...]:
    if each.mean is None or each.mean_interval is None or each.mean_seconds is None:
        return each.name, "-", "-", "-", "-", "-", "-", each.trouble
    low, high = each.mean_interval
    chance = "-"
    if each.chance is not None and each.chance_interval is not None:
        least, most = each.chance_interval
        chance = f"{each.chance:.3f} ({least:.3f} … {most:.3f})"
    return (
        each.name,
        f"{each.found}/{each.seeds}",
        f"{each.mean:.1f} ({low:.1f} … {high:.1f})",
        "-" if each.median is None else f"{each.median:.0f}",
        f"{each.mean_seconds:.3f}",
        chance,
        _p(each.p),
        f"left out after {each.left_out}" if each.left_out else "",
    )


def _by_coverage(each: Figures) -> tuple[str, ...]:
    rates = (each.traces_a_second, each.pairs_a_second, each.outcomes_a_second)
    shown = ("-" if rate is None else f"{rate:.1f}" for rate in rates)
    return each.name, str(each.seeds), str(each.executions), *shown, _p(each.p_traces), each.trouble


def _p(value: float | None) -> str:
    return "" if value is None else f"< {SMALL}" if value < SMALL else f"{value:.3f}"


def sentence(judged: Judged) -> str:
    """What a comparison comes to."""
    standings, first = judged.standings, judged.first
    if len(standings.able) < 2:  # noqa: PLR2004 - two to compare
        return "Too little was run to compare anything."
    if not standings.found:
        return _of_coverage(judged)
    if first is None:
        return (
            f"{count(standings.seeds, 'seed')} are too few to separate them; give more --seconds, or name fewer "
            "--schedulers."
        )
    figures = {each.name: judged.figures(each) for each in standings.able}
    mean = figures[first.name].mean
    if not judged.separated:
        return (
            f"Nothing separates them after {count(standings.seeds, 'seed')}: all need about as many executions; "
            f"{first.name} needs {mean:.1f} on average."
        )
    usual = next((each for each in standings.able if each.is_default and each is not first), None)
    beside = "" if usual is None else f", the portfolio {figures[usual.name].mean:.1f}"
    return f"Use {first.name}: it needs {mean:.1f} executions on average{beside}; {_how_sure(standings)}."


def _how_sure(standings: Standings) -> str:
    if standings.certain:
        return f"that none needs fewer by a factor of {MUCH} is certain after {count(standings.seeds, 'seed')}"
    others = len(standings.running) - 1
    return f"{count(others, 'other')} may be as good or better, since the time was too short to separate them"


def _of_coverage(judged: Judged) -> str:
    standings, first = judged.standings, judged.first
    nothing = f"Nothing separates them: {NO_VIOLATION} in {count(standings.executions, 'execution')}"
    if first is None:
        return f"{nothing}, and none is ahead of the default by new traces, conflicting pairs and outcomes a second."
    figures = judged.figures(first)
    return (
        f"{nothing}; to see more, use {first.name}, which shows most new traces a second "
        f"({figures.traces_a_second:.0f})."
    )


def _turns(advice: Advice) -> str:
    assert advice.turns is not None
    turns = listed(f"{name} {number}" for name, number in advice.turns.turns.items())
    known = sum(bool(each.standings.found) for each in advice.judged)
    return (
        f"As turns of the portfolio over {count(known, 'scenario')}, {turns} (at most {advice.turns.worst:.1f} times "
        "the executions of the best sampler):"
    )


def tuning_data(compared: Iterable[Standings], advice: Advice) -> dict[str, Any]:
    """The same for programs."""
    judged = {each.standings.target: each for each in advice.judged}
    return {
        "results": [_data(each, judged.get(each.target)) for each in compared],
        "lines": list(advice.lines),
        "turns": None if advice.turns is None else dict(advice.turns.turns),
        "turns_worst": None if advice.turns is None else advice.turns.worst,
        "turns_lines": list(advice.turns_lines),
    }


def _data(each: Standings, judged: Judged | None) -> dict[str, Any]:
    first = None if judged is None else judged.first
    return {
        "target": each.target,
        "bug": each.bug,
        "compared_by": ("seconds" if each.in_seconds else "executions") if each.found else "coverage",
        "cap": each.cap,
        "seeds": each.seeds,
        "looks": each.looks,
        "executions": each.executions,
        "seconds": each.seconds,
        "found": each.found,
        "separated": judged is not None and judged.separated,
        "certain": each.certain,
        "recommended": None if first is None else {"scheduler": first.scheduler, "options": dict(first.options)},
        "sentence": "" if judged is None else sentence(judged),
        "coverage_p": [] if judged is None else list(judged.overall),
        "schedulers": [] if judged is None else [judged.figures(one).shown() for one in each.searches],
        "trouble": each.trouble,
    }
