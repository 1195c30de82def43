"""What an actor's statement does to what the lab relies on: its settings, the schema, its own sessions.

Recognised by the statement's text. Whether the schema really changed is learnt from the database itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from lab.model.comments import AHEAD

__all__ = ["Meddling"]

_HUSHES = re.compile(r"\b(client_min_messages|log_lock_waits|deadlock_timeout)\b", re.IGNORECASE)
"""Settings without which a backend does not report that it waits."""
_ALTERS = re.compile(
    rf"{AHEAD}(?:(?:DO|CALL)\b.*\b)?(?:ALTER|CREATE(?!\s+(?:(?:LOCAL|GLOBAL)\s+)?TEMP)|DROP|REINDEX|CLUSTER|VACUUM|GRANT|REVOKE)\b",
    re.IGNORECASE | re.DOTALL,
)
_ENDS = re.compile(r"\b(pg_terminate_backend|pg_cancel_backend|DROP\s+DATABASE)\b", re.IGNORECASE)
_BESIDE = re.compile(
    rf"{AHEAD}(?:DO|CALL)\b|\b(pg_authid|pg_auth_members|pg_db_role_setting|pg_database|allow_system_table_mods)\b",
    re.IGNORECASE,
)
"""What may change roles, or settings of roles and databases, without a command that says so."""
LONGEST = 60


@dataclass(slots=True)
class Meddling:
    """What actors of one execution did to what the lab relies on, as sentences; "" where they did not."""

    altered: str = ""
    """They may have changed the schema: the database is not used again."""
    ended: str = ""
    """They ended sessions, perhaps the lab's own."""
    beside: bool = False
    """They may have changed what lies beside the database."""
    hushed: dict[int, str] = field(default_factory=dict)
    """Process id of a session that may no longer report its waits -> who did what."""

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes for a report."""
        return (*dict.fromkeys(self.hushed.values()), *filter(None, (self.altered,)))

    def confirm(self, *, altered: bool) -> None:
        """The database says whether its schema changed, which a statement's text only lets one guess."""
        self.altered = (self.altered or "an actor changed the schema, so it was made anew after it") if altered else ""

    def notices(self, actor: str, pid: int, statement: str) -> None:
        """An actor is about to send a statement."""
        if not _meddles(statement):
            return
        self.beside = self.beside or bool(_BESIDE.search(statement))
        short = " ".join(statement.split())
        short = short if len(short) <= LONGEST else f"{short[:LONGEST]} …"
        if found := _HUSHES.search(statement):
            said = f"{actor} set {found[1].lower()}, so lock waits of its session were found by asking the server"
            self.hushed.setdefault(pid, said)
        if _ALTERS.match(statement):
            self.altered = self.altered or f"{actor} may have changed the schema, so it was made anew after it: {short}"
        if _ENDS.search(statement):
            self.ended = self.ended or f"{actor} ended sessions on the server: {short}"


@lru_cache(maxsize=2000)
def _meddles(statement: str) -> bool:
    """Whether a statement touches what the lab relies on."""
    found = _HUSHES.search(statement) or _ALTERS.match(statement) or _ENDS.search(statement)
    return bool(found or _BESIDE.search(statement))
