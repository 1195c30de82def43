"""What is offered can be done: each word is held against the schema and the statements that it is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from helpers import not_yet_mended, remedied
from helpers.kit import Order
from sqlalchemy import Numeric, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.types import Integer

from lab import Scenario
from lab.analysis.facts import Facts, Touch
from lab.explore import Conditions
from lab.model.footprint import Lock
from lab.model.replay_token import decode
from lab.model.trace import ActionKind
from lab.scenario.declare import planted_bug_of, target_of
from lab.scenario.registry import discover
from lab.search.job import Job
from lab.search.remedies import REMEDIES
from lab.search.workers import perform
from lab.shrink.replays import replay_times

PLANTED = [cls for cls in discover() if (bug := planted_bug_of(cls)) is not None and bug.token and not cls.faults]
BY_HAND = ("PickedTwice", "ChildThenParent", "UnlockedTooEarly", "CheckedApart", "LockEndsFirst", "ReadInText")
FIXED_ORDER = (
    (remedied.Seats, "ann ben ann ben"),
    (remedied.Logins, "ann ben ann ann ben"),
    (remedied.Renamed, "ann ben ann ann ben"),
    (remedied.CheckedApart, "ann ben"),
    (remedied.Picked, "ann ben"),
    (remedied.Unlocked, "ann"),
    (remedied.OneAdvisoryLock, "ann ben ann ben ann ben"),
    (remedied.Referred, "ann ben ann ben"),
)
ANOMALIES = (None, "P4", "PMP", "G-single", "G2")


async def test_nothing_inapplicable_is_offered(explorer):
    """Against the planted bugs and programs of the tests; every word has a rule, so that a new kind needs one."""
    offered = 0
    async for target, record, level in _failing(explorer):
        for anomaly in ANOMALIES:
            facts = Facts(record, level, anomaly)
            for kind in REMEDIES.values():
                for each in (*kind.advises(facts), *kind.runs(facts)):
                    rules = [rule for beginning, rule in RULES.items() if each.name.startswith(beginning)]
                    assert len(rules) == 1, f"{each.name}: {len(rules)} rules"
                    assert rules[0](facts, each.name), f"{target}: {each.name}"
                    offered += 1
    assert len(PLANTED) > 30
    assert offered > 400


async def _failing(explorer):
    """The failing executions, with their levels."""
    for cls in PLANTED:
        named = decode(planted_bug_of(cls).token)
        level = named.isolation or None
        yield target_of(cls), await _replayed(explorer, cls(), named.schedule, level), level
    for name in BY_HAND:
        job = Job(f"{not_yet_mended.__name__}:{name}", executions=60, refine=False)
        schedule = decode((await perform(explorer, job)).result.failures[0].token).schedule
        yield name, await _replayed(explorer, job.scenario(), schedule, None), None
    for cls, order in FIXED_ORDER:
        yield target_of(cls), await explorer.run(cls(), Order(order)), None


async def _replayed(explorer, scenario: Scenario, schedule, level: str | None):
    record = (await replay_times(explorer, scenario, schedule, Conditions(level), 1)).record
    assert record is not None
    return record


# ---------------------------------------------------------------------- what is asked of each


def named(facts: Facts, name: str) -> list[Table]:
    """The tables that a word names."""
    names = {touch.table for touch in facts.touches if f" {touch.table}" in re.sub(r"[,(]", " ", f"{name} ")}
    return [table for table in map(facts.table, names) if table is not None]


def of(facts: Facts, table: Table, *verbs: str) -> list[Touch]:
    return [each for each in facts.touches if facts.table(each.table) is table and each.verb in verbs]


def keys(table: Table) -> list[set[str]]:
    unique = [each for each in table.constraints if isinstance(each, UniqueConstraint | PrimaryKeyConstraint)]
    return [{column.name for column in each.columns} for each in unique]


def shown(facts: Facts, text: str) -> list[tuple[tuple[str, ...], ...]]:
    """What statements with this text showed."""
    steps = [step for step in facts.record.trace if step.action.text == text and step.result is not None]
    return [step.result.rows for step in steps if step.result is not None]


def no_key_is_there(facts: Facts, name: str) -> bool:
    """No key is over what was looked by, something was looked by, and whoever inserted had seen no such row."""
    for table in named(facts, name):
        looks = [each for each in of(facts, table, "SELECT") if each.access.rows.key]
        columns = [{column for column, _ in each.access.rows.key} for each in looks]
        if not looks or any(key <= each for key in keys(table) for each in columns):
            return False
        empty = [rows in ((), (("0",),), (("False",),)) for each in looks for rows in shown(facts, each.text)]
        inserts = {each.actor for each in of(facts, table, "INSERT")}
        counted = any("count(" in each.text for each in looks)
        if sum(empty) < len(inserts) or (counted and len(inserts) > 2):  # of several rows a key allows one
            return False
    return True


def all_numbers(facts: Facts, name: str) -> bool:
    """Some UPDATE of the table sets nothing but numbers, and does not ask for a version of its own."""
    for table in named(facts, name):
        changes = [each.text.split("WHERE")[0].split("SET")[1] for each in of(facts, table, "UPDATE")]
        set_ = [[table.columns[column] for column in re.findall(r"(\w+)=", each)] for each in changes]
        if not any(all(isinstance(column.type, Integer | Numeric) for column in columns) for columns in set_):
            return False
    return bool(named(facts, name))


def some_row_is_shown(facts: Facts, name: str) -> bool:
    """PostgreSQL refuses FOR UPDATE behind an aggregate."""
    folds = re.compile(r"SELECT (count|sum|max|min|coalesce|DISTINCT|EXISTS)\b", re.IGNORECASE)
    tables = named(facts, name.split(", rows of", maxsplit=1)[0])
    return all(any(not folds.match(each.text) for each in of(facts, table, "SELECT")) for table in tables)


def is_referred_to(facts: Facts, name: str) -> bool:
    tables = {each for table in named(facts, name) for each in table.metadata.tables.values()}
    referred = {key.column.table for table in tables for key in table.foreign_keys}
    return bool(referred & set(named(facts, name)))


def is_duplicate(facts: Facts, name: str) -> bool:
    states = {each.sqlstate for each in facts.record.outcome.results.values()}
    return "23505" in states and all(map(keys, named(facts, name)))


def at_read_committed(facts: Facts, name: str) -> bool:
    """Above it, the snapshot is older than a wait."""
    return "READ COMMITTED" in facts.levels


def several_advisory_locks(facts: Facts, name: str) -> bool:
    return sum("advisory" in text for text in facts.texts) > 2


def picked_from_what_is_changed(facts: Facts, name: str) -> bool:
    """The rows that the subquery picks are those that the statement takes: it changes what the subquery asks for."""
    pattern = r"UPDATE (\w+) SET (\w+)\b.*WHERE.*\(\s*SELECT .*FROM \1\b.*WHERE .*\b\2\b.*LIMIT"
    return any(re.search(pattern, " ".join(text.split())) for text in facts.texts)


def picked_and_changed(facts: Facts, name: str) -> bool:
    for table in named(facts, name):
        picks = [each for each in of(facts, table, "SELECT") if "LIMIT" in each.text and "FOR UPDATE" not in each.text]
        changed = {each.actor for each in of(facts, table, "UPDATE", "DELETE")}
        if not {each.actor for each in picks} & changed:
            return False
    return bool(named(facts, name))


def actors(facts: Facts, name: str) -> list[str]:
    return [each for each in facts.record.trace.actors if re.search(rf"\b{re.escape(each)}\b", name)]


def units(facts: Facts, actor: str) -> Iterator[list[str]]:
    """The statements of each transaction of an actor."""
    unit: list[str] = []
    for step in facts.record.trace:
        if step.actor == actor and not step.woken:
            if step.action.kind in (ActionKind.COMMIT, ActionKind.ROLLBACK):
                yield unit
                unit = []
            elif step.action.kind is ActionKind.STATEMENT:
                unit.append(step.action.text)
    yield unit


def reads_piecemeal(facts: Facts, name: str) -> bool:
    """In one transaction, and it writes nothing."""
    found = [list(units(facts, each)) for each in actors(facts, name)]
    several = all(any(len(unit) > 1 for unit in each) for each in found)
    return several and all(text.startswith("SELECT") for each in found for unit in each for text in unit)


def has_several_transactions(facts: Facts, name: str) -> bool:
    return all(sum(map(bool, units(facts, each))) > 1 for each in actors(facts, name))


def written_by_two(facts: Facts, name: str) -> bool:
    writers = [{each.actor for each in of(facts, table, "UPDATE")} for table in named(facts, name)]
    return bool(writers) and all(len(each) > 1 for each in writers)


def reads_in_text(facts: Facts, name: str) -> bool:
    return any(text.lstrip().upper().startswith("SELECT") for text in facts.obscure)


def several_rows(facts: Facts, name: str) -> bool:
    """A single row of a single table has no order."""
    touches = [each for table in named(facts, name) for each in of(facts, table, "SELECT", "UPDATE", "DELETE")]
    return all(map(keys, named(facts, name))) and ("by key" not in name or len(touches) > 1)


def nobody_fixes_the_key(facts: Facts, name: str) -> bool:
    writes = [each for table in named(facts, name) for each in of(facts, table, "UPDATE", "DELETE")]
    return is_referred_to(facts, name) and not any(each.access.lock is Lock.UPDATE for each in writes)


def catches_what_came(facts: Facts, name: str) -> bool:
    states = {each.sqlstate for each in facts.record.outcome.results.values()}
    return all(state in states for state in re.findall(r"\d{5}", name))


def is_higher(facts: Facts, name: str) -> bool:
    return not all(level == "SERIALIZABLE" or name.startswith(level) for level in facts.levels)


def always(facts: Facts, name: str) -> bool:
    return True


def deadlocked(facts: Facts, name: str) -> bool:
    return "40P01" in facts.record.aborts


def both(*rules: Callable[[Facts, str], bool]) -> Callable[[Facts, str], bool]:
    return lambda facts, name: _all(rule(facts, name) for rule in rules)


def _all(answers: Iterable[bool]) -> bool:
    return all(answers)


RULES: dict[str, Callable[[Facts, str], bool]] = {
    "a unique key": no_key_is_there,
    "an atomic UPDATE": both(all_numbers, written_by_two),
    "a version check on": written_by_two,
    "SELECT … FOR UPDATE on": some_row_is_shown,
    "rows of": several_rows,
    "parent row": is_referred_to,
    "FOR NO KEY UPDATE": both(nobody_fixes_the_key, deadlocked),
    "INSERT … ON CONFLICT": is_duplicate,
    "a savepoint": both(is_duplicate, at_read_committed),
    "pg_advisory_xact_lock": at_read_committed,
    "advisory locks taken in the order": both(several_advisory_locks, deadlocked),
    "all rows locked in one order": deadlocked,
    "FOR UPDATE SKIP LOCKED in the subquery": picked_from_what_is_changed,
    "FOR UPDATE SKIP LOCKED in the SELECT": picked_and_changed,
    "all reads of": reads_piecemeal,
    "one transaction for all writes": has_several_transactions,
    "check and write of": has_several_transactions,
    "FOR UPDATE in SELECTs": reads_in_text,
    "FOR UPDATE on the rows that SELECTs": reads_in_text,
    "a retry loop that also catches": catches_what_came,
    "a retry loop alone": always,
    "REPEATABLE READ": is_higher,
    "SERIALIZABLE": is_higher,
}
"""How a word begins, and whether what it says can be done."""
