"""The report on races as a page: what its text and its JSON say, with the story of each race drawn."""

from __future__ import annotations

from collections.abc import Sequence

from lab.report.html.races_page import races_page
from lab.search.races.findings import Raced
from lab.search.races.pairs import Skipped
from lab.search.races.sent import Recording
from lab.search.races.table import MEANINGS, races_data, races_of

__all__ = ["races_html"]


def races_html(
    raced: Sequence[Raced], skipped: Sequence[Skipped], recordings: Sequence[Recording], *, said: Sequence[str] = ()
) -> str:
    """The page. `said`: what a command has to say beside, such as why nothing is known."""
    failures = [pairs[0].failure for pairs in races_of(raced).values()]
    data = races_data(raced, skipped, recordings)
    meanings = {str(standing): meaning for standing, meaning in MEANINGS.items()}
    return races_page(data, [each for each in failures if each is not None], meanings, said)
