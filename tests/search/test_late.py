"""A failure whose minimising takes too long: what is smaller by then is reported, and that its time was over."""

from __future__ import annotations

from lab.search.hunt import Hunt
from lab.shrink import refine
from scenarios.transfer import LostUpdate

SENTENCE = "minimising was ended after {} s: there may be a smaller schedule"


async def test_the_report_says_that_its_time_was_over(explorer, monkeypatch):
    """In the text and as data; nothing of it where minimising came to its end."""
    (whole,) = (await Hunt.of(LostUpdate()).run(explorer)).failures
    monkeypatch.setattr(refine, "MINIMISING_SECONDS", 0.0001)
    (cut_off,) = (await Hunt.of(LostUpdate()).run(explorer)).failures
    assert SENTENCE.format("0.0001") in cut_off.report
    assert (cut_off.late, cut_off.least, cut_off.preemptions) == (True, False, 5)
    assert "minimising was ended" not in whole.report
    assert (whole.late, whole.shown()["late"]) == (False, False)
