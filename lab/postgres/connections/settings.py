"""What a session of an actor is set to, so that plans and scans repeat and a lock wait is reported at once."""

__all__ = ["ACTOR_SETTINGS", "PRIVILEGED_SETTINGS"]

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
