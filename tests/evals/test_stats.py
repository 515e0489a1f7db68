import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from evals.stats import Paired, holm, mcnemar_mid_p, mean_stderr, newcombe, paired, verdict, wilson

FRACTIONS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=60)


def zeros_and_ones(both: int, gained: int, lost: int, neither: int) -> tuple[list[float], list[float]]:
    first = [1.0] * both + [0.0] * gained + [1.0] * lost + [0.0] * neither
    second = [1.0] * both + [1.0] * gained + [0.0] * lost + [0.0] * neither
    return first, second


def test_mean_and_stderr_agree_with_scipy() -> None:
    scores = np.random.default_rng(1).random(40)
    mean, stderr = mean_stderr(scores)
    assert mean == pytest.approx(scores.mean())
    assert stderr == pytest.approx(float(scipy_stats.sem(scores)))
    assert mean_stderr([0.5])[0] == 0.5 and math.isnan(mean_stderr([0.5])[1])
    assert all(math.isnan(number) for number in mean_stderr([]))


def test_t_interval_and_p_agree_with_scipy() -> None:
    rng = np.random.default_rng(2)
    first = rng.random(50)
    second = first + rng.normal(0.1, 0.2, 50)
    found = paired(first, second)
    theirs = scipy_stats.ttest_rel(second, first)
    interval = theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(float(theirs.pvalue))
    assert found.delta == pytest.approx(float(np.mean(second - first)))


def test_wilson_agrees_with_scipy() -> None:
    for successes, n in ((0, 10), (3, 10), (10, 10), (81, 263), (15, 148)):
        theirs = scipy_stats.binomtest(successes, n).proportion_ci(method="wilson")
        assert wilson(successes, n) == pytest.approx((theirs.low, theirs.high))


def test_newcombe_gives_what_others_print() -> None:
    # Cavo et al. 2012 (both, first only, second only, neither: 59, 6, 16, 80) as the R package contingencytables of
    # Fagerland, Lydersen and Laake prints it. Theirs is first minus second, so ours has the other sign.
    assert newcombe(59, 16, 6, 161) == pytest.approx((0.0046, 0.1186), abs=5e-5)
    # Without pairs that differ it is Wilson's interval on either side of 0.
    low, high = newcombe(54, 0, 0, 54)
    assert high == pytest.approx(1 - wilson(54, 54)[0]) == -low


def test_mcnemar_gives_the_published_example() -> None:
    # Fagerland et al. 2013, BMC Medical Research Methodology 13:91: 1 and 7 differing pairs give a mid-p of 0.039.
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.039, abs=5e-4)
    assert mcnemar_mid_p(7, 1) == mcnemar_mid_p(1, 7)
    assert mcnemar_mid_p(0, 0) == 1.0
    assert mcnemar_mid_p(5, 5) == 1.0
    for gained, lost in ((0, 6), (3, 11), (40, 60)):
        exact = scipy_stats.binomtest(gained, gained + lost).pvalue
        point = scipy_stats.binom.pmf(gained, gained + lost, 0.5)
        assert mcnemar_mid_p(gained, lost) == pytest.approx(exact - point)


def test_holm_gives_the_textbook_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_all_pairs_alike_give_an_honest_interval() -> None:
    every = paired(*zeros_and_ones(0, 200, 0, 0))
    assert every.delta == every.high == 1 and 0.95 < every.low < 0.99
    none = paired(*zeros_and_ones(200, 0, 0, 0))
    assert none.delta == 0 and -0.02 < none.low < -0.01 and none.p == 1
    graded = paired([0.25] * 200, [0.75] * 200)
    assert graded.delta == 0.5 and 0.45 < graded.low < 0.5 < graded.high < 0.52 and graded.p < 1e-6
    same = paired([0.3] * 200, [0.3] * 200)
    assert same.p == 1 and same.low < 0 < same.high
    unbounded = paired([10.0] * 50, [12.0] * 50)
    assert math.isnan(unbounded.low) and verdict(unbounded, unbounded.p) == "no difference shown"


def test_what_is_too_little_to_compute_is_nan() -> None:
    assert math.isnan(paired([], []).delta)
    one = paired([0.0], [1.0])
    assert one.delta == 1 and math.isnan(one.low) and verdict(one, 0) == "too few to tell"
    for first, second in (([math.nan], [1.0]), ([1.0], [1.0, 0.0])):
        with pytest.raises(ValueError, match="paired"):
            paired(first, second)


@given(FRACTIONS)
def test_the_interval_holds_the_difference_and_turns_round_with_the_pair(scores: list[tuple[float, float]]) -> None:
    first, second = (list(column) for column in zip(*scores, strict=True))
    there, back = paired(first, second), paired(second, first)
    assert there.low - 1e-9 <= there.delta <= there.high + 1e-9
    assert 0 <= there.p <= 1
    assert there.detectable >= 0
    assert (back.delta, back.low, back.high) == pytest.approx((-there.delta, -there.high, -there.low), abs=1e-9)
    assert back.p == pytest.approx(there.p)


def test_words_follow_p_and_interval() -> None:
    def words(low: float, high: float, p: float, n: int = 100) -> str:
        return verdict(Paired((low + high) / 2, low, high, p, n, 0.1), p)

    assert words(0.1, 0.2, 0.01) == "better"
    assert words(-0.2, -0.1, 0.01) == "worse"
    assert words(0.1, 0.2, 0.06) == "no difference shown"
    assert words(-0.1, 0.2, 0.01) == "no difference shown"
    assert words(0.1, 0.2, 0.001, n=29) == "too few to tell"


def test_detectable_effect_is_detected_in_four_of_five_cases() -> None:
    rng = np.random.default_rng(3)
    effect = paired(np.zeros(200), rng.normal(0, 0.3, 200)).detectable
    draws = rng.normal(effect, 0.3, (2000, 200))
    theirs: Any = scipy_stats.ttest_1samp(draws, 0, axis=1)
    assert 0.75 < (theirs.pvalue < 0.05).mean() < 0.87


@pytest.mark.parametrize("n", [30, 300])
@pytest.mark.parametrize(
    "shares", [(0.5, 0.1, 0.1, 0.3), (0.3, 0.3, 0.1, 0.3), (0.02, 0.95, 0.01, 0.02), (0.9, 0.02, 0.02, 0.06)]
)
def test_intervals_of_proportions_cover_and_tests_keep_their_level(n: int, shares: tuple[float, ...]) -> None:
    drawn = np.random.default_rng(4).multinomial(n, shares, size=3000)
    tables, counts = np.unique(drawn, axis=0, return_counts=True)
    true = shares[1] - shares[2]
    limits = [newcombe(both, gained, lost, n) for both, gained, lost, _ in tables.tolist()]
    covered = np.array([low <= true <= high for low, high in limits])
    assert (covered * counts).sum() / counts.sum() > 0.93
    if true == 0:
        alarms = np.array([mcnemar_mid_p(gained, lost) <= 0.05 for _, gained, lost, _ in tables.tolist()])
        assert (alarms * counts).sum() / counts.sum() < 0.06


@pytest.mark.parametrize("n", [30, 300])
def test_intervals_of_scores_cover(n: int) -> None:
    rng = np.random.default_rng(5)
    first, second = rng.beta(2, 5, (600, n)), rng.beta(2, 4, (600, n))
    true = 2 / 6 - 2 / 7
    found = [paired(a, b) for a, b in zip(first, second, strict=True)]
    assert 0.925 < np.mean([one.low <= true <= one.high for one in found]) < 0.975
