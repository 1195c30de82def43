"""Starts `lab`, if the package of that name which Python finds is the lab's.

Another distribution may install a package `lab`, and a folder of that name may lie where Python looks first. Then
nothing inside the package could say so: it may not be there. So this file stands beside it and imports nothing of it.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

__all__ = ["main"]

WRONG_USE = 2
MARK = "py.typed"


def main() -> None:
    """Entry point of the console script."""
    if sentence := clash():
        sys.stderr.write(f"lab: {sentence}\n")
        sys.exit(WRONG_USE)
    from lab.cli import main as start  # noqa: PLC0415 - see above

    start()


def clash() -> str:
    """The sentence about another package `lab`; "" where there is none."""
    spec = importlib.util.find_spec("lab")
    found = Path(spec.origin) if spec is not None and spec.origin else None
    if found is None or not _is_ours(found):
        where = found or next(iter((spec and spec.submodule_search_locations) or ()), "nowhere")
        return (
            f"the package 'lab' that Python finds is {where}, which is not of concurrency-lab: take it out of the way "
            "(PYTHONPATH, another distribution), or install concurrency-lab in an environment of its own"
        )
    if other := _other_owner(found.parent.parent):
        return (
            f"the distribution {other} has installed a package 'lab' in {found.parent}, as concurrency-lab has; one "
            f"overwritten files of the other; keep them in two environments (here: pip uninstall {other}, then "
            "pip install --force-reinstall concurrency-lab)"
        )
    return ""


def _is_ours(init: Path) -> bool:
    """Whether a package is the lab: by what it says of itself, without importing it."""
    try:
        return b"'lab' has no attribute" in init.read_bytes() and init.with_name("cli.py").is_file()
    except OSError:
        return False


def _other_owner(folder: Path) -> str:
    """Another distribution in a folder of packages that has installed a file of the package `lab`; "" if none has."""
    for record in folder.glob("*.dist-info/RECORD"):
        name = record.parent.name.partition("-")[0]
        if name == "concurrency_lab":
            continue
        try:
            if b"lab/__init__.py," in record.read_bytes():
                for line in record.read_text(errors="replace").splitlines():
                    if line.startswith("lab/__init__.py,"):
                        return name
        except OSError:
            continue
    return ""
