"""Starts a process of the lab's own: `begin MODULE LIFELINE` imports a module and calls its `main`.

It is a file of its own, since what it does must come before the imports of that module: hardly any garbage is looked
for meanwhile, and a process whose parent is gone goes at once, and not when it is done with them.
"""

from __future__ import annotations

import gc
import importlib
import sys

from lab.search.lifeline import end_with_parent

RARELY = 500_000
"""New objects after which Python looks for garbage while modules are imported; see `garbage`."""

if __name__ == "__main__":
    gc.set_threshold(RARELY)
    end_with_parent(int(sys.argv[2]))
    importlib.import_module(sys.argv[1]).main()
