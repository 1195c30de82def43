"""Kinds of counters: how what two parts of a hunt counted is made that of the whole, and how it is written."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ENDS", "LAST", "NAMES", "REASON", "SUM", "TALLY", "TIME", "TRACES", "counter"]


def _same(value: Any) -> Any:
    return value


def counter(
    add: Callable[[Any, Any], Any],
    *,
    shown: str | None = "",
    show: Callable[[Any], Any] = _same,
    dump: Callable[[Any], Any] = _same,
    load: Callable[[Any], Any] = _same,
) -> Mapping[str, Any]:
    """How a counter of two parts of a hunt is made that of the whole, and which forms it has.

    `shown` is its name in `--json`, "" for that of the field and None for none, and `show` makes its value there.
    `dump` and `load` make JSON's values for another process, and take them back.
    """
    return {"add": add, "shown": shown, "show": show, "dump": dump, "load": load}


SUM = counter(operator.add)
TALLY = counter(operator.add, show=lambda counts: dict(sorted(counts.items())), load=Counter)
TRACES = counter(operator.or_, shown="distinct_traces", show=len, dump=sorted, load=set)
NAMES = counter(lambda mine, theirs: sorted({*mine, *theirs}))
LAST = counter(lambda mine, theirs: theirs)
"""What the last part of a hunt says holds for the whole."""
ENDS = counter(lambda mine, theirs: theirs | mine, shown=None)
REASON = counter(lambda mine, theirs: mine or theirs, shown=None)
"""The first one met; programs read it as the verdict's reason."""
TIME = counter(lambda mine, theirs: mine, show=lambda seconds: round(seconds, 3))
"""Parts run at the same time, so their times are not added."""
