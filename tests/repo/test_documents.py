"""Documents, comments and docstrings cite only files that are in the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CITED = re.compile(r"(?<![\w/.{}*-])((?:[\w-]+/)+[\w-]+\.(?:py|md|toml|txt|json|sh)|[A-Z]{3,}\.md)\b")
"""A path with at least one folder, or a document named in capitals."""
OTHERS = re.compile(r"(app|([ab]/)?shop|lab/made|yourmodule|tests/cases|src/test|NAME|node_modules)\b")
"""Paths of a reader's own project, in examples and patches, and of files that tests make."""
NEW = re.compile(r"^```python\n# \S+$", re.MULTILINE)
"""Names the file to be made, in the examples of CONTRIBUTING.md."""


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines()]


FILES = [path for path in tracked("*.md", "lab/*.py", "bench/*.py", "scenarios/*.py", "tests/*.py") if path.exists()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_cited_is_in_the_repository(path):
    """A path counts from the root of the repository, from the folder of the file, or from lab/."""
    missing = {
        cited
        for cited in CITED.findall(NEW.sub("", path.read_text()))
        if not OTHERS.match(cited)
        and not any((base / cited).exists() for base in (ROOT, path.parent, ROOT / "lab", ROOT / "tests"))
    }
    assert not missing
