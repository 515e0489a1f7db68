"""Is a difference real: means, paired intervals, paired tests and what a sample can't see.

Pure numbers: knows nothing of tasks, logs or models. scipy is imported when first needed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.log import Better, Verdict

ALPHA = 0.05
POWER = 0.8
FEWEST = 30
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """A difference between two lists of scores of the same samples. Scores are fractions."""

    delta: float
    """Mean of second minus first."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of it."""
    p: float
    """Two-sided p value of "there is no difference"."""
    n: int
    """Pairs."""
    detectable: float
    """The smallest true difference that a sample like this would have shown in 80 % of cases."""
    test: str = ""
    """The test and the interval's method, in words."""
    groups: int | None = None
    """Groups of dependent pairs, where there are any."""
    needed: int | None = None
    """Pairs it would take to show this difference in 80 % of cases; None when there is none."""


def mean_stderr(scores: Sequence[float] | Floats) -> tuple[float, float]:
    """Return the mean and its standard error (sample standard deviation over the root of n); NaN where undefined."""
    values = np.asarray(scores, dtype=float)
    if values.size == 0:
        return math.nan, math.nan
    stderr = float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else math.nan
    return float(values.mean()), stderr


def paired(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> Paired:
    """Compare two scores of each sample.

    0/1 scores get a score interval for paired proportions and mid-p McNemar, others a t interval and a paired t test.
    The score interval stays honest where the t interval shrinks to a point: when all pairs differ the same way, or none
    does. For other scores in that case see `_constant`.

    Args:
        first: scores of n samples, none of them NaN.
        second: scores of the same samples, in the same order.

    Raises:
        ValueError: the lists differ in length or hold a NaN.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("paired scores must be as many as each other, and none of them missing")
    n, difference = int(a.size), b - a
    if n < 2:
        return Paired(float(difference.mean()) if n else math.nan, math.nan, math.nan, 1.0, n, math.nan)
    delta = float(difference.mean())
    if np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all():
        gained, lost = int((difference > 0).sum()), int((difference < 0).sum())
        low, high = newcombe(int((a * b).sum()), gained, lost, n)
        p = mcnemar_mid_p(gained, lost)
    elif np.ptp(difference) < 1e-12:
        low, high, p = _constant(a, b, delta)
    else:
        low, high, p = _paired_t(difference)
    return Paired(delta, low, high, p, n, _detectable(low, high))


def newcombe(both: int, gained: int, lost: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a difference of paired proportions.

    Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    Statistics in Medicine 17 (1998) 2635-2650, method 10: Wilson's intervals of both proportions, squared and added,
    with the correlation between them.

    Args:
        both: pairs right in both.
        gained: pairs right in the second only.
        lost: pairs right in the first only.
        n: all pairs.
    """
    neither = n - both - gained - lost
    first, second = (both + lost) / n, (both + gained) / n
    l1, u1 = wilson(both + lost, n)
    l2, u2 = wilson(both + gained, n)
    margins = math.sqrt((both + lost) * (gained + neither) * (both + gained) * (lost + neither))
    cross = both * neither - gained * lost
    if cross > 0:
        cross = max(cross - n / 2, 0)
    phi = cross / margins if margins else 0.0
    delta = second - first
    down = (second - l2) ** 2 - 2 * phi * (second - l2) * (u1 - first) + (u1 - first) ** 2
    up = (u2 - second) ** 2 - 2 * phi * (u2 - second) * (first - l1) + (first - l1) ** 2
    return max(-1.0, delta - math.sqrt(max(down, 0))), min(1.0, delta + math.sqrt(max(up, 0)))


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of a proportion (J. Am. Stat. Assoc. 22 (1927) 209-212)."""
    z = _z(1 - ALPHA / 2)
    share = successes / n
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else (middle - half) / scale
    high = 1.0 if successes == n else (middle + half) / scale
    return low, high


def mcnemar_mid_p(gained: int, lost: int) -> float:
    """Return the two-sided mid-p value of McNemar's test, from the pairs that differ.

    Fagerland, Lydersen, Laake, "The McNemar test for binary matched-pairs data", BMC Med. Res. Methodol. 13 (2013) 91:
    the exact test is conservative, its mid-p form keeps the level.
    """
    from scipy.stats import binom

    differing = gained + lost
    if differing == 0:
        return 1.0
    fewer = min(gained, lost)
    tail = float(binom.cdf(fewer, differing, 0.5))
    return min(1.0, 2 * (tail - 0.5 * float(binom.pmf(fewer, differing, 0.5))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number, in the same order (Holm, Scand. J. Stat. 6 (1979) 65-70)."""
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def verdict(comparison: Paired, adjusted_p: float, *, better: Better = "higher") -> Verdict:
    """Return the difference in words; of a metric that is good in neither direction only that it differs.

    A difference needs both an adjusted p value of at most 0.05 and an interval without 0, so that what a table says in
    words never contradicts the interval beside it.
    """
    if comparison.n < FEWEST:
        return "too few to tell"
    rose, fell = comparison.low > 0, comparison.high < 0
    if adjusted_p > ALPHA or not (rose or fell):
        return "no difference shown"
    if better == "neither":
        return "differs"
    return "better" if rose == (better == "higher") else "worse"


def _paired_t(difference: Floats) -> tuple[float, float, float]:
    from scipy.stats import t

    mean, stderr = mean_stderr(difference)
    freedom = difference.size - 1
    half = float(t.ppf(1 - ALPHA / 2, freedom)) * stderr
    return mean - half, mean + half, 2 * float(t.sf(abs(mean) / stderr, freedom))


def _constant(a: Floats, b: Floats, delta: float) -> tuple[float, float, float]:
    """All n pairs differ by the same amount, so the t interval would be a point.

    For scores between 0 and 1: with 95 % confidence at most 1 - 0.025^(1/n) of all pairs are unlike these (the exact
    form of the rule of three), and such a pair's difference can be anything from -1 to 1. Other scores have no bound,
    so no interval. The p value is the sign test's.
    """
    n = int(a.size)
    p = 1.0 if abs(delta) < 1e-12 else min(1.0, 2 * 0.5**n)
    if min(a.min(), b.min()) < 0 or max(a.max(), b.max()) > 1:
        return math.nan, math.nan, p
    unlike = 1 - (ALPHA / 2) ** (1 / n)
    return delta - unlike * (delta + 1), delta + unlike * (1 - delta), p


def _detectable(low: float, high: float) -> float:
    """The minimum detectable effect, from the interval's half width taken as 1.96 standard errors."""
    stderr = (high - low) / 2 / _z(1 - ALPHA / 2)
    return (_z(1 - ALPHA / 2) + _z(POWER)) * stderr


def _z(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)
