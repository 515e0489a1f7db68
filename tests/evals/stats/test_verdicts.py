import math
from typing import Any

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from evals.results import Better, Verdict
from evals.stats.paired import Paired
from evals.stats.verdicts import holm, verdict


def test_holm_agrees_with_statsmodels() -> None:
    values = np.random.default_rng(1).random(20) ** 3
    theirs: Any = multipletests(values, method="holm")[1]
    assert holm(list(values)) == pytest.approx(list(theirs))
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@pytest.mark.parametrize(
    ("low", "high", "p", "n", "groups", "better", "words"),
    [
        (0.1, 0.2, 0.01, 100, None, "higher", "better"),
        (-0.2, -0.1, 0.01, 100, None, "higher", "worse"),
        (0.1, 0.2, 0.01, 100, None, "lower", "worse"),
        (-0.2, -0.1, 0.01, 100, None, "lower", "better"),
        (-0.2, -0.1, 0.01, 100, None, "neither", "differs"),
        (-0.2, 0.1, 0.01, 100, None, "neither", "no difference shown"),
        (0.1, 0.2, 0.06, 100, None, "higher", "no difference shown"),
        (-0.1, 0.2, 0.01, 100, None, "higher", "no difference shown"),
        (0.1, 0.2, 0.001, 29, None, "higher", "too few to tell"),
        (0.1, 0.2, 0.001, 100, 9, "higher", "too few to tell"),
        (0.1, 0.2, 0.001, 100, 10, "higher", "better"),
    ],
)
def test_words_follow_p_and_interval(
    low: float, high: float, p: float, n: int, groups: int | None, better: Better, words: Verdict
) -> None:
    assert verdict(Paired((low + high) / 2, low, high, p, n, 0.1, groups=groups), p, better) == words


@pytest.mark.parametrize(
    ("delta", "p", "better", "words"),
    [
        (0.5, 0.01, "higher", "better"),
        (0.5, 0.01, "lower", "worse"),
        (-0.5, 0.01, "neither", "differs"),
        (0.5, 0.06, "higher", "no difference shown"),
        (0.0, 1.0, "higher", "no difference shown"),
    ],
)
def test_without_an_interval_p_and_the_sign_decide(delta: float, p: float, better: Better, words: Verdict) -> None:
    assert verdict(Paired(delta, math.nan, math.nan, p, 30, math.nan), p, better) == words
    assert verdict(Paired(delta, math.nan, math.nan, p, 29, math.nan), p, better) == "too few to tell"
