"""Keeps a process's answers apart from what code of the user's prints and reads."""

from __future__ import annotations

import os
import sys
from typing import IO

__all__ = ["answers_aside", "orders_aside"]


def answers_aside() -> IO[str]:
    """Standard output as it was; from now on file descriptor 1 and `sys.stdout` lead to standard error."""
    encoding = getattr(sys.__stdout__, "encoding", None)
    sys.stdout = sys.stderr
    try:
        answers = os.fdopen(os.dup(1), "w", encoding=encoding, errors="backslashreplace")
        os.dup2(2, 1)
    except OSError:  # one of the two is closed
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - for the life of the process
    return answers


def orders_aside() -> IO[str]:
    """Standard input as it was; from now on file descriptor 0 is empty."""
    orders = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return orders
