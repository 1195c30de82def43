"""Each planted bug has a twin here: the lab finds it, its token replays it, and what is told of it is true."""

import importlib.util
from pathlib import Path

import pytest

from lab.explore import Conditions
from lab.model.replay_token import decode, scenario_of
from lab.scenario.claims import claim_of
from lab.scenario.declare import kind_of, planted_bug_of, target_of
from lab.scenario.registry import discover
from lab.search.hunt import Hunt
from lab.shrink import refine
from lab.shrink.replays import replay_times

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
PLANTED = [cls for cls in discover() if kind_of(cls) == "planted"]
BY_LENGTH = sorted(PLANTED, key=lambda cls: len(decode(planted_bug_of(cls).token).schedule.decisions))
SAMPLE = {cls.__module__: cls for cls in reversed(BY_LENGTH)}.values()
"""The shortest one of each subject. Each is found in `tests/quality`; that it gets small is the dear part."""
CLAIMED = [cls for cls in discover() if claim_of(cls) is not None]


def _name(cls):
    return cls.__name__


def _docstring(node):
    """The docstring of a test, found by its pytest node id."""
    path, _, name = node.partition("::")
    spec = importlib.util.spec_from_file_location(f"told_{Path(path).stem}", ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name).__doc__


@pytest.mark.parametrize(
    "cls", [cls if cls in SAMPLE else pytest.param(cls, marks=pytest.mark.long) for cls in PLANTED], ids=_name
)
async def test_a_planted_bug_is_found(lab, cls, monkeypatch):
    """The default scheduler finds it within 200 executions, replays are identical, and no schedule is smaller.

    Smaller by preemptions: every schedule with fewer was run and breaks nothing of the kind.
    """
    monkeypatch.setattr(refine, "MINIMISING_SECONDS", 600.0)  # what is asked here is no matter of time
    result = await Hunt.of(cls(), executions=200).run(lab.explorer)
    assert result.verdict == "fail", f"not found in {result.executions} executions"
    assert result.failures[0].identical == result.failures[0].replays > 0
    assert result.failures[0].least


@pytest.mark.parametrize("cls", PLANTED, ids=_name)
async def test_its_token_replays_it_as_its_docstring_says(plain, cls):
    """The token breaks the invariant again, with the very words of the docstring. More replays are in the catalogue."""
    bug = planted_bug_of(cls)
    token = decode(bug.token)
    assert token.target == target_of(cls)
    conditions = Conditions(token.isolation or None)
    replays = await replay_times(plain, scenario_of(token, cls), token.schedule, conditions, times=1)
    assert (replays.identical, replays.verdict) == (1, "fail"), replays.divergence
    told = " ".join(_docstring(claim_of(bug.of).test).split())
    finding = replays.record.findings[0]
    assert f"VALIDATED_BUG: {cls.__name__}: {finding.message}." in told
    assert bug.token in told


@pytest.mark.parametrize("cls", CLAIMED, ids=_name)
def test_every_claim_names_a_test_that_tells_of_it(cls):
    """The test exists, and states an invariant and a bug that was really found."""
    told = _docstring(claim_of(cls).test)
    assert "INVARIANT:" in told
    assert "VALIDATED_BUG:" in told
