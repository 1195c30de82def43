"""Starts a process of the lab's own: imports the module that its first argument names, and calls its `main`.

It is a file of its own, since what it does must come before the imports of that module.
"""

from __future__ import annotations

import gc
import importlib
import sys

RARELY = 500_000
"""New objects after which Python looks for garbage while modules are imported; see `garbage`."""

if __name__ == "__main__":
    gc.set_threshold(RARELY)
    importlib.import_module(sys.argv.pop(1)).main()
