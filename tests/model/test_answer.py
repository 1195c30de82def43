"""What an application answered, as it is printed and compared."""

from __future__ import annotations

import pytest

from lab.model.answer import Answer
from lab.postgres.recording.described import described

PRINTED = {
    '201 {"id": 1, "tags": ["a", null], "paid": true}': Answer(201, {"id": 1, "tags": ["a", None], "paid": True}),
    "204": Answer(204),
    '200 "grün\\n"': Answer(200, "grün\n"),
    "200 <3 bytes, sha256 ba7816bf8f01>": Answer(200, b"abc"),
}


@pytest.mark.parametrize("text", PRINTED)
def test_an_answer_is_printed_as_status_and_json(text):
    assert repr(PRINTED[text]) == text == described(PRINTED[text], print)


def test_an_answer_is_a_pair():
    status, json = Answer(404, {"detail": "Not Found"})
    assert (status, json) == (404, {"detail": "Not Found"}) == Answer(404, {"detail": "Not Found"})


def test_each_value_in_an_answer_has_a_place():
    """By which it is known that it differs from run to run."""
    met = {}
    text = described([Answer(200, {"ids": [7]})], print, met.setdefault)
    assert text == '[200 {"ids": [7]}]'
    assert met == {("[0]", "status"): "200", ("[0]", "json", "ids", "[0]"): "7"}
