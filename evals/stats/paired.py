"""Two lists of scores of the same samples compared: the difference, its interval and test, and what can be missed.

Which method answers depends on the scores alone: 0/1, graded, grouped, or a metric of the whole set.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.stats.means import TINY, Mean, detectable_mean, mean_of, needed_sample
from evals.stats.proportions import detectable_difference, mcnemar_mid_p, needed_pairs, newcombe
from evals.stats.shared import ALPHA, FEWEST, FEWEST_CHANGED, FEWEST_GROUPS, Floats

Groups = Sequence[str | None]
_NEARLY_SINGLE = 1.25


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
    changed: int | None = None
    """Pairs that differ, or groups that hold one, where the interval is made of how they differ; None where it isn't:
    for 0/1 scores, which are counted unless many are in groups, and where all pairs are alike."""


def paired(
    first: Sequence[float] | Floats,
    second: Sequence[float] | Floats,
    groups: Groups | None = None,
    alpha: float = ALPHA,
) -> Paired:
    """Compare two scores of each sample.

    0/1 scores get Newcombe's interval for paired proportions and mid-p McNemar, others a t interval and test corrected
    for skewness, heavy tails and ties; where samples have groups, either gets a cluster-robust t. For scores that all
    differ by the same amount, so that a t interval would be a point, see `_constant`.

    Args:
        first: scores of n samples, none of them NaN.
        second: scores of the same samples, in the same order.
        groups: the group of each; those of one group are not independent. None stands for itself.
        alpha: in how many cases the interval may miss, where one of many is looked at; p is that of this test alone.

    Raises:
        ValueError: the lists differ in length or hold a NaN.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("paired scores must be as many as each other, and none of them missing")
    n, difference = int(a.size), b - a
    labels = labels_of(groups, n)
    if n < 2:
        return Paired(float(difference.mean()) if n else math.nan, math.nan, math.nan, 1.0, n, math.nan)
    delta = float(difference.mean())
    if np.ptp(difference) < TINY * max(1.0, abs(delta)) and not (labels is None and _binary(a, b)):
        return _constant(a, b, delta, labels, alpha)
    if labels is None and _binary(a, b):
        gained, lost = int((difference > 0).sum()), int((difference < 0).sum())
        low, high = newcombe(int((a * b).sum()), gained, lost, n, alpha)
        needed = needed_pairs((gained + lost) / n, delta) if delta else math.inf
        return Paired(
            delta=delta,
            low=float(low),
            high=float(high),
            p=float(mcnemar_mid_p(gained, lost)),
            n=n,
            detectable=detectable_difference((gained + lost + 1) / (n + 1), n),
            test="mid-p McNemar; Newcombe's score interval",
            needed=_whole(needed),
        )
    difference = np.where(abs(difference) > TINY, difference, 0.0)
    found = mean_of(difference, labels, alpha=alpha)
    test = (
        "t test and interval"
        if labels is not None
        else "t test and interval, corrected for skewness, heavy tails and ties"
    )
    counted = labels is not None and _binary(a, b) and _nearly_single(labels)
    return _of_mean(delta, found, difference, labels, test, counted=counted)


def paired_sums(
    first: Floats,
    second: Floats,
    of_sums: Callable[[Floats], Floats],
    groups: Groups | None = None,
    alpha: float = ALPHA,
) -> Paired:
    """Compare two scores of the whole set, such as BLEU or perplexity, that are computed from sums over its samples.

    By the jackknife: how far each sample, or its group, moves the difference, with a t interval and test of that. Where
    each moves it just as far there is no interval, and the p value is the sign test's.

    Args:
        first: what each of n samples adds to the sums, shape (n, k), none of it NaN.
        second: the same of the second side, in the same order.
        of_sums: from sums, shape (..., k), to scores, shape (...).
        groups: the group of each; those of one group are not independent. None stands for itself.
        alpha: in how many cases the interval may miss.

    Raises:
        ValueError: the shapes differ, are not (n, k), or there is a NaN.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 2 or np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("paired sums must be two tables of one shape, a row for each sample and nothing missing")
    n = int(a.shape[0])
    labels = labels_of(groups, n)
    if n == 0:
        return Paired(math.nan, math.nan, math.nan, 1.0, 0, math.nan)
    all_a, all_b = a.sum(0), b.sum(0)
    delta = float(of_sums(all_b) - of_sums(all_a))
    if n < 2:
        return Paired(delta, math.nan, math.nan, 1.0, n, math.nan)
    parts = jackknife(a, b, of_sums)
    found = mean_of(parts, labels, changed=(a != b).any(-1), alpha=alpha)
    return _of_mean(delta, found, parts, labels, "jackknife t test and interval")


def jackknife(first: Floats, second: Floats, of_sums: Callable[[Floats], Floats]) -> Floats:
    """Return pseudo-values: differences of single samples whose mean is the difference of the set.

    Args:
        first: shape (..., n, k).
        second: the same.
        of_sums: from sums, shape (..., k), to scores, shape (...).

    Returns:
        Shape (..., n).
    """
    n = first.shape[-2]
    all_a, all_b = first.sum(-2, keepdims=True), second.sum(-2, keepdims=True)
    without = of_sums(all_b - second) - of_sums(all_a - first)
    delta = of_sums(all_b) - of_sums(all_a)
    return delta + (n - 1) * (without.mean(-1, keepdims=True) - without)


def _binary(a: Floats, b: Floats) -> bool:
    return bool(np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all())


def labels_of(groups: Groups | None, n: int) -> NDArray[np.intp] | None:
    """The group of each pair as a number; None where no two pairs share one."""
    if not groups:
        return None
    if len(groups) != n:
        raise ValueError("there must be as many groups as pairs")
    names = [("of its own", str(place)) if one is None else ("group", one) for place, one in enumerate(groups)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.intp) if len(numbers) < n else None


def _nearly_single(labels: NDArray[np.intp]) -> bool:
    """Whether groups, were all of one alike, would add at most a quarter to the variance of pairs without groups."""
    sizes = np.bincount(labels)
    return float((sizes * sizes).sum()) <= _NEARLY_SINGLE * labels.size


def _of_mean(
    delta: float, found: Mean, parts: Floats, labels: NDArray[np.intp] | None, test: str, *, counted: bool = False
) -> Paired:
    """The mean of `parts` in words and figures; by the sign test where all parts, or all groups of them, are alike.

    `counted` are 0/1 scores of which any number may differ.
    """
    n, groups = int(parts.size), None if labels is None else int(labels.max()) + 1
    stderr, freedom = float(found.stderr), float(found.freedom)
    known = not math.isnan(stderr) and groups != 1
    alike = not known and groups != 1 and abs(delta) > TINY and bool(np.isfinite(parts).all())
    needed = needed_sample(stderr, delta, n) if known and delta else 0.0 if alike else math.inf
    if alike:
        test = "sign test; no interval, as all " + ("pairs" if groups is None else "groups") + " are alike"
    elif groups is not None:
        test += f", cluster-robust (CR2, {freedom:.1f} degrees of freedom)" if known else ", cluster-robust"
    if groups is not None:
        needed = max(needed, FEWEST_GROUPS * n / groups)
    changed = int(found.moving) if known and not counted else None
    if changed:
        needed = max(needed, FEWEST_CHANGED * n / changed)
    return Paired(
        delta=delta,
        low=float(found.low) if known else math.nan,
        high=float(found.high) if known else math.nan,
        p=float(found.p) if known else _sign_p(groups or n) if alike else 1.0,
        n=n,
        detectable=detectable_mean(stderr, freedom) if known else math.nan,
        test=test,
        groups=groups,
        needed=_whole(needed),
        changed=changed,
    )


def _sign_p(units: int) -> float:
    """The p value of so many independent units that all differ in the same direction."""
    return min(1.0, 2 * 0.5**units)


def _whole(needed: float) -> int | None:
    return None if math.isinf(needed) else max(FEWEST, math.ceil(needed))


def _constant(a: Floats, b: Floats, delta: float, labels: NDArray[np.intp] | None, alpha: float) -> Paired:
    """All n pairs, or all groups of them, differ by the same amount, so the t interval would be a point.

    For scores between 0 and 1: with 95 % confidence (`alpha` 0.05) at most 1 - 0.025^(1/n) of all pairs are unlike
    these (the exact form of the rule of three), and such a pair's difference can be anything from -1 to 1. Other scores
    have no bound, so no interval. The p value is the sign test's.
    """
    n = int(a.size)
    groups = None if labels is None else int(labels.max()) + 1
    independent = groups or n
    none = abs(delta) < TINY
    p = 1.0 if none else _sign_p(independent)
    low = high = detectable = math.nan
    test = "sign test; no interval, as all pairs are alike"
    if min(a.min(), b.min()) >= 0 and max(a.max(), b.max()) <= 1:
        unlike = 1 - (alpha / 2) ** (1 / independent)
        low, high = delta - unlike * (delta + 1), delta + unlike * (1 - delta)
        detectable = detectable_difference(unlike, independent)
        test = "sign test; rule of three"
    needed = None if none else math.ceil(max(FEWEST, FEWEST_GROUPS * n / groups if groups else 0))
    return Paired(delta, low, high, p, n, detectable, test, groups, needed)
