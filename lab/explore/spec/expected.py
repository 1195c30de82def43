"""Compares what was printed of a spec with the files that hold what is expected, byte for byte."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from lab.errors import UsageError
from lab.explore.spec.printed import text_of

__all__ = ["beside", "differences", "expected_files", "in_suite"]


def expected_files(folder: Path, name: str) -> tuple[Path, ...]:
    """What may be printed of a spec: `NAME.out`, and its alternates `NAME_0.out` to `NAME_9.out`. () for none."""
    names = [f"{name}.out", *(f"{name}_{number}.out" for number in range(10))]
    return tuple(path for each in names if (path := folder / each).is_file())


def beside(file: Path) -> Path | None:
    """Where the suite keeps what is expected of a spec: `expected` beside the folder `specs`."""
    folder = file.resolve().parent
    expected = folder.with_name("expected")
    return expected if folder.name == "specs" and expected.is_dir() else None


def differences(output: bytes, files: Sequence[Path]) -> tuple[Path | None, list[str]]:
    """The file that holds just this output, or None and the smallest difference, in unified form."""
    smallest: list[str] = []
    printed = text_of(output).splitlines(keepends=True)
    for file in files:
        expected = file.read_bytes()
        if expected == output:
            return file, []
        lines = text_of(expected).splitlines(keepends=True)
        found = [line.rstrip("\n") for line in difflib.unified_diff(lines, printed, file.name, "printed")]
        if not smallest or len(found) < len(smallest):
            smallest = found
    return None, smallest


def in_suite(suite: Path) -> list[Path]:
    """The specs of a suite's folder, in the order of its schedule; what that does not name comes last, by name."""
    specs = {path.stem: path for path in sorted((suite / "specs").glob("*.spec"))}
    if not specs:
        raise UsageError(f"{suite} holds no specs: expected files specs/NAME.spec there")
    schedule = suite / "isolation_schedule"
    named = schedule.read_text(encoding="utf-8").splitlines() if schedule.is_file() else []
    order = [name for line in named if line.startswith("test:") for name in line.removeprefix("test:").split()]
    return [specs.pop(name) for name in order if name in specs] + list(specs.values())
