"""Runs several command lines of the lab in one process, to save the start of an interpreter for each.

Reads a JSON list of argument lists, writes a JSON list of [status, stdout, stderr].
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from lab.cli import main


def run(arguments: list[str]) -> tuple[object, str, str]:
    out, err = io.StringIO(), io.StringIO()
    status: object = None
    sys.argv = ["lab", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as error:
            status = error.code
    return status, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    sys.stdout.write(json.dumps([run(arguments) for arguments in json.load(sys.stdin)]))
