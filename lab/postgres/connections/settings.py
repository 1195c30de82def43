"""What sessions are set to.

Those of actors: so that plans and scans repeat and a lock wait is reported at once. All: so that nothing that a server,
a role or a URL sets ends them or takes away what a fresh database allows.
"""

from __future__ import annotations

from contextvars import ContextVar

__all__ = [
    "ACTOR_SETTINGS",
    "HOUSE_SETTINGS",
    "PRIVILEGED_SETTINGS",
    "YIELDING",
    "guarding",
    "own_settings",
    "serves_house",
]

serves_house: ContextVar[bool] = ContextVar("lab_serves_house", default=False)
"""Whether the connection that is being opened serves setup, invariants or the making of tables, and no actor."""

ACTOR_SETTINGS = {
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_custom_plan",
    "synchronize_seqscans": "off",
    "timezone": "UTC",
    "application_name": "concurrency-lab actor",
}
"""Settings of an actor's connection that keep plans and scans the same in every run of a schedule."""

PRIVILEGED_SETTINGS = {
    "deadlock_timeout": "1ms",
    "log_lock_waits": "on",
    "client_min_messages": "log",
    "log_min_messages": "fatal",
    "lc_messages": "C",
}
"""Settings that make a backend report each lock wait to its own client, right after its one deadlock check.
All but `client_min_messages` need a superuser or GRANT SET ON PARAMETER."""

GUARDING = {
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    "default_transaction_read_only": "off",
}
"""For every session. Under a schedule an actor is idle because the lab says so, which no clock of the server's knows.
How long a statement or a lock may take is left to the application."""
YIELDING = frozenset({*GUARDING, "search_path"})
"""What the lab sets against a server, a role or a URL, but not where code itself says it with a connection."""
HOUSE_SETTINGS = {"statement_timeout": "0", "lock_timeout": "0"}
"""On top, for setup, invariants and the making of tables."""
_OWN = {
    **GUARDING,
    **HOUSE_SETTINGS,
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
    "timezone": "UTC",
}
_SINCE = {"transaction_timeout": 170000}


def guarding(version: int) -> dict[str, str]:
    """Those of `GUARDING` that a version knows, as PostgreSQL numbers itself."""
    return {name: value for name, value in GUARDING.items() if version >= _SINCE.get(name, 0)}


def own_settings(version: int) -> dict[str, str]:
    """Settings of the lab's own sessions. Those that read rows back do it as the server's defaults would have it."""
    return {name: value for name, value in _OWN.items() if version >= _SINCE.get(name, 0)}
