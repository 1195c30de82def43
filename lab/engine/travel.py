"""The library that moves the clock, loaded without pytest.

Where pytest is installed, time-machine loads it to offer a marker and a fixture. That is a tenth of the lab's start,
for nothing where no test runs. Where one does, pytest is loaded already and time-machine finds it.
"""

from __future__ import annotations

import sys
from typing import Any, cast

__all__ = ["time_machine"]

_MODULES = cast("dict[str, Any]", sys.modules)

_MODULES.setdefault("pytest", None)  # so importing it fails, as where it is not installed
try:
    import time_machine
finally:
    if _MODULES["pytest"] is None:
        del _MODULES["pytest"]
