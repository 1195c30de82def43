"""How many processes are sensible here: as many as this process may keep busy."""

from __future__ import annotations

import os

import pytest

from lab.search.crew import cores


@pytest.fixture
def quota(tmp_path, monkeypatch):
    """Files of a container's limit, by their texts."""

    def write(new: str, old: str = "-1 100000") -> None:
        for name, text in zip(("QUOTA", "OLD_QUOTA", "OLD_PERIOD"), (new, *old.split()), strict=True):
            (tmp_path / name).write_text(text) if text else (tmp_path / name).unlink(missing_ok=True)
            monkeypatch.setattr(cores, name, tmp_path / name)

    monkeypatch.setattr(cores, "_cores", lambda: 6)
    return write


@pytest.mark.parametrize(
    ("new", "old", "workers"),
    [
        ("max 100000", "-1 100000", 6),
        ("300000 100000", "-1 100000", 3),
        ("50000 100000", "-1 100000", 1),
        ("150000 100000\n", "-1 100000", 2),
        ("", "400000 100000", 4),
        ("no limit", "0 0", 6),
    ],
)
def test_a_container_may_use_less_than_the_machine_has(quota, new, old, workers):
    quota(new, old)
    assert cores.sensible_workers() == workers


def test_no_more_than_the_search_can_take_in(monkeypatch):
    monkeypatch.setattr(cores, "_cores", lambda: 96)
    monkeypatch.setattr(cores, "_quota", lambda: 64.0)
    assert cores.sensible_workers() == cores.MOST


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds a process to cores")
def test_a_process_that_is_bound_to_a_core_has_one():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores.sensible_workers() == 1
    finally:
        os.sched_setaffinity(0, before)
