"""Pages that are made from the code are what the code says now; LAB_WRITE_DOCS=1 makes them anew."""

from __future__ import annotations

import pytest
from helpers.generated_pages import GENERATED, REFERENCE, text_of
from helpers.page_runs import WRITES
from helpers.pages import name_of

import lab


@pytest.mark.parametrize("path", GENERATED, ids=name_of)
def test_a_page_made_from_the_code_is_up_to_date(path):
    if WRITES:
        path.write_text(text_of(path))
    assert path.read_text() == text_of(path), "LAB_WRITE_DOCS=1 pytest tests/docs/test_generated.py writes it anew"


def test_the_reference_has_every_public_name_once():
    shown = [line for line in (REFERENCE / "api.md").read_text().splitlines() if line.startswith("::: ")]
    assert sorted(shown) == sorted(f"::: lab.{name}" for name in lab.__all__)
