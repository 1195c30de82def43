"""Which executions showed a new trace: what feedback keeps, and when a sampler has seen most there is to see."""

from __future__ import annotations

from lab.analysis.normal_form import digest
from lab.model.trace import Trace

__all__ = ["Seen"]


class Seen:
    """The traces seen so far; two executions are one trace if `normal_form` says so."""

    def __init__(self) -> None:
        self._digests: set[str] = set()

    def add(self, trace: Trace) -> bool:
        """Take in a trace; whether it is a new one."""
        return self.note(digest(trace))

    def note(self, form: str) -> bool:
        """The same of a trace by the digest of its normal form."""
        new = form not in self._digests
        self._digests.add(form)
        return new
