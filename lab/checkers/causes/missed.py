"""Something was there to be seen, and nobody who looked could see it: a lock let go too early, a message, a late id."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.checkers.causes.grammar import asked_columns, tables_of, where, written_table
from lab.checkers.causes.observed import Observed, Sent, Unit
from lab.model.cause import Cause
from lab.model.comments import AHEAD

__all__ = ["cursor_over_ids", "released_before_commit", "unheard"]

_ADVISORY = re.compile(r"\bpg_(?:try_)?advisory_(unlock|lock|xact_lock)(?:_shared)?\s*\(([^()]*)\)", re.IGNORECASE)
_LISTEN = re.compile(rf"^{AHEAD}LISTEN\s+\"?(\w+)", re.IGNORECASE)
_NOTIFY = re.compile(rf"^{AHEAD}NOTIFY\s+\"?(\w+)|\bpg_notify\s*\(\s*([^,]+),", re.IGNORECASE)
_GREATER = re.compile(r"(\w+)\"?\s*>=?\s*(?:\$\d|\d)")


def _advisory(each: Sent) -> tuple[str, tuple[str, ...]] | None:
    """What a statement does to which advisory lock: "lock", "xact_lock" or "unlock", and the key."""
    found = _ADVISORY.search(each.text)
    if found is None or each.error:
        return None
    return found[1].lower(), tuple(_value(part.strip(), each) for part in found[2].split(","))


def _value(text: str, each: Sent) -> str:
    """The value of an argument, which may be bound."""
    plain = text.partition("::")[0]
    number = int(plain[1:]) if re.fullmatch(r"\$\d+", plain) else 0
    parameters = each.action.parameters
    return str(parameters[number - 1]).strip("'") if 0 < number <= len(parameters) else plain.strip("'")


def released_before_commit(seen: Observed) -> Cause | None:
    """An advisory lock was given back while what it guards was not committed, and somebody else took it meanwhile."""
    for unit, unlock in seen.sent:
        done = _advisory(unlock)
        written = {written_table(each.text) for each in unit.sent} - {""}
        if done is None or done[0] != "unlock" or not unit.committed or not written:
            continue
        for other, lock in seen.sent:
            taken = _advisory(lock)
            if other.actor == unit.actor or taken is None or taken[0] == "unlock" or taken[1] != done[1]:
                continue
            if not unlock.answered <= lock.answered < unit.end:
                continue
            met = [s for _, s in seen.of(other.actor) if lock.answered < s.number and s.answered < unit.end]
            if first := next((each for each in met if tables_of(each.text) & written), None):
                return Cause(
                    "advisory lock released before commit",
                    f"{unit.actor} released the advisory lock {', '.join(done[1])} (#{unlock.answered}) before it "
                    f"committed (#{unit.end}); {other.actor} took it in between (#{lock.answered}) and did not see "
                    f"what {unit.actor} had written (#{first.answered})",
                    tuple(sorted({unlock.answered, lock.answered, first.answered})),
                    "take it by pg_advisory_xact_lock, which is released by the COMMIT itself",
                )
    return None


def unheard(seen: Observed) -> Cause | None:
    """A notification was sent and committed before the LISTEN of the one that waits for it."""
    for listener, listen in seen.sent:
        found = _LISTEN.match(listen.text)
        if found is None or listen.error:
            continue
        since = listener.end if listener.committed else listen.answered
        mine = seen.of(listener.actor)
        if any(each.number > since and tables_of(each.text) for _, each in mine):
            continue  # it looks once more after it has begun to listen
        for other, notify in seen.sent:
            early = other.actor != listener.actor and other.committed and other.end < since
            if early and _channel(notify) == found[1].lower() and not _heard(seen, found[1], since, listener.actor):
                return _unheard(listen, other, notify)
    return None


def _heard(seen: Observed, channel: str, since: int, listener: str) -> bool:
    """Whether a later notification came in time."""
    return any(
        _channel(each) == channel.lower() and unit.committed and unit.end > since
        for unit, each in seen.sent
        if unit.actor != listener
    )


def _channel(each: Sent) -> str:
    found = _NOTIFY.search(each.text)
    if found is None or each.error:
        return ""
    return (found[1] or _value(found[2].strip(), each)).lower()


def _unheard(listen: Sent, other: Unit, notify: Sent) -> Cause:
    return Cause(
        "lost notification",
        f"{other.actor}'s NOTIFY (#{notify.answered}) was committed (#{other.end}) before {listen.actor}'s LISTEN "
        f"(#{listen.answered}): only those who listen by then are told, and {listen.actor} looked for nothing "
        "after it",
        tuple(sorted({notify.answered, listen.answered})),
        "LISTEN first and then look for what is there already, also after each reconnection",
    )


def cursor_over_ids(seen: Observed) -> Cause | None:
    """A poll for greater ids saw one that was committed, while a smaller one was inserted and not committed."""
    for _, poll in seen.sent:
        if poll.verb != "SELECT" or not _GREATER.search(where(poll.text)):
            continue
        for item, _ in poll.looks:
            late = next(_inserted_before(seen, poll, item), None)
            if late is not None:
                other, insert, smaller = late
                return Cause(
                    "cursor over ids",
                    f"{poll.actor} asked for greater ids and got {item} (#{poll.answered}), while {other.actor}'s "
                    f"{smaller} was inserted (#{insert.answered}) and not committed until #{other.end}: ids follow "
                    "the INSERTs, rows appear with the COMMITs",
                    tuple(sorted({insert.answered, poll.answered})),
                    "mark each row as seen, instead of remembering the greatest id; or hold a lock from the INSERT to "
                    "the COMMIT, so that they come in one order",
                )
    return None


def _inserted_before(seen: Observed, poll: Sent, item: str) -> Iterator[tuple[Unit, Sent, str]]:
    table, _, key = item.rpartition(" ")
    columns = seen.keys_of(table)
    greater = set(_GREATER.findall(where(poll.text))) & asked_columns(poll.text)
    if len(columns) != 1 or columns[0] not in greater or not key.isdigit():
        return
    ever = {look for _, each in seen.of(poll.actor) for look, _ in each.looks}
    for other in seen.others(poll.actor):
        for each in other.sent:
            for row in each.changes if each.is_insert else ():
                of, _, number = row.rpartition(" ")
                early = of == table and number.isdigit() and int(number) < int(key)
                if early and each.answered < poll.answered < other.end and row not in ever:
                    yield other, each, row
