"""The mean of differences: its 95 % interval and test, for skewed, tied and grouped ones.

A t interval with four corrections, each of which vanishes where it isn't needed:

- groups: the variance is cluster-robust (CR2) and the degrees of freedom are Satterthwaite's, with the correlation
  inside groups estimated (Bell and McCaffrey, Survey Methodology 28 (2002) 169-181; Imbens and Kolesár, Rev. Econ.
  Stat. 98 (2016) 701-712);
- ties at zero: a pair that gains and one that loses are imagined besides, weighted by the share of pairs that do not
  differ. For 0/1 scores that seldom differ this is the interval of Bonett and Price (Stat. Med. 31 (2012) 479-488);
- skewness: Hall's cubic transformation of the t statistic (J. R. Stat. Soc. B 54 (1992) 221-228), with the skewness
  shrunk where its own error is large;
- heavy tails, such as a few large differences among many small ones: the standard error is itself uncertain, and the
  degrees of freedom become those of a variance with such a fourth moment.

All functions take samples in the last axis and any number of axes before it, and answer for each sample.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.stats.shared import ALPHA, Z_ALPHA, Z_POWER, Floats

TINY = 1e-12


@dataclass(frozen=True)
class Mean:
    """What is known of a mean; each an array with one number for each sample, NaN where all differences are alike."""

    low: Floats
    """Lower end of the 95 % interval."""
    high: Floats
    """Upper end of it."""
    p: Floats
    """Two-sided p value of "the mean is 0"."""
    stderr: Floats
    """The standard error."""
    freedom: Floats
    """Degrees of freedom."""
    moving: Floats
    """Pairs that differ, or groups that hold one."""


def mean_of(
    difference: Floats,
    labels: NDArray[np.intp] | None = None,
    changed: NDArray[np.bool_] | None = None,
    corrected: bool = True,
    alpha: float = ALPHA,
) -> Mean:
    """Return interval and test of the mean of differences.

    Args:
        difference: shape (..., n), at least two.
        labels: the group of each, 0 to G - 1, all used; None: each stands for itself.
        changed: which pairs differ; None: those whose difference isn't 0.
        corrected: correct for skewness and heavy tails.
        alpha: in how many cases the interval may miss.
    """
    from scipy.special import stdtr, stdtrit

    n = difference.shape[-1]
    sums, sizes, moved = difference, np.ones(n), difference != 0 if changed is None else changed
    if labels is not None:
        sums, sizes, moved = _added(sums, labels), np.bincount(labels).astype(float), _added(moved, labels) > 0
    groups = sizes.size
    size = n / groups
    inside = _correlation(sums, _added(difference**2, labels), sizes) if labels is not None else np.zeros(())
    moving = moved.sum(-1)
    idle = 1 - moving / groups
    jump = np.sqrt((np.where(moved, sums, 0) ** 2).sum(-1) / np.maximum(moving, 1))
    pairs, count = n + 2 * idle * size, groups + 2 * idle
    mean = sums.sum(-1) / pairs
    parts = (sums - mean[..., None] * sizes) / np.sqrt(np.maximum(1 - sizes / pairs[..., None], TINY))
    parts = parts / pairs[..., None]
    scale = np.sqrt(np.maximum(1 - size / pairs, TINY)) * pairs
    imagined = (jump - mean * size) / scale, (-jump - mean * size) / scale

    stderr = np.sqrt((parts * parts).sum(-1) + idle * (imagined[0] ** 2 + imagined[1] ** 2))
    stderr = np.where(stderr > TINY * np.maximum(abs(mean), jump / size), stderr, np.nan)
    skew, freedom = np.zeros(mean.shape), freedom_of(sizes, inside) + 2 * idle
    if corrected:
        squares = parts * parts
        fourth = (squares * squares).sum(-1) + idle * (imagined[0] ** 4 + imagined[1] ** 4)
        excess = np.maximum(fourth / stderr**4 - 3 / (freedom + 1), 0)
        freedom = 2 * freedom / (2 + freedom * excess)
        cubes = squares * parts
        third = cubes.sum(-1) + idle * (imagined[0] ** 3 + imagined[1] ** 3)
        sixth = (cubes * cubes).sum(-1) + idle * (imagined[0] ** 6 + imagined[1] ** 6)
        skew = np.sqrt(count) * third / stderr**3
        skew = skew**3 / (skew**2 + count * sixth / stderr**6 + TINY)
    quantile = np.asarray(stdtrit(freedom, 1 - alpha / 2))
    low = mean - stderr * _unbent(quantile, skew, count)
    high = mean - stderr * _unbent(-quantile, skew, count)
    p = 2 * np.asarray(stdtr(freedom, -abs(_bent(mean / stderr, skew, count))))
    return Mean(low, high, p, stderr, freedom, moving)


def freedom_of(sizes: Floats, inside: Floats) -> Floats:
    """Return Satterthwaite's degrees of freedom of a CR2 variance, for groups of these sizes.

    Args:
        sizes: shape (G,).
        inside: the correlation inside groups, of any shape: the answer's.
    """
    share = sizes / sizes.sum()
    weight = 1 / np.maximum(1 - share, TINY)
    spread = sizes + inside[..., None] * (sizes**2 - sizes)
    total = spread.sum(-1)
    own = spread - 2 * share * spread + share**2 * total[..., None]
    aa, ss, both = (weight * share**2).sum(), (weight * spread**2).sum(-1), (weight * share * spread).sum(-1)
    squares = 2 * aa * ss + 2 * both**2 + (total * aa) ** 2 - 4 * total * aa * both
    diagonal = 2 * share * spread - share**2 * total[..., None]
    squares += (weight**2 * (own**2 - diagonal**2)).sum(-1)
    return (weight * own).sum(-1) ** 2 / squares


def detectable_mean(stderr: float, freedom: float) -> float:
    """Return the mean that such a sample shows to differ from 0 in 80 % of cases."""
    from scipy.special import stdtrit

    return stderr * float(stdtrit(freedom, 1 - ALPHA / 2) + Z_POWER)


def needed_sample(stderr: float, delta: float, n: int) -> float:
    """Return how many pairs show a mean of `delta`, not 0, in 80 % of cases, when n have this standard error."""
    return n * (stderr * (Z_ALPHA + Z_POWER) / delta) ** 2 + Z_ALPHA**2 / 2


def _added(values: Floats | NDArray[np.bool_], labels: NDArray[np.intp]) -> Floats:
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(labels.max() + 1))
    return np.add.reduceat(values[..., order].astype(float), starts, axis=-1)


def _correlation(sums: Floats, squares: Floats, sizes: Floats) -> Floats:
    """The correlation inside groups, between 0 and 1, by analysis of variance."""
    n, groups = sizes.sum(), sizes.size
    mean = sums.sum(-1, keepdims=True) / n
    between = (sizes * (sums / sizes - mean) ** 2).sum(-1) / max(groups - 1, 1)
    within = (squares - sums**2 / sizes).sum(-1) / max(n - groups, 1)
    typical = (n - (sizes**2).sum() / n) / max(groups - 1, 1)
    return np.clip((between - within) / np.maximum(between + (typical - 1) * within, TINY), 0, 1)


def _bent(t: Floats, skew: Floats, n: Floats) -> Floats:
    """Hall's transformation of t statistics: near a t distribution where the statistic itself is skewed."""
    root = np.sqrt(n)
    return t + skew * t**2 / (3 * root) + skew**2 * t**3 / (27 * n) + skew / (6 * root)


def _unbent(t: Floats, skew: Floats, n: Floats) -> Floats:
    """Its inverse."""
    root = np.sqrt(n)
    safe = np.where(abs(skew) < 1e-6, 1.0, skew)
    bent = 3 * root / safe * (np.cbrt(1 + safe / root * (t - safe / (6 * root))) - 1)
    return np.where(abs(skew) < 1e-6, t, bent)
