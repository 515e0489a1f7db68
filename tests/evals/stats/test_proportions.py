import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import proportion_confint

from evals.stats.proportions import (
    detectable_difference,
    mcnemar_mid_p,
    needed_pairs,
    newcombe,
    plus_two,
    wilson,
)


def test_wilson_agrees_with_statsmodels() -> None:
    for successes, n in ((0, 10), (3, 10), (10, 10), (81, 263), (15, 148)):
        assert wilson(successes, n) == pytest.approx(proportion_confint(successes, n, method="wilson"))


def test_newcombe_gives_what_is_published() -> None:
    # Newcombe 1998, table II, method 10: of 50 pairs 36 right in both, 12 in the first only, 2 in the second only.
    assert newcombe(36, 2, 12, 50) == pytest.approx((-0.3404, -0.0569), abs=5e-5)
    # Fagerland et al. 2014, table V, hyper-responsiveness: 1, 1, 7, 12. They subtract the second, so the sign is ours.
    assert newcombe(1, 7, 1, 21) == pytest.approx((0.026, 0.507), abs=5e-4)
    assert plus_two(7, 1, 21) == pytest.approx((0.013, 0.508), abs=5e-4)
    # Cavo et al. 2012 (both, first only, second only, neither: 59, 6, 16, 80), as R's contingencytables prints it.
    assert newcombe(59, 16, 6, 161) == pytest.approx((0.0046, 0.1186), abs=5e-5)
    # Without pairs that differ it is Wilson's interval on either side of 0.
    low, high = newcombe(54, 0, 0, 54)
    assert high == pytest.approx(1 - wilson(54, 54)[0]) == -low


def test_mcnemar_gives_the_published_example() -> None:
    # Fagerland et al. 2013, BMC Medical Research Methodology 13:91: 1 and 7 differing pairs give a mid-p of 0.039.
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.039, abs=5e-4)
    assert mcnemar_mid_p([7, 0, 5], [1, 0, 5]) == pytest.approx([mcnemar_mid_p(1, 7), 1.0, 1.0])
    for gained, lost in ((0, 6), (3, 11), (40, 60)):
        exact = scipy_stats.binomtest(gained, gained + lost).pvalue
        point = scipy_stats.binom.pmf(gained, gained + lost, 0.5)
        assert mcnemar_mid_p(gained, lost) == pytest.approx(exact - point)


def test_pairs_needed_and_difference_detectable_are_one_formula() -> None:
    # Connor 1987: 20 % differ, by 10 points: (1.96 sqrt(0.2) + 0.8416 sqrt(0.19))^2 / 0.01.
    assert needed_pairs(0.2, 0.1) == pytest.approx(154.6, abs=0.1)
    for differing, n in ((0.2, 100), (0.5, 300), (0.05, 2000)):
        assert needed_pairs(differing, detectable_difference(differing, n)) == pytest.approx(n)
    few = detectable_difference(0.01, 50)
    assert few > 0.01 and needed_pairs(few, few) == pytest.approx(50)


@pytest.mark.parametrize("n", [30, 300])
@pytest.mark.parametrize(
    "shares", [(0.5, 0.1, 0.1, 0.3), (0.3, 0.3, 0.1, 0.3), (0.02, 0.95, 0.01, 0.02), (0.9, 0.02, 0.02, 0.06)]
)
def test_intervals_of_proportions_cover_and_tests_keep_their_level(n: int, shares: tuple[float, ...]) -> None:
    both, gained, lost, _ = np.random.default_rng(4).multinomial(n, shares, size=3000).T
    true = shares[1] - shares[2]
    low, high = newcombe(both, gained, lost, n)
    assert ((low <= true) & (true <= high)).mean() > 0.93
    if true == 0:
        assert (mcnemar_mid_p(gained, lost) <= 0.05).mean() < 0.06
