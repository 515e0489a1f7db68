import math
import sys

import pytest
from absl.logging import get_absl_handler
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

from evals.scorers.overlap import rouge_l, rouge_words, word_f1, word_similarity, words

# rouge_score brings it: it holds the stream that pytest captures by, and closes it when a server sets up its logging.
get_absl_handler().python_handler.stream = sys.__stderr__


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


@pytest.mark.parametrize(
    ("text", "told_apart"),
    [
        ("It's 3.14, isn't it?", ["it's", "3.14", "isn't", "it"]),
        ("की का", ["की", "का"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("東京へ(行く)", ["東", "京", "へ", "行", "く"]),
        ("I ❤️ you", ["i", "you"]),
        ("... !", []),
    ],
)
def test_words_in_several_scripts(text: str, told_apart: list[str]) -> None:
    assert words(text) == told_apart


@given(st.text(max_size=40), st.text(max_size=40))
def test_it_is_a_share_whole_for_the_same_text_and_the_same_both_ways(one: str, other: str) -> None:
    for metric in (word_f1, word_similarity, rouge_l):
        score = metric(one, other)
        assert math.isnan(score) or 0 <= score <= 1
        assert math.isnan(same := metric(one, one)) or same == 1
        assert math.isnan(score) or math.isnan(back := metric(other, one)) or back == pytest.approx(score)


def test_likeness_counts_each_word_once() -> None:
    assert word_similarity("blue blue sky", "the blue sky") == pytest.approx(2 / 3)


ASCII = st.text("abA .,-_'12\n", max_size=60) | st.text(st.characters(max_codepoint=127), max_size=40)


@given(ASCII, ASCII)
def test_rouge_is_that_of_rouge_score(answer: str, expected: str) -> None:
    theirs = RougeScorer(["rougeL"]).score(expected, answer)["rougeL"].fmeasure
    ours = rouge_l(answer, expected)
    assert math.isnan(ours) == (not rouge_words(expected))
    assert math.isnan(ours) or ours == pytest.approx(theirs, abs=1e-12)


class _Ours(Tokenizer):
    def tokenize(self, text: str) -> list[str]:
        return rouge_words(text)


@given(st.text("我们住в Москве кие.é", max_size=80), st.text("我们住в Москве кие.é", min_size=1, max_size=80))
def test_rouge_is_that_of_rouge_score_over_the_words_of_other_scripts(answer: str, expected: str) -> None:
    theirs = RougeScorer(["rougeL"], tokenizer=_Ours()).score(expected, answer)["rougeL"].fmeasure
    ours = rouge_l(answer, expected)
    assert math.isnan(ours) or ours == pytest.approx(theirs, abs=1e-12)


def test_rouge_reads_what_rouge_score_does_not() -> None:
    assert rouge_words("Café in München, naïve") == ["café", "in", "münchen", "naïve"]
    assert rouge_l("Я живу в Москве", "я живу в Риме") == pytest.approx(0.75)
    assert rouge_l("我住在北京", "我住在上海") == pytest.approx(0.6)
