"""How long code of the user's may take before the lab gives up. A bound ends a hunt; it never changes a schedule."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OPTIONS", "Bounds"]

OPTIONS = {
    "step": "step-seconds",
    "setup": "setup-seconds",
    "invariant": "invariant-seconds",
    "imports": "import-seconds",
}
"""Field of `Bounds` -> the option of the command line that sets it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds for each kind of code. Generous: they are for what never ends, and a loaded machine is slow."""

    step: float = 30.0
    """One step of an actor, from its decision to its next scheduling point, wait or end."""
    setup: float = 60.0
    invariant: float = 60.0
    imports: float = 60.0
    """A module with all that it imports."""
