"""What a replay token says of how its execution was judged: short, and enough to see that a replay ends otherwise."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.model.schedule_text import ALPHANUMERIC, quoted, refuse, unquoted

if TYPE_CHECKING:
    from lab.model.record import ExecutionRecord

__all__ = ["DEADLOCK", "TokenVerdict", "verdict_in", "verdict_of"]

DEADLOCK = "deadlock"
DIGEST_LENGTH = 4
"""Four characters, of 32 each: another invariant of a scenario has the same digest once in a million."""
_IN_PART = ALPHANUMERIC | {ord("-")}
_FORM = re.compile(rf"([^.]+)\.(?:([^.]+)\.)?([a-z2-7]{{{DIGEST_LENGTH}}})")


@dataclass(frozen=True, slots=True)
class TokenVerdict:
    """The first finding of a failing execution: `invariant.P4.k3fx` as text.

    `checker` objected; `anomaly` is the strongest one of the history, `DEADLOCK` where there was one and no anomaly,
    "" where none was found; `digest` stands for the sentence that does not hold.
    """

    checker: str
    anomaly: str
    digest: str

    def __str__(self) -> str:
        parts = (quoted(each, _IN_PART) for each in (self.checker, self.anomaly) if each)
        return ".".join((*parts, self.digest))

    def is_of(self, record: ExecutionRecord) -> bool:
        """Whether an execution breaks the same."""
        return any(_digest(*finding.key) == self.digest for finding in record.findings)


def verdict_of(record: ExecutionRecord) -> TokenVerdict | None:
    """What the token of an execution says; None where nothing was broken."""
    if not record.findings:
        return None
    finding = record.findings[0]
    anomaly = next(iter(record.anomalies), DEADLOCK if record.deadlocks else "")
    return TokenVerdict(finding.checker, anomaly, _digest(*finding.key))


def verdict_in(text: str) -> TokenVerdict:
    """The verdict that a text holds. Raises `TokenError`."""
    found = _FORM.fullmatch(text)
    if found is None:
        refuse("verdict", text, "checker.digest or checker.anomaly.digest")
    return TokenVerdict(unquoted(found[1], "checker"), unquoted(found[2] or "", "anomaly"), found[3])


def _digest(checker: str, broken: str) -> str:
    data = f"{checker}\0{broken}".encode("utf-8", "surrogatepass")
    return base64.b32encode(hashlib.sha256(data).digest())[:DIGEST_LENGTH].decode().lower()
