"""The metrics by name: which way each is good, and how those of a whole set are computed from its samples' sums.

Knows no tasks, models or logs. A metric of samples is a number for each, and its score their mean. A metric of the set
(BLEU, perplexity) sums a few numbers over the samples (`Sample.stats`) and makes one score of the sums.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from evals.errors import TaskError
from evals.results import Better
from evals.scorers import sums

Floats = NDArray[np.float64]
SEMANTIC = "semantic_similarity"


@dataclass(frozen=True)
class Metric:
    """What a number stands for."""

    name: str
    better: Better = "higher"
    of_sums: Callable[[Floats], Floats] | None = None
    """For a metric of the set: from sums, shape (..., k), to scores, shape (...); None for a metric of samples."""
    words: str = ""
    """What a sample's score says, for people."""
    unit: str = ""
    """What is counted, where it is no share of one: such a score is shown as it is, not in points of a hundred."""
    describes: bool = False
    """Computed of every written answer, for what went wrong rather than for what was gained."""

    @property
    def share(self) -> bool:
        """Whether scores are shares of 1, to be shown in points of a hundred."""
        return not self.unit


def _ratio(sums: Floats) -> Floats:
    return sums[..., 0] / sums[..., 1]


def _exp_ratio(sums: Floats) -> Floats:
    return np.exp(_ratio(sums))


METRICS: dict[str, Metric] = {
    one.name: one
    for one in (
        Metric(
            "exact_match", words="the answer is an accepted one, but for case, spacing and quotes or stops around it"
        ),
        Metric("contains", words="an accepted answer stands in the answer, as whole words"),
        Metric("token_f1", words="words shared with the expected answer, in any order (F1)"),
        Metric("rouge_l", words="words shared with the expected answer, in the same order (ROUGE-L's F measure)"),
        Metric("word_similarity", words="different words shared, of all that either answer has (Jaccard)"),
        Metric(SEMANTIC, words="likeness in meaning to the expected answer, by an embedding model's cosine"),
        Metric("bleu", of_sums=sums.bleu, words="runs of one to four words shared with the expected answers (BLEU)"),
        Metric("chrf", of_sums=sums.chrf, words="runs of one to six letters shared with the expected answers (chrF2)"),
        Metric("json_valid", words="the whole answer is JSON of the kind expected, or valid for the sample's schema"),
        Metric("accuracy", words="the right choice is the most likely one"),
        Metric("checks", words="the answer passes the sample's checks"),
        Metric("reference_logprob", words="likelihood of the first expected answer, nats a token", unit="nats"),
        Metric(
            "perplexity",
            "lower",
            of_sums=_exp_ratio,
            words="how surprising the first expected answers are, a token",
            unit="choices",
        ),
        Metric("ppl", "lower", of_sums=_exp_ratio, words="LightEval's perplexity: of a text", unit="choices"),
        Metric("inst_level_strict_acc", of_sums=_ratio, words="share of instructions that are followed"),
        Metric("inst_level_loose_acc", of_sums=_ratio, words="the same, with leniency for what stands around"),
        Metric("length", "neither", words="words in the answer", unit="words", describes=True),
        Metric("refusal", "lower", words="the answer begins by refusing, and no expected one does", describes=True),
        Metric("repetition", "lower", words="share of the answer that is a loop up to its end", describes=True),
        Metric("cut_off", "lower", words="the answer was cut off at the longest length", describes=True),
    )
}


UNDIRECTED = " (either way)"
"""The end of a metric's name when nobody knows which way it is good."""


def metric(name: str) -> Metric:
    """The metric of a name; names of LightEval's own metrics are taken as they are, good when high."""
    return METRICS.get(name, Metric(name, "neither" if name.endswith(UNDIRECTED) else "higher"))


def known(name: str) -> Metric:
    """The metric of a name that a person wrote. Raises TaskError for one that there is not."""
    if name not in METRICS:
        near = get_close_matches(name, METRICS, n=1)
        hint = f"did you mean {near[0]}? There" if near else "there"
        raise TaskError(f"there is no metric {name!r}; {hint} are {', '.join(METRICS)}")
    return METRICS[name]


def check_chosen(chosen: Sequence[str], *, embedding: bool) -> None:
    """Raise TaskError for chosen metrics that can't be computed, before anything is loaded.

    Args:
        chosen: names.
        embedding: whether an embedding model is named.
    """
    for name in chosen:
        known(name)
    if SEMANTIC in chosen and not embedding:
        raise TaskError("the metric semantic_similarity needs an embedding model: name a local one, or leave it out")
