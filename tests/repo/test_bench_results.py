"""What the benches compute from figures, and the page that is made of them."""

from __future__ import annotations

import importlib
import platform
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(autouse=True)
def _benches_can_be_imported(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    known = set(sys.modules)
    yield
    for name in {"_results", "_common", "throughput", "memory", "all"} - known:
        sys.modules.pop(name, None)


def test_the_exponent_is_the_slope_through_the_logarithms():
    exponent = importlib.import_module("throughput").exponent

    squares = {size: [size**2, 3.0 * size**2, 0.5 * size**2] for size in (2, 3, 5, 8)}
    assert exponent(squares) == pytest.approx((2.0, 2.0, 2.0))
    middle, low, high = exponent({2: [2.0, 2.0], 4: [4.0, 8.0]})
    assert middle == pytest.approx(1.5)
    assert low < 1.0
    assert high > 2.0


def test_growth_is_that_of_the_second_half():
    growth = importlib.import_module("memory").growth

    filled = [(number, 50.0 + min(number, 50)) for number in range(0, 110, 10)]
    assert growth(filled) == pytest.approx(0.0)
    assert growth([(number, 50 + number / 1024) for number in range(8)]) == pytest.approx(1.0)
    assert growth([(1, 1.0), (2, 9.0)]) == 0.0


def test_the_page_has_each_figure_once_and_names_no_machine():
    results = importlib.import_module("_results")

    result = {"ratio": 1.25, "missing": None, "first": [9, 1, 2, 3, 4, 5, 6], "rows": [{"size": 2, "ms": 1.5}]}
    sections = {"start.py": ("Measures.", ["--a"], result), "memory.py": ("Fails.", [], "It ended.")}
    text = results.page("2026-01-01", " --quick", {"cores": "2"}, sections)
    for line in ("| ratio | 1.25 |", "| missing | - |", "| first | 1 … 9 (7) |", "| size | ms |", "| 2 | 1.5 |"):
        assert text.count(line) == 1, line
    assert "It ended." in text
    assert "`python bench/start.py --a`" in text
    node = platform.node()
    assert not node or all(node not in each for each in results.machine().values())
