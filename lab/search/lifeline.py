"""A process ends when the one that started it is gone, and goes on as long as that one does, whatever it is busy with.

On Linux the kernel does this. Elsewhere, and for a parent that died before the kernel was asked, a thread reads from a
pipe of which only the parent holds the other end: the read returns when the parent is gone. That works also while the
main thread computes without pause, and there is nothing in it that could be mistaken for a parent's death.

Code may stop its own process (SIGSTOP), which nothing within that process can end. So its parent lets it go on; what
Ctrl-Z stopped (SIGTSTP) stays stopped.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading

__all__ = ["end_with_parent", "let_go_on"]

PR_SET_PDEATHSIG = 1


def end_with_parent(lifeline: int) -> None:
    """Let this process be killed when its parent is gone. `lifeline` is the reading end of the parent's pipe."""
    with contextlib.suppress(OSError, AttributeError):  # elsewhere than on Linux
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(lifeline,), name="lab-lifeline", daemon=True).start()


def _watch(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def let_go_on(child: int) -> None:
    """Continue a child process that was stopped by SIGSTOP."""
    with contextlib.suppress(OSError):  # it is gone
        stopped = os.waitid(os.P_PID, child, os.WSTOPPED | os.WNOHANG)
        if stopped is not None and stopped.si_status == signal.SIGSTOP:
            os.kill(child, signal.SIGCONT)
