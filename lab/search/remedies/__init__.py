"""Remedies: the kinds of them, one file each, and the trials that show which of them help.

The suggestions are those of the PostgreSQL documentation, chapter 13, and of every reviewer. To add a kind, write its
file and add its line to `REMEDIES`; CONTRIBUTING.md shows both.
"""

from __future__ import annotations

from lab.model.table import Table
from lab.search.remedies.kind import Kind

__all__ = ["REMEDIES", "Kind"]

REMEDIES = Table(
    Kind,
    "KIND",
    "lab.search.remedies.lock_order",
    "lab.search.remedies.lock_rows",
    "lab.search.remedies.lock_parent",
    "lab.search.remedies.retry",
    "lab.search.remedies.level",
    "lab.search.remedies.atomic_write",
    "lab.search.remedies.unique_key",
    "lab.search.remedies.on_conflict",
    "lab.search.remedies.skip_locked",
    "lab.search.remedies.weaker_lock",
    "lab.search.remedies.advisory_lock",
    "lab.search.remedies.one_statement",
    "lab.search.remedies.one_transaction",
    "lab.search.remedies.order_by_hand",
    "lab.search.remedies.lock_in_text",
)
"""In the order in which they are tried, the narrowest first; then those that are only advice."""
