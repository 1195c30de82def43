"""Why an anomaly is one, as data: who comes before whom and why, the name, and whether the level allows it.

Text and HTML are made from it elsewhere. The sentences are part of the data, so that every form of a report says the
same. As in Elle, an explanation holds the cycle itself and not only its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from lab.checkers.isolation.anomalies import MEANING, ONE_SNAPSHOT_PREVENTS, Anomaly, AnomalyName, Observation
from lab.checkers.isolation.graph import Edge, EdgeKind
from lab.model.history import INITIAL, History, Transaction
from lab.scenario.declare import ISOLATION_LEVELS

__all__ = ["Explanation", "Link", "explain"]

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


@dataclass(frozen=True, slots=True)
class Link:
    """One edge in words, or the one wrong read; then `kind` is "read" and `after` is empty.

    `steps` are the numbers of the two statements, or of the read.
    """

    before: str
    after: str
    kind: str
    item: str
    predicate: str
    steps: tuple[int, ...]
    value: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """An anomaly, explained. `level` is the isolation level that decides, and `promised` which way."""

    name: AnomalyName
    meaning: str
    promised: bool
    level: str
    transactions: tuple[str, ...]
    links: tuple[Link, ...]
    summary: str
    verdict: str


def explain(anomaly: Anomaly, history: History, *, timed: bool = False) -> Explanation:
    """The explanation of an anomaly of this history. `timed`: its steps are numbered through, in the order of time."""
    transactions = {each.id: each for each in history.transactions}
    labels = _labels(history)
    if anomaly.observation is not None:
        links: tuple[Link, ...] = (_of_observation(anomaly.name, anomaly.observation, transactions, labels),)
    else:
        several = len({edge.item for edge in anomaly.cycle}) > 1
        links = tuple(
            _of_edge(edge, labels, several=several, late=_late(edge, transactions) if timed else "")
            for edge in anomaly.cycle
        )
    level = _deciding(anomaly)
    return Explanation(
        anomaly.name,
        MEANING[anomaly.name],
        anomaly.promised,
        level,
        tuple(labels[each] for each in anomaly.transactions),
        links,
        _summary(anomaly),
        f"{level} promises to prevent it: a finding about the database" if anomaly.promised else f"{level} allows it",
    )


def _labels(history: History) -> Mapping[str, str]:
    """What a report calls each transaction: its actor if that ran no other one, else its id with the actor."""
    of_actor = Counter(each.actor for each in history.transactions)
    return {
        each.id: (each.actor if of_actor[each.actor] == 1 else f"{each.actor} ({each.id})") if each.actor else each.id
        for each in history.transactions
    }


def _deciding(anomaly: Anomaly) -> str:
    """The level that decides: that of the transaction that read too early where there is one, else the weakest."""
    early = (
        [
            level
            for edge, level in zip(anomaly.cycle, anomaly.levels, strict=True)
            if edge.kind is EdgeKind.RW and anomaly.name in ONE_SNAPSHOT_PREVENTS
        ]
        if anomaly.cycle
        else []
    )
    return min(early or anomaly.levels, key=ISOLATION_LEVELS.index)


def _summary(anomaly: Anomaly) -> str:
    name, meaning = anomaly.name, MEANING[anomaly.name]
    named = "" if name in {AnomalyName.INTERNAL, AnomalyName.ORDER, AnomalyName.LONG_FORK} else f"{name}, "
    if not anomaly.cycle:
        return f"{named}{meaning}"
    early = sum(edge.kind is EdgeKind.RW for edge in anomaly.cycle)
    number = _NUMBERS[early] if early < len(_NUMBERS) else str(early)
    return f"a cycle with {number} rw {'edge' if early == 1 else 'edges'}: {named}{meaning}"


def _late(edge: Edge, transactions: Mapping[str, Transaction]) -> str:
    """How a read came after the write that it did not see: a text around "{}", that write; "" where it came before."""
    if edge.kind is not EdgeKind.RW or edge.source_step < edge.target_step:
        return ""
    if transactions[edge.source].level == "READ COMMITTED":
        return "while {} was not committed yet"
    return "from a snapshot in which {} was not committed yet"


def _of_edge(edge: Edge, labels: Mapping[str, str], *, several: bool, late: str) -> Link:
    before, after = labels[edge.source], labels[edge.target]
    thing = edge.item
    if edge.value and not edge.absent:
        named = f"{edge.item} ({edge.value})" if "=" in edge.value else f"{edge.item} = {edge.value}"
        thing = named if several else edge.value
    if late:
        sentence = _read_late(edge, before, after, thing, late)
    else:
        sentence = _by_predicate(edge, before, after) if edge.predicate else _by_item(edge, before, after, thing)
    steps = (edge.source_step, edge.target_step)
    return Link(before, after, edge.kind.value, edge.item, edge.predicate, steps, edge.value, sentence)


def _by_item(edge: Edge, before: str, after: str, thing: str) -> str:
    if edge.kind is EdgeKind.WW:
        if edge.absent:
            return f"{after} wrote {edge.item} anew after {before} had deleted it"
        return f"{after} {'deleted' if edge.dead else 'overwrote'} {before}'s {thing}"
    if edge.kind is EdgeKind.WR:
        return f"{after} found {edge.item} deleted by {before}" if edge.absent else f"{after} read {before}'s {thing}"
    if edge.absent:
        return f"{before} found no {edge.item} before {after} inserted it"
    return f"{before} read {thing} before {after} {'deleted' if edge.dead else 'replaced'} it"


def _by_predicate(edge: Edge, before: str, after: str) -> str:
    writer, reader, when = (after, before, "before") if edge.kind is EdgeKind.RW else (before, after, "after")
    if edge.answer:
        change = "changes" if edge.kind is EdgeKind.RW else "changed"
        wrote = "deleted" if edge.dead else "wrote"
        return f"{reader} asked {edge.predicate} {when} {writer} {wrote} {edge.item}, which {change} the answer"
    if edge.dead:
        what = f"deleted {edge.item}, which matched"
    elif edge.matches:
        what = f"made {edge.item} match"
    else:
        what = f"made {edge.item} match no longer"
    return f"{reader} looked for {edge.predicate} {when} {writer} {what}"


def _read_late(edge: Edge, reader: str, writer: str, thing: str, late: str) -> str:
    """An rw edge in the order of time: the write was there before the read, and not committed."""
    write = f"{'insert' if edge.absent else 'DELETE' if edge.dead else 'change'} (#{edge.target_step})"
    read = f"found no {edge.item}" if edge.absent else f"read {thing}"
    if edge.predicate:
        read = f"looked for {edge.predicate}"
        match = "match" if edge.matches else "match no longer"
        write = f"{write} of {edge.item}, which matched," if edge.dead else f"{write} that made {edge.item} {match}"
    missed = late.format(f"{writer}'s {write}")
    return f"{reader} {read} {missed}"


def _of_observation(
    name: AnomalyName, seen: Observation, transactions: Mapping[str, Transaction], labels: Mapping[str, str]
) -> Link:
    reader = labels[seen.reader]
    writer = labels.get(seen.version.writer, "")
    value = f"{seen.item} = {seen.text}" if seen.text else seen.item
    if name is AnomalyName.G1A:
        why = "rolled back to a savepoint" if transactions[seen.version.writer].committed else "never committed"
        sentence = f"{reader} read {writer}'s {value}, which {writer} {why}"
    elif name is AnomalyName.G1B:
        sentence = f"{reader} read {writer}'s {value}, which {writer} replaced before its COMMIT"
    else:
        whose = "" if seen.version == INITIAL or seen.version.writer == seen.reader else f"{writer}'s "
        sentence = f"{reader} read {whose}{value} and not {seen.expected}"
    return Link(reader, "", "read", seen.item, "", (seen.step,), seen.text, sentence)
