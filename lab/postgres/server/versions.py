"""The versions of PostgreSQL that the embedded server comes in."""

from __future__ import annotations

__all__ = ["DEFAULT_VERSION", "VERSIONS"]

VERSIONS = {18: "pginstall18", 16: "pginstall"}
"""Major version -> its folder in the wheel."""
DEFAULT_VERSION = 18
