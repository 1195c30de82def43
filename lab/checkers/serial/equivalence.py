"""Serial equivalence: an execution is right if its actors, run one after the other in some order, give the same result.

Papadimitriou (1979) calls a history serializable when a serial one has the same effect. What is compared here is what
can be seen from outside: what each actor returned or raised, and the final rows. This is weaker than view equivalence,
which also compares what every transaction read, and asks more than its transactions promise of a request that has
several: the whole request is to be one.

An actor that returned took part. One that the server refused (a serialization failure, a deadlock, a lock not
available) did not, and may have left nothing behind. One that ended with an error of the application may have taken
part, and then must end the same way in the serial run, or it did not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, groupby, permutations

from lab.checkers.serial.effects import Effects, Row
from lab.checkers.serial.renaming import Answer, compare, result_fits, rows_renamed
from lab.model.outcome import Ending, Outcome, ResultKind
from lab.model.text import cut
from lab.model.trace import Trace
from lab.model.yardstick import Difference, DifferenceKind, SerialJudgement

__all__ = ["after", "differences", "is_serial", "nearest", "obstacle", "order_of_ends", "orders", "sentence", "summary"]

Order = tuple[str, ...]

SHOWN = 100
"""Characters of a row or a result in a sentence."""


def obstacle(trace: Trace, outcome: Outcome) -> str:
    """Why an execution cannot be compared with serial runs, "" if it can."""
    if trace.faults:
        return "a fault struck, which no serial run has"
    if outcome.ending not in (Ending.COMPLETED, Ending.DEADLOCKED):
        return f"it did not end: {outcome.ending}"
    return ""


def order_of_ends(trace: Trace, outcome: Outcome) -> Order:
    """The actors that returned, or raised an error of their own, in the order of their last steps."""
    last = {_root(step.actor): step.number for step in trace}
    took_part = (ResultKind.RETURNED, ResultKind.RAISED)
    names = [name for name, result in outcome.results.items() if result.kind in took_part]
    return tuple(sorted(names, key=lambda name: last.get(name, 0)))


def orders(first: Order, outcome: Outcome) -> list[Order]:
    """Every order that may have been the serial one: of who returned, and of each part of those who raised.

    Sorted by how far they are from `first`: those that leave fewer out, then those with fewer pairs turned round.
    """
    raised = [name for name in first if outcome.results[name].kind is ResultKind.RAISED]
    rank = {name: place for place, name in enumerate(first)}
    found: list[tuple[int, int, tuple[int, ...], Order]] = []
    for left_out in range(len(raised) + 1):
        for out in combinations(raised, left_out):
            part = [name for name in first if name not in out]
            for order in permutations(part):
                ranks = tuple(rank[name] for name in order)
                found.append((left_out, sum(one > other for one, other in combinations(ranks, 2)), ranks, order))
    return [order for *_, order in sorted(found)]


def is_serial(trace: Trace, outcome: Outcome, order: Order) -> bool:
    """Whether a run can be compared with: it was completed, and its actors ran one after the other.

    One that waits in the process for another cannot run before it: then there is no such serial order.
    """
    stretches = [name for name, _ in groupby(_root(step.actor) for step in trace)]
    present = [name for name in order if name in stretches]
    return outcome.ending is Ending.COMPLETED and not trace.faults and stretches == present


def differences(here: Effects, there: Effects) -> tuple[Difference, ...]:
    """What differs between an execution and a serial run; empty when nothing does, or when that was not decided."""
    if compare(here, there) is not Answer.DIFFERENT:
        return ()
    found = [
        Difference(DifferenceKind.RESULT, name, here.ending(name), there.ending(name))
        for name in here.results
        if not _result_is_the_same(here, there, name)
    ]
    found += _of_rows(here.rows, there.rows)
    return tuple(found) or (Difference(DifferenceKind.LINKS, "generated ids", "lead to other rows", ""),)


def _result_is_the_same(here: Effects, there: Effects, actor: str) -> bool:
    """Compares under the renaming that the rows establish, where they establish one; else as text."""
    if rows_renamed(here, there):
        return result_fits(here, there, actor)
    return here.ending(actor) == there.ending(actor)


def nearest(
    compared: Mapping[Order, tuple[Difference, ...]], unusable: int, normalised: Iterable[str]
) -> SerialJudgement:
    """The judgement on an execution that equals no serial run, by the nearest one; the first of equally near ones.

    Without any serial run to compare with, it is not a violation: nothing was shown.
    """
    if not compared:
        return SerialJudgement(unusable=unusable, obstacle="its actors cannot run one after the other in any order")
    order = min(compared, key=lambda each: len(compared[each]))
    return SerialJudgement(order, compared[order], len(compared), unusable, tuple(sorted(normalised)))


def summary(judgement: SerialJudgement) -> str:
    """The judgement in one line: the first difference, and how many orders were tried."""
    first, *others = judgement.differences
    more = f" and {len(others)} more difference{'s' if len(others) > 1 else ''}" if others else ""
    tried = f"{judgement.tried} serial orders were" if judgement.tried > 1 else "1 serial order was"
    return f"{sentence(first, judgement.order)}{more}; {tried} tried"


def sentence(difference: Difference, order: Sequence[str]) -> str:
    """A difference in words."""
    what, when = difference.what, after(order)
    here, there = cut(difference.here, SHOWN), cut(difference.there, SHOWN)
    if difference.kind is DifferenceKind.RESULT:
        return f"{what} {here}; {when}, it {there}"
    if difference.kind is DifferenceKind.LINKS:
        return f"the rows are those {when}, but {what} {here}"
    if not there:
        return f"{what} holds {here}; {when}, it does not"
    if not here:
        return f"{what} does not hold {there}; {when}, it does"
    return f"{what} holds {here}; {when}, it holds {there}"


def after(order: Sequence[str]) -> str:
    """`after bob, then alice`."""
    return f"after {', then '.join(order)}" if order else "when nobody runs"


def _root(actor: str) -> str:
    """The root actor: an actor's tasks are part of it."""
    return actor.partition("/")[0]


def _of_rows(here: Sequence[Row], there: Sequence[Row]) -> Iterator[Difference]:
    """Rows that only one side has; with one key, or in one table where the database drew the keys, they are paired.

    Equal rows are one difference, which says how many there are; so is a row that one side has more often.
    """
    ours, theirs = Counter(here), Counter(there)
    waiting: dict[tuple[str, str], list[str]] = {}
    for row in sorted(theirs.keys() - ours.keys(), key=_place):
        waiting.setdefault((row.table, row.key), []).append(_often(row, theirs[row]))
    for row in sorted((row for row in ours if ours[row] != theirs[row]), key=_place):
        both = row in theirs
        partners = waiting.get((row.table, row.key), [])
        other = _often(row, theirs[row], once=" once") if both else partners.pop(0) if partners else ""
        yield Difference(
            DifferenceKind.ROW, _whose(row.table, row.key), _often(row, ours[row], once=" once" * both), other
        )
    for (table, key), texts in waiting.items():
        for text in texts:
            yield Difference(DifferenceKind.ROW, _whose(table, key), "", text)


def _whose(table: str, key: str) -> str:
    return f"{table} {key}".rstrip()


def _often(row: Row, number: int, *, once: str = "") -> str:
    """A row, and how many times it is there."""
    return row.text + {1: once, 2: " twice"}.get(number, f" {number} times")


def _place(row: Row) -> tuple[str, str, str]:
    return row.table, row.key, row.text
