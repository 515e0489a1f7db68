import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.scorers.manner import cut_off, length, repetition

LOOPS = [
    "He likes red. He likes red. He likes red. He li",
    "the the the the the the the the the",
    "!" * 60,
    "1. Paris is nice.\n2. Paris is nice.\n3. Paris is nice.\n4. Par",
    "他喜欢红色。" * 6,
    "Sure. " + "I like the blue house on the hill. " * 5,
    "The answer is 4.\n\nUser: no\n\nUser: no\n\nUser: no\n\nUser: no",
]
NO_LOOPS = [
    "",
    "Rome",
    "no, no, no",
    "- apples\n- pears\n- plums\n- figs\n- cherries\n- grapes",
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20",
    "2 x 1 = 2\n2 x 2 = 4\n2 x 3 = 6\n2 x 4 = 8\n2 x 5 = 10\n2 x 6 = 12",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "The woods are lovely, dark and deep,\nBut I have promises to keep,\n"
    "And miles to go before I sleep,\nAnd miles to go before I sleep.",
    "Row, row, row your boat\nGently down the stream\nMerrily, merrily, merrily, merrily\nLife is but a dream",
    "In the end we sat there singing, as we had each summer since we were small, with our hands on the old table: "
    "let it be, let it be, let it be, let it be",
]


@pytest.mark.parametrize("answer", LOOPS)
def test_loops_are_most_of_such_an_answer(answer: str) -> None:
    assert 0.5 < repetition(answer) < 1


@pytest.mark.parametrize("answer", NO_LOOPS)
def test_lists_poems_and_short_answers_are_no_loops(answer: str) -> None:
    assert repetition(answer) == 0


def test_a_loop_that_is_expected_is_right() -> None:
    assert repetition("la " * 20, ["la " * 30]) == 0
    assert repetition("la " * 20, ["la"]) > 0.9


@given(st.text("abc .", min_size=1, max_size=12).filter(lambda unit: any(map(str.isalpha, unit))), st.text(max_size=10))
def test_whatever_is_said_ten_times_is_a_loop(unit: str, before: str) -> None:
    said = f"{unit}-" * (10 + 40 // len(unit))
    assert repetition(f"{before} {said}") > 0.5


@given(st.text())
def test_repetition_is_a_share(answer: str) -> None:
    assert 0 <= repetition(answer) < 1


def test_lengths_are_words_or_letters_where_there_are_no_words() -> None:
    assert [length(text) for text in ("", "It is Rome.", "我住在北京。", "ภาษาไทย")] == [0, 3, 5, 7]


def test_an_answer_is_cut_off_or_not_or_it_is_not_known() -> None:
    assert (cut_off("length"), cut_off("end")) == (1, 0)
    assert math.isnan(cut_off(None))
