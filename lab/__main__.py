"""Starts the command line: `lab`, or `python -m lab`.

It loads next to nothing, so that from the first moment on a signal ends the lab with a sentence, and not with the
traceback of whatever was being imported.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

__all__ = ["main"]

BROKEN = 3
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _leave(number: int, frame: FrameType | None) -> None:
    """Nothing has begun: there is nothing to show and nothing to put away."""
    os.write(2, b"lab: interrupted\n")
    os._exit(BROKEN)


def main() -> None:
    """Entry point of the console script."""
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _leave)
    from lab.cli import main as command_line  # noqa: PLC0415 - see above

    command_line()


if __name__ == "__main__":
    main()
