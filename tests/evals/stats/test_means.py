from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.regression.linear_model import OLS

from evals.stats.means import detectable_mean, freedom_of, mean_of, needed_sample


def test_without_its_corrections_it_is_scipys_t() -> None:
    values = np.random.default_rng(2).normal(0.1, 0.2, 50)
    found = mean_of(values, corrected=False)
    theirs: Any = scipy_stats.ttest_1samp(values, 0)
    interval = theirs.confidence_interval(0.95)
    assert (found.low, found.high, found.p) == pytest.approx((interval.low, interval.high, theirs.pvalue))
    assert found.freedom == pytest.approx(49)


def test_groups_of_one_size_agree_with_statsmodels() -> None:
    rng, labels = np.random.default_rng(3), np.repeat(np.arange(20), 5)
    values = rng.normal(0.2, 1, 100) + rng.normal(0, 1, 20)[labels]
    found = mean_of(values, labels, corrected=False)
    theirs = OLS(values, np.ones(100)).fit(cov_type="cluster", cov_kwds={"groups": labels}, use_t=True)
    assert found.stderr == pytest.approx(theirs.bse[0])
    assert found.freedom == pytest.approx(19)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.conf_int()[0]))


def test_groups_of_many_sizes_agree_with_the_matrices_of_the_definition() -> None:
    sizes = np.array([1, 1, 3, 4, 8, 2])
    labels, n = np.repeat(np.arange(6), sizes), int(sizes.sum())
    values = np.random.default_rng(4).normal(0.5, 1, n)
    hat = np.full((n, n), 1 / n)
    left = values - values.mean()
    adjusted: list[Any] = []
    for group in range(6):
        inside = labels == group
        of_group = (np.eye(n) - hat)[np.ix_(inside, inside)]
        eigenvalues, vectors = np.linalg.eigh(of_group)
        half = vectors @ np.diag(eigenvalues**-0.5) @ vectors.T
        row = np.zeros(n)
        row[inside] = half @ np.ones(inside.sum()) / n
        adjusted.append(row)
    found = mean_of(values, labels, corrected=False)
    assert found.stderr**2 == pytest.approx(sum((row @ left) ** 2 for row in adjusted))
    for inside in (0.0, 0.4):
        covariance = np.where(labels[:, None] == labels, inside, 0.0) + (1 - inside) * np.eye(n)
        pulled = np.array(adjusted) @ (np.eye(n) - hat)
        spread = pulled @ covariance @ pulled.T
        expected = np.trace(spread) ** 2 / (spread**2).sum()
        assert freedom_of(sizes.astype(float), np.array(inside)) == pytest.approx(expected)


def test_test_and_interval_always_agree() -> None:
    rng = np.random.default_rng(5)
    samples = rng.exponential(1, (400, 40)) - rng.uniform(0, 2, (400, 1))
    samples[200:, ::2] = 0
    found = mean_of(samples)
    assert (((found.low > 0) | (found.high < 0)) == (found.p < 0.05)).all()
    assert 0 < (found.p < 0.05).mean() < 1


@pytest.mark.parametrize("kind", ["skewed", "tied"])
def test_corrections_bring_coverage_back(kind: str) -> None:
    rng, n = np.random.default_rng(6), 30 if kind == "skewed" else 100
    values, true = rng.exponential(1, (8000, n)), 1.0
    if kind == "tied":
        values, true = np.where(rng.random((8000, n)) < 0.05, rng.random((8000, n)), 0.0), 0.025

    def covered(low: Any, high: Any) -> float:
        return float(((low <= true) & (true <= high)).mean())

    half = scipy_stats.t.ppf(0.975, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
    plain = covered(values.mean(1) - half, values.mean(1) + half)
    found = mean_of(values)
    ours = covered(found.low, found.high)
    assert plain < 0.935 and abs(ours - 0.95) < abs(plain - 0.95) - 0.008


def test_heavy_tails_take_degrees_of_freedom() -> None:
    values = np.random.default_rng(10).normal(0, 1, 60)
    calm, wild = mean_of(values), mean_of(np.append(values[1:], 12.0))
    assert 45 < calm.freedom <= 59 and 3 < wild.freedom < 15


def test_groups_are_not_mistaken_for_more_pairs() -> None:
    rng, labels = np.random.default_rng(7), np.repeat(np.arange(30), rng_sizes := np.arange(1, 31) % 7 + 1)
    values = rng.normal(0, 0.7, (4000, int(rng_sizes.sum()))) + rng.normal(0, 0.7, (4000, 30))[:, labels]
    grouped, mistaken = mean_of(values, labels), mean_of(values)
    assert 0.035 < (grouped.p < 0.05).mean() < 0.06
    assert (mistaken.p < 0.05).mean() > 0.2


def test_what_is_detectable_and_needed_is_shown_in_four_of_five_cases() -> None:
    rng = np.random.default_rng(8)
    pilot = mean_of(rng.normal(0, 0.3, 200))
    effect = detectable_mean(float(pilot.stderr), float(pilot.freedom))
    assert 0.76 < (mean_of(rng.normal(effect, 0.3, (3000, 200))).p < 0.05).mean() < 0.86
    # 33.37 pairs for half a standard deviation: G*Power 3, t test of dependent means.
    assert needed_sample(1 / np.sqrt(50), 0.5, 50) == pytest.approx(33.37, abs=0.1)
