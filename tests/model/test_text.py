"""What sentences are made of: cut, listed, counted."""

from __future__ import annotations

import pytest

from lab.errors import first_line
from lab.model.text import beginning, clipped, count, cut, listed, shown


def test_a_cut_text_has_the_length_that_it_may_have():
    assert (cut("abcde", 5), cut("abcdef", 5)) == ("abcde", "abcd…")
    assert (clipped("abcde", 5), clipped("abcdef", 5)) == ("abcde", "ab...")
    assert shown("a\n" * 100) == r"'a\na\na\na\na\na\na\na\na\na\na\na\n..."


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [("", ""), ("a", "a"), ("ab", "a and b"), ("abc", "a, b and c"), ("abcd", "a, b, c and 1 more")],
)  # fmt: skip
def test_a_list_reads_as_a_sentence_does(texts, sentence):
    assert listed(texts, most=3) == sentence


def test_what_is_left_out_leaves_an_ellipsis():
    assert (beginning("ab", 2), beginning("abc", 2), beginning("abc", 2, gap=" ")) == ("a, b", "a, b, …", "a, b …")


def test_numbers_have_their_nouns():
    assert (count(1, "step"), count(2, "step"), count(0, "switch", "switches")) == ("1 step", "2 steps", "0 switches")


def test_the_first_line_of_an_error_is_that_of_the_one_it_wraps():
    wrapped = RuntimeError("outer")
    wrapped.orig = ValueError("inner\nDETAIL")
    assert (first_line(wrapped), first_line(ValueError())) == ("RuntimeError: inner", "ValueError")
