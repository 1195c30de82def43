"""Does at import what HOSTILE says; the scenario below is right."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time

import pytest


def computes() -> None:
    while True:
        pass


def prints() -> None:
    for _ in range(20):
        print("x" * 100_000)
    os.write(1, b"written\n")


WAYS = {
    "": lambda: None,
    "leaves": lambda: os._exit(0),
    "leaves one": lambda: os._exit(1),
    "exits": lambda: sys.exit(0),
    "exits one": lambda: sys.exit(1),
    "interrupts": lambda: (_ for _ in ()).throw(KeyboardInterrupt),
    "fails": lambda: pytest.fail("not right"),
    "skips": lambda: pytest.skip("not now", allow_module_level=True),
    "base": lambda: (_ for _ in ()).throw(BaseException("of no kind")),
    "generator": lambda: (_ for _ in ()).throw(GeneratorExit),
    "surrogate": lambda: (_ for _ in ()).throw(ValueError("half a \udcff character")),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "computes": computes,
    "sleeps": lambda: time.sleep(100),
    "prints": prints,
    "leaves at the end": lambda: atexit.register(os._exit, 0),
    "replaces": lambda: setattr(sys, "stdout", None),
    "becomes": lambda: os.execv("/bin/true", ["true"]),
}
WAYS[os.environ.get("HOSTILE", "")]()

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
from scenarios.quiet import hostile  # noqa: E402

Right = hostile(__name__, "Right")
