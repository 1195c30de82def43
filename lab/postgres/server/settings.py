"""What the embedded server is started with: nothing but sessions of the lab makes it do anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["SELF_CONTAINED", "SETTINGS", "SETTINGS_SINCE"]

SELF_CONTAINED: Mapping[str, Any] = {
    "port": 5432,
    "user": "postgres",
    "password": "",
    "database": "postgres",
    "ssl": False,
    "direct_tls": False,
    "target_session_attrs": "any",
    "krbsrvname": "postgres",
    "gsslib": "gssapi",
}
"""All that asyncpg would look for in the environment (PGPORT, PGSSLMODE …) or a password file if it were not given:
those are for the application's own server. The server asks for no password, and an empty one keeps the file unread."""

SETTINGS = {
    "autovacuum": "off",  # its locks are noise; the lab vacuums between executions
    "bgwriter_lru_maxpages": "0",
    "checkpoint_timeout": "1d",
    "deadlock_timeout": "1s",
    "dynamic_shared_memory_type": "mmap",  # in the data folder, so it goes with it
    "fsync": "off",
    "full_page_writes": "off",
    "huge_pages": "off",
    "jit": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "max_logical_replication_workers": "0",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "shared_buffers": "32MB",
    "unix_socket_permissions": "0700",
    "wal_level": "minimal",
    "wal_writer_delay": "10s",  # what was committed without waiting stays unwritten until somebody else writes
}
SETTINGS_SINCE = {18: {"io_method": "sync"}}
