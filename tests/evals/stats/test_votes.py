import math

import numpy as np
import pytest
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.stats.inter_rater import cohens_kappa

from evals.stats import bradley_terry, kappa, length_controlled, win_rate

# Agresti, Categorical Data Analysis: the American League of 1987. Row beat column.
BASEBALL = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]


def test_kappa_gives_the_textbook_example_and_agrees_with_statsmodels() -> None:
    found = kappa([1] * 25 + [0] * 25, [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15)
    assert (found.kappa, found.agreement, found.n) == (pytest.approx(0.4), 0.7, 50)
    first = np.random.default_rng(1).integers(0, 3, 20_000)
    second = np.where(np.random.default_rng(2).random(20_000) < 0.6, first, 2)
    theirs = cohens_kappa(np.histogram2d(first, second, 3)[0])
    ours = kappa(first.tolist(), second.tolist())
    assert ours.kappa == pytest.approx(theirs.kappa)
    assert (ours.low, ours.high) == pytest.approx((theirs.kappa_low, theirs.kappa_upp), abs=2e-4)


def test_kappa_of_few_or_uniform_verdicts_is_honest() -> None:
    alike = kappa("AB" * 15, "AB" * 15)
    assert alike.kappa == 1 == alike.high and 0.6 < alike.low < 0.95
    assert math.isnan(kappa("AAA", "AAA").kappa) and kappa("AAA", "AAA").agreement == 1
    assert kappa([], []).n == 0
    with pytest.raises(ValueError, match="verdicts"):
        kappa("A", "AB")


def test_win_rate_counts_a_tie_as_half() -> None:
    rate, low, high = win_rate(30, 20, 50)
    assert rate == pytest.approx(0.55) and low < 0.5 < 0.6 < high
    assert high - low < np.subtract(*win_rate(55, 45)[:0:-1])  # ties vary less
    assert win_rate(20, 0)[0] == 1 == win_rate(20, 0)[2] and 0.75 < win_rate(20, 0)[1] < 0.95
    assert math.isnan(win_rate(0, 0)[0])


def test_bradley_terry_gives_the_baseball_of_the_textbook() -> None:
    teams = bradley_terry(BASEBALL, imagined=0)
    over_last = [team.strength - teams[-1].strength for team in teams]
    assert over_last == pytest.approx([1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0], abs=5e-5)
    assert sum(team.strength for team in teams) == pytest.approx(0)
    drawn_in = bradley_terry(BASEBALL)
    assert all(abs(a.strength) < abs(b.strength) for a, b in zip(drawn_in, teams, strict=True))


def test_one_who_never_lost_is_strong_but_finite() -> None:
    best, second, unmet = bradley_terry([[0, 10, 0], [0, 0, 0], [0, 0, 0]])
    assert -1 < best.low < 1 < best.strength < best.high < 5 and best.strength > unmet.strength > second.strength
    assert unmet.low < -1 and unmet.high > 1
    a, b = bradley_terry([[0, 12.5], [7.5, 0]], imagined=0)
    odds = math.log(12.5 / 7.5)
    assert (a.strength, b.strength) == pytest.approx((odds / 2, -odds / 2))
    assert a.high - a.low == pytest.approx(1.96 * math.sqrt(1 / 12.5 + 1 / 7.5), rel=1e-3)
    with pytest.raises(ValueError, match="square"):
        bradley_terry([[0, 1]])


def test_the_rate_at_equal_length_is_a_logistic_regressions() -> None:
    rng = np.random.default_rng(3)
    longer = rng.normal(40, 80, 300)
    won = (rng.random(300) < 1 / (1 + np.exp(-longer / 60))).astype(float)
    won[::10] = 0.5
    rate, low, high = length_controlled(won, longer)
    design = np.stack([np.ones(300), np.tanh(longer / longer.std())], 1)
    theirs = GLM(won, design, family=Binomial()).fit(cov_type="HC0")
    assert math.log(rate / (1 - rate)) == pytest.approx(theirs.params[0])
    half = (math.log(high / (1 - high)) - math.log(low / (1 - low))) / 2
    assert half == pytest.approx(1.96 * theirs.bse[0], rel=0.03)
    assert low < 0.5 < high and won.mean() > 0.6  # all of the lead was length
    assert length_controlled(1 - won, -longer) == pytest.approx((1 - rate, 1 - high, 1 - low))


def test_no_rate_where_length_decides_all() -> None:
    longer = np.linspace(-1, 1, 40)
    for won, by in ((longer > 0, longer), (np.ones(40), longer), ([1.0, 0.0], [1.0, 2.0])):
        assert all(math.isnan(figure) for figure in length_controlled(won, by))
    assert length_controlled([1.0] * 12 + [0.0] * 8, [5.0] * 20)[0] == pytest.approx(0.6)
    with pytest.raises(ValueError, match="length"):
        length_controlled([1.0], [])
