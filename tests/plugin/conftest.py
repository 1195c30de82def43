"""Runs of pytest in a process and folder of their own, as a user of the plugin has them."""

from __future__ import annotations

from pathlib import Path

import pytest

COUNTER = Path(__file__).parents[1] / "cases" / "scenarios" / "counter.py"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with the scenarios of the counter in `counter.py`, and nothing but the plugin's own defaults."""
    monkeypatch.delenv("LAB_URL", raising=False)
    monkeypatch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", str(pytester.path / "hypothesis"))
    (pytester.path / "counter.py").write_text(COUNTER.read_text())
    pytester.makeini("[pytest]\nfilterwarnings = error\nanyio_mode = auto\n")
    return pytester
