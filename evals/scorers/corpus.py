"""What each sample gives to BLEU and chrF of a whole set, counted by sacrebleu. Knows nothing of tasks or models."""

import re
from collections.abc import Callable, Sequence
from typing import Literal

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from evals.scorers.letters import mostly_unspaced

Sums = tuple[float, ...]
Tokenizer = Literal["13a", "zh", "char"]
_KANA = re.compile("[\u3040-\u30ff]")
_HAN = re.compile("[\u3400-\u9fff]")


def tokenizer_for(references: Sequence[str]) -> Tokenizer:
    """Return how BLEU tells words apart in a set, by sacrebleu's name: `13a` where there are spaces between them.

    Chinese is read by `zh`, and Japanese, Thai, Lao, Burmese and Khmer by letters, `char`.
    """
    text = "".join(references)
    if not mostly_unspaced(text):
        return "13a"
    return "zh" if _HAN.search(text) and not _KANA.search(text) else "char"


def bleu_sums(tokenizer: Tokenizer = "13a") -> Callable[[str, Sequence[str]], Sums]:
    """Return what counts an answer against all its references, for `evals.scorers.sums.bleu`."""
    metric = BLEU(tokenize=tokenizer, effective_order=True)

    def counted(answer: str, references: Sequence[str]) -> Sums:
        found = metric.sentence_score(answer, list(references))
        return tuple(float(one) for one in (found.sys_len, found.ref_len, *found.counts, *found.totals))

    return counted


class _Chrf(CHRF):
    def sums(self, answer: str, references: Sequence[str]) -> Sums:
        """sacrebleu keeps these to itself; a test holds them to its score."""
        (counts,) = self._extract_corpus_statistics([answer], [[one] for one in references])
        return tuple(float(one) for one in counts)


def chrf_sums() -> Callable[[str, Sequence[str]], Sums]:
    """Return what counts an answer against the reference it is nearest to, for `evals.scorers.sums.chrf`."""
    return _Chrf().sums
