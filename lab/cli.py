"""Starts the command line: `lab`.

It loads next to nothing, so that from the first moment on a signal ends the lab with a sentence, and not with the
traceback of whatever was being imported.
"""

from __future__ import annotations

import gc
import os
import signal
from types import FrameType

__all__ = ["main"]

BROKEN = 3
RARELY = 500_000
"""New objects after which Python looks for garbage. Nearly all that is imported stays, and to look through it seventy
times, as by default, is a tenth of a start. Who is done with that says so (`lab.search.garbage`)."""
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
    gc.set_threshold(RARELY)
    from lab.commands.line import main as command_line  # noqa: PLC0415 - see above

    try:
        command_line()
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # all is said; what is left takes no time
        gc.freeze()  # nor is there anything to collect: the process goes as a whole


if __name__ == "__main__":
    main()
