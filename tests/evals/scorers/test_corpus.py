import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from evals.scorers.corpus import bleu_sums, chrf_sums, tokenizer_for
from evals.scorers.sums import bleu, chrf

WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat,", "1.5", "Straße", "我住在"]), max_size=12)
TEXTS = WORDS.map(" ".join) | st.text(max_size=20)
REFERENCES = st.lists(TEXTS.filter(bool), min_size=1, max_size=3)
SETS = st.lists(st.tuples(TEXTS, REFERENCES), min_size=1, max_size=8)


def streams(references: list[list[str]]) -> list[list[str | None]]:
    """As sacrebleu takes them: one list for each place, None where a sample has fewer."""
    most = max(map(len, references))
    return [[one[place] if place < len(one) else None for one in references] for place in range(most)]


@given(SETS, st.sampled_from(["13a", "zh", "char"]))
def test_bleu_of_a_set_is_sacrebleus(samples: list[tuple[str, list[str]]], tokenizer: str) -> None:
    answers, references = [one for one, _ in samples], [one for _, one in samples]
    count = bleu_sums(tokenizer)  # pyright: ignore[reportArgumentType]
    total = np.sum([count(*one) for one in samples], axis=0)
    theirs = sacrebleu.corpus_bleu(answers, streams(references), tokenize=tokenizer).score  # pyright: ignore[reportArgumentType]
    assert float(bleu(total)) == pytest.approx(theirs / 100, abs=1e-9)


@given(SETS)
def test_chrf_of_a_set_is_sacrebleus(samples: list[tuple[str, list[str]]]) -> None:
    answers, references = [one for one, _ in samples], [one for _, one in samples]
    total = np.sum([chrf_sums()(*one) for one in samples], axis=0)
    theirs = sacrebleu.corpus_chrf(answers, streams(references)).score  # pyright: ignore[reportArgumentType]
    assert float(chrf(total)) == pytest.approx(theirs / 100, abs=1e-9)


def test_many_sums_at_once_are_each_one_alone() -> None:
    samples = [("the cat sat on a mat", ["the cat sat on the mat"]), ("a cat", ["a cat sat"]), ("", ["no"])]
    for of_sums, count in ((bleu, bleu_sums()), (chrf, chrf_sums())):
        counts = np.array([count(*one) for one in samples])
        drawn = np.array([[[0, 0, 1], [2, 2, 2]], [[0, 1, 2], [1, 1, 0]]])
        together = of_sums(counts[drawn].sum(axis=-2))
        assert together.shape == (2, 2)
        for place in np.ndindex(2, 2):
            assert together[place] == of_sums(counts[drawn[place]].sum(axis=0))
        assert of_sums(np.zeros(counts.shape[1])) == 0
        assert 0.5 < of_sums(counts[0]) < 1


def test_bleu_tells_words_apart_by_the_script_of_its_references() -> None:
    assert tokenizer_for(["It is 北京.", "Это Москва"]) == "13a"
    assert tokenizer_for(["我住在北京。", "I 住在上海"]) == "zh"
    assert tokenizer_for(["東京に住んでいます"]) == "char"
    assert tokenizer_for(["ฉันอยู่กรุงเทพ"]) == "char"
