"""What a request or a call did in the database, as far as statements and rows tell."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Touched"]


@dataclass(frozen=True, slots=True)
class Touched:
    """The tables that statements named, those of them that were written, and how many statements there were."""

    read: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    statements: int = 0
    more: bool = False
    """There may be others that no name tells: a function, a view or a trigger was met, or rows changed unheard."""

    @property
    def only_reads(self) -> bool:
        """Whether nothing is known that writes, or may."""
        return not self.written and not self.more

    @property
    def all(self) -> frozenset[str]:
        """Read or written."""
        return self.read | self.written
