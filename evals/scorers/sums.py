"""BLEU and chrF of a whole set, from what is summed over its samples. Pure numbers, as sacrebleu computes them."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLEU_ORDERS = 4
CHRF_ORDERS = 6
CHRF_BETA = 2


def bleu(sums: Floats) -> Floats:
    """Return BLEU as fractions (Papineni et al., 2002), with sacrebleu's smoothing of orders without a match.

    Args:
        sums: shape (..., 10): words given, words expected, then for runs of 1 to 4 words how many match, and how many
            there are.
    """
    values = np.asarray(sums, dtype=float)
    given, expected = values[..., 0], values[..., 1]
    matches, totals = values[..., 2:6], values[..., 6:10]
    unmatched = np.cumsum((matches == 0) & (totals > 0), axis=-1)
    smoothed = np.where(matches > 0, matches, 0.5**unmatched)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logs = np.log(smoothed / totals)
        brief = np.where(given < expected, np.exp(1 - expected / given), 1.0)
        score = brief * np.exp(logs.mean(axis=-1))
    return np.where((totals > 0).all(axis=-1) & (matches > 0).any(axis=-1), score, 0.0)


def chrf(sums: Floats) -> Floats:
    """Return chrF2 as fractions (Popović, 2015): how many runs of 1 to 6 characters are shared; recall weighs twice.

    Args:
        sums: shape (..., 18): for each length how many runs are given, how many expected, and how many match.
    """
    values = np.asarray(sums, dtype=float)
    values = values.reshape(*values.shape[:-1], CHRF_ORDERS, 3)
    given, expected, matches = values[..., 0], values[..., 1], values[..., 2]
    counts = (given > 0) & (expected > 0)
    orders = np.maximum(counts.sum(axis=-1), 1)
    precision = np.divide(matches, given, out=np.zeros_like(given), where=counts).sum(axis=-1) / orders
    recall = np.divide(matches, expected, out=np.zeros_like(given), where=counts).sum(axis=-1) / orders
    below = CHRF_BETA**2 * precision + recall
    above = (1 + CHRF_BETA**2) * precision * recall
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)
