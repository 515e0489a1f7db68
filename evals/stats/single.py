"""The interval of one score: how far the mean of a list of scores may be from what it would be over all questions."""

import math
from collections.abc import Sequence

import numpy as np

from evals.stats.means import mean_of
from evals.stats.paired import labels_of
from evals.stats.proportions import wilson
from evals.stats.shared import ALPHA, Floats

Groups = Sequence[str | None]


def interval(
    scores: Sequence[float] | Floats, groups: Groups | None = None, alpha: float = ALPHA, *, share: bool = True
) -> tuple[float, float]:
    """Return the interval of a mean: Wilson's where each score is 0 or 1, else a t interval, cluster-robust for groups.

    Args:
        scores: none of them NaN.
        groups: the group of each; None stands for itself.
        alpha: in how many cases the interval may miss: smaller where the best of many is looked at.
        share: whether scores lie between 0 and 1, which bounds the interval.

    Returns:
        Its ends; NaN where there are too few scores, or all are alike and not 0 or 1.
    """
    values = np.asarray(scores, dtype=float)
    labels = labels_of(groups, int(values.size))
    if labels is None and values.size and bool(np.isin(values, (0, 1)).all()):
        low, high = wilson(values.sum(), values.size, alpha)
        return float(low), float(high)
    if values.size < 2 or not np.ptp(values):
        return math.nan, math.nan
    found = mean_of(values, labels, changed=np.ones(values.size, dtype=bool), alpha=alpha)
    low, high = float(found.low), float(found.high)
    return (max(0.0, low), min(1.0, high)) if share else (low, high)
