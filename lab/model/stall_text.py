"""A stall in words: one sentence for each actor that cannot go on, and one for their circle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from lab.model.stall import Held, Holder, Stall, Want, circle_of

__all__ = ["circle_text", "nearer", "stall_text"]

NOWHERE: Mapping[int, str] = MappingProxyType({})


def stall_text(
    stall: Stall,
    stalls: Sequence[Stall],
    *,
    statement: Callable[[str], str] = str,
    places: Mapping[int, str] = NOWHERE,
    lines: bool = True,
) -> str:
    """What an actor holds, what it waits for, whose that is, and where: "alice holds … and waits for …, taken by bob".

    `statement` makes a text of SQL, `places`: number of a step -> the line of code behind it. Without `lines`
    it says what is the same wherever the code stands in its file.
    """
    holds = _all(_held(each, places) if lines else each.what for each in stall.holds)
    begin = f"{stall.actor} holds {holds} and" if holds else stall.actor
    if stall.lock is not None:
        what = stall.lock.target or "a lock"
        held = f", held by {_all(stall.lock.holders)}" if stall.lock.holders else ""
        return f"{begin} waits for {what}{held}" + (f": {statement(stall.place)}" if lines else "")
    what = "something in the process"
    if stall.wants is not None:
        what = _wanted(stall.wants, stall, stalls, lines=lines)
    return f"{begin} waits for {what}" + (f": {nearer(stall.place)}" if lines else "")


def circle_text(stalls: Sequence[Stall]) -> str:
    """Who waits for whom in a circle, in order: "alice waits for bob, who waits for alice"; "" if nobody does."""
    circle = circle_of(stalls)
    if not circle:
        return ""
    first, *others = circle
    return f"{first} waits for {', who waits for '.join([*others, first if others else 'itself'])}"


def nearer(place: str) -> str:
    """A line of code, its file without the working folder."""
    try:
        here = f"{Path.cwd()}{os.sep}"
    except OSError:  # somebody removed it
        return place
    return place.removeprefix(here)


def _held(held: Held, places: Mapping[int, str]) -> str:
    since = _where(held.place) or places.get(held.step, "")
    step = f"#{held.step}" if held.step else ""
    if since:
        return f"{held.what} since {since}{step and f' ({step})'}"
    return f"{held.what}{step and f' since {step}'}"


def _wanted(want: Want, stall: Stall, stalls: Sequence[Stall], *, lines: bool) -> str:
    what = f"{want.what}, {want.state}" if want.state else want.what
    if want.ends:
        return f"{what}: {_all(each.actor for each in want.holders)}" if want.holders else what
    if want.holders:
        if not want.holders[0].actor:
            return f"{what}, which no actor of this execution took"
        return f"{what}, taken {_all(_taken(each, lines=lines) for each in want.holders)}"
    if want.act:
        others = [each.actor for each in stalls if each.actor != stall.actor]
        left = f": {_all(others)} cannot go on" if others else ", all others have ended"
        return f"{what}, and nobody is left who could {want.act}{left}"
    return what


def _taken(holder: Holder, *, lines: bool) -> str:
    where = _where(holder.place) if lines else ""
    step = f" (#{holder.step})" if holder.step and lines else ""
    left = ", which ended and has not given it back" if holder.ended else ""
    return f"{where and f'at {where}{step} '}by {holder.actor}{left}"


def _where(place: str) -> str:
    """File and line of a line of code, without its text."""
    file, _, rest = nearer(place).partition(":")
    return f"{file}:{rest.partition(':')[0]}" if rest else file


def _all(texts: Iterable[str]) -> str:
    found = list(texts)
    return " and ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else "".join(found)
