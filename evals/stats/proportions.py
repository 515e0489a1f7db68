"""Shares of successes: their intervals, differences of paired ones, and how many pairs show a difference.

The intervals and the test take numbers and give numbers, or take arrays of counts and answer for each.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evals.stats.shared import ALPHA, Z_ALPHA, Z_POWER, z_of


def wilson(successes: ArrayLike, n: ArrayLike, alpha: float = ALPHA) -> tuple[Any, Any]:
    """Return Wilson's score interval of a proportion (J. Am. Stat. Assoc. 22 (1927) 209-212), by itself of 95 %."""
    count, size, z = np.asarray(successes, dtype=float), np.asarray(n, dtype=float), z_of(alpha)
    share = count / size
    middle = share + z * z / (2 * size)
    half = z * np.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    scale = 1 + z * z / size
    low = np.where(count == 0, 0.0, (middle - half) / scale)
    high = np.where(count == size, 1.0, (middle + half) / scale)
    return low[()], high[()]


def newcombe(
    both: ArrayLike, gained: ArrayLike, lost: ArrayLike, n: ArrayLike, alpha: float = ALPHA
) -> tuple[Any, Any]:
    """Return the interval of a difference of paired proportions, by itself that of 95 %.

    Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    Statistics in Medicine 17 (1998) 2635-2650, method 10: Wilson's intervals of both proportions, squared and added,
    with the correlation between them.

    Args:
        both: pairs right in both.
        gained: pairs right in the second only.
        lost: pairs right in the first only.
        n: all pairs.
        alpha: in how many cases the interval may miss.
    """
    a, b, c, size = (np.asarray(count, dtype=float) for count in (both, gained, lost, n))
    d = size - a - b - c
    first, second = (a + c) / size, (a + b) / size
    l1, u1 = wilson(a + c, size, alpha)
    l2, u2 = wilson(a + b, size, alpha)
    margins = np.sqrt((a + c) * (b + d) * (a + b) * (c + d))
    cross = a * d - b * c
    cross = np.where(cross > 0, np.maximum(cross - size / 2, 0), cross)
    phi = np.where(margins > 0, cross / np.where(margins > 0, margins, 1), 0.0)
    delta = second - first
    down = (second - l2) ** 2 - 2 * phi * (second - l2) * (u1 - first) + (u1 - first) ** 2
    up = (u2 - second) ** 2 - 2 * phi * (u2 - second) * (first - l1) + (first - l1) ** 2
    low = np.maximum(-1.0, delta - np.sqrt(np.maximum(down, 0)))
    return low, np.minimum(1.0, delta + np.sqrt(np.maximum(up, 0)))


def plus_two(gained: ArrayLike, lost: ArrayLike, n: ArrayLike) -> tuple[Any, Any]:
    """Return the 95 % interval of (gained - lost) / n where each of n gains, loses or does neither.

    Bonett and Price, Statistics in Medicine 31 (2012) 479-488: Wald's interval after one more of either kind.
    """
    b, c, size = (np.asarray(count, dtype=float) for count in (gained, lost, n))
    up, down = (b + 1) / (size + 2), (c + 1) / (size + 2)
    middle = up - down
    half = Z_ALPHA * np.sqrt((up + down - middle**2) / (size + 2))
    return np.maximum(-1.0, middle - half), np.minimum(1.0, middle + half)


def mcnemar_mid_p(gained: ArrayLike, lost: ArrayLike) -> Any:
    """Return the two-sided mid-p value of McNemar's test, from the pairs that differ.

    Fagerland, Lydersen, Laake, "The McNemar test for binary matched-pairs data", BMC Med. Res. Methodol. 13 (2013) 91:
    the exact test is conservative, its mid-p form keeps the level.
    """
    from scipy.special import bdtr

    b, c = np.asarray(gained, dtype=np.intp), np.asarray(lost, dtype=np.intp)
    differing, fewer = b + c, np.minimum(b, c)
    below = np.where(fewer > 0, bdtr(np.maximum(fewer - 1, 0), differing, 0.5), 0.0)
    return np.minimum(1.0, np.asarray(bdtr(fewer, differing, 0.5) + below, dtype=float))


def needed_pairs(differing: float, delta: float) -> float:
    """Return how many pairs show a difference of proportions in 80 % of cases.

    Connor, Biometrics 43 (1987) 207-211.

    Args:
        differing: the share of pairs that differ.
        delta: the difference, not 0.
    """
    root = Z_ALPHA * math.sqrt(differing) + Z_POWER * math.sqrt(max(differing - delta * delta, 0))
    return (root / delta) ** 2


def detectable_difference(differing: float, n: int) -> float:
    """Return the difference that n pairs show in 80 % of cases: `needed_pairs` turned round.

    Where it is larger than the share of pairs that differ, more must differ, and are then taken to differ one way.
    """
    za, zb = Z_ALPHA, Z_POWER
    root = za * za * n * differing - (n + zb * zb) * (za * za - zb * zb) * differing
    delta = (za * math.sqrt(n * differing) + math.sqrt(max(root, 0))) / (n + zb * zb)
    if delta <= differing:
        return delta
    for _ in range(50):
        delta = min(1.0, (za + zb * math.sqrt(max(1 - delta, 0))) ** 2 / n)
    return delta
