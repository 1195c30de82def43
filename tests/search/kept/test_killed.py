"""A hunt of two workers is killed at random moments: nothing that was shown is missing, and it goes on.

`bench/kept.py` does it and says what is checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench" / "kept.py"


@pytest.mark.parametrize(
    "options",
    [
        ("--kills", "2", "--executions", "12"),
        pytest.param(("--kills", "100"), marks=pytest.mark.long),
        pytest.param(("--kills", "30", "--scheduler", "random"), marks=pytest.mark.long),
    ],
    ids=["2 kills", "100 kills", "30 kills of parts"],
)
def test_nothing_that_was_shown_is_lost_by_a_kill(options):
    """Moments are drawn with a fixed seed, from the time that the same hunt takes here when nobody kills it."""
    done = subprocess.run([sys.executable, BENCH, *options, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["wrong"] == []
