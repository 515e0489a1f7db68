"""What all of the statistics share: their levels, the shape of a sample of numbers, quantiles."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
POWER = 0.8
FEWEST = 30
"""Fewer pairs than these are too few to tell."""
FEWEST_GROUPS = 10
"""And so are pairs in fewer groups than these."""
FEWEST_CHANGED = 10
"""And so are scores of which fewer differ than these, as any one may decide; 0/1 scores only if many are in groups."""
Floats = NDArray[np.float64]

Z_ALPHA = NormalDist().inv_cdf(1 - ALPHA / 2)
Z_POWER = NormalDist().inv_cdf(POWER)


def z_of(alpha: float) -> float:
    """Return how many standard errors an interval reaches to either side that misses in `alpha` of cases."""
    return Z_ALPHA if alpha == ALPHA else NormalDist().inv_cdf(1 - alpha / 2)


def mean_stderr(scores: Sequence[float] | Floats) -> tuple[float, float]:
    """Return the mean and its standard error (sample standard deviation over the root of n); NaN where undefined."""
    values = np.asarray(scores, dtype=float)
    if values.size == 0:
        return math.nan, math.nan
    stderr = float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else math.nan
    return float(values.mean()), stderr
