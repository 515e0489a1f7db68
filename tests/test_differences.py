"""What differs is marked, what does not is not, and no text is lost or takes long."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspace.differences import ALIGNED, Piece, differences

TEXT = st.text(alphabet="ab .,\n今天é", max_size=60)


def only(pieces: tuple[Piece, ...]) -> list[str]:
    return [piece.text.strip() for piece in pieces if piece.only]


@pytest.mark.parametrize(
    ("first", "second", "alone", "others", "words"),
    [
        ("She lives in Lowick.", "She lives in Vinehurst.", ["Lowick"], ["Vinehurst"], "1 word differs"),
        ("red", "The colour is red", [], ["The colour is"], "3 words differ"),
        (" yes\n", "yes", [], [], "the same answer"),
        ("a  b", "a b", [], [], "the same words, with other signs or spaces"),
        ("今日は良い天気", "今日は悪い天気", ["良"], ["悪"], "1 word differs"),
        ("", "word", [], ["word"], "1 word differs"),
    ],
)
def test_words_that_only_one_has_are_marked(
    first: str, second: str, alone: list[str], others: list[str], words: str
) -> None:
    found = differences(first, second)
    assert (only(found.first), only(found.second), found.words) == (alone, others, words)


@settings(max_examples=40)
@given(TEXT, TEXT)
def test_pieces_are_the_text_and_both_ways_say_the_same(first: str, second: str) -> None:
    found, back = differences(first, second), differences(second, first)
    assert "".join(piece.text for piece in found.first) == first
    assert "".join(piece.text for piece in found.second) == second
    assert found.same == back.same == (first.strip() == second.strip())


def test_a_long_text_takes_a_moment() -> None:
    began = time.monotonic()
    found = differences("x y " * 15_000 + "end", "y z " * 16_000 + "last")
    assert not found.aligned and found.only_second > 16_000
    assert differences("a " * ALIGNED + "b", "a " * ALIGNED + "c").aligned
    assert time.monotonic() - began < 5
