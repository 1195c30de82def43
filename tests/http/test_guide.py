"""The example of the guide, as it stands there."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from asked import found

import lab

GUIDE = Path(lab.__file__).parents[1] / "docs" / "guide.md"


async def test_the_example_of_the_guide_is_as_it_says(explorer, tmp_path, monkeypatch):
    """Two files and twelve lines of a scenario, and the lost update in the second execution."""
    section = GUIDE.read_text().partition("**Requests.**")[2].partition("**Tables.**")[0]
    application, races = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len([line for line in races.splitlines() if line]) <= 12
    (tmp_path / "main.py").write_text(application)
    (tmp_path / "races.py").write_text(races)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("main", "races"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    failure = await found(explorer, importlib.import_module("races").OrderTwice(), scheduler="portfolio")
    assert (failure.anomaly, failure.execution) == ("P4", 2)
    assert '201 {"left": 4}' in failure.report
