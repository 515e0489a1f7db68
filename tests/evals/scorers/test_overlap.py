import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.scorers.overlap import word_f1


@pytest.mark.parametrize(
    ("answer", "expected", "score"),
    [
        ("Miri lives in Lowick.", "miri lives in LOWICK", 1.0),
        ("In Lowick", "Lowick", 2 / 3),
        ("blue blue blue", "blue", 0.5),
        ("", "Lowick", 0.0),
        ("red", "blue", 0.0),
        ("3.14", "314", 0.0),
        ("我住在北京", "我住在上海", 0.6),
        ("anything", "...", math.nan),
    ],
)
def test_shared_words(answer: str, expected: str, score: float) -> None:
    assert word_f1(answer, expected) == pytest.approx(score, nan_ok=True)


@given(st.text(max_size=40), st.text(max_size=40))
def test_it_is_a_share_whole_for_the_same_text_and_the_same_both_ways(one: str, other: str) -> None:
    score = word_f1(one, other)
    assert math.isnan(score) or 0 <= score <= 1
    assert math.isnan(same := word_f1(one, one)) or same == 1
    assert math.isnan(score) or math.isnan(back := word_f1(other, one)) or back == score
