"""What is asked of a statement again, once what came of it was seen."""

from __future__ import annotations

from lab.model.footprint import Access, Deferred, Lock, Memory, Rows, Seen

OWN = Access(Rows("a"), Lock.UPDATE, reads=True, writes=True)
OTHER = Access(Rows("log"), Lock.UPDATE, reads=True, writes=True)


def seen_once(
    memory: Memory,
    *accesses: Access,
    understood: bool = True,
    level: str = "READ COMMITTED",
    before: Deferred | None = None,
) -> Deferred:
    """A statement on one table, after which its transaction was seen to hold this."""
    made = Deferred(lambda: (OWN,) if understood else None, level, before, memory, lambda: False)
    assert made.may_differ
    made.saw(Seen(accesses))
    made.resolved()
    return made


def test_what_a_construct_explains_is_not_asked_again():
    assert not seen_once(Memory(), OWN).may_differ


def test_what_touches_more_or_is_not_understood_is_asked_each_time():
    assert seen_once(Memory(), OWN, OTHER).may_differ
    assert seen_once(Memory(), OWN, understood=False).may_differ


def test_a_statement_that_touched_more_once_is_asked_though_it_does_no_longer():
    memory = Memory()
    seen_once(memory, OWN, OTHER)
    assert seen_once(memory, OWN).may_differ


def test_a_statement_after_one_that_is_not_understood_is_asked_since_that_may_hide_what_it_touches():
    before = seen_once(Memory(), OWN, OTHER, understood=False)
    assert seen_once(Memory(), OWN, OTHER, before=before).may_differ


def test_what_serializable_transactions_watch_is_asked_each_time():
    assert seen_once(Memory(), OWN, level="SERIALIZABLE").may_differ
