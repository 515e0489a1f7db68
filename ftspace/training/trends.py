"""What can be said of a noisy curve: its level, its slope and how sure that is. Robust: single points move nothing.

Knows numbers only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, np.dtype[np.float64]]
POINTS = 100
"""A slope is taken over at most so many points; more are put together by their medians first."""
_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, for normal noise."""
_MEDIAN_COST = 1.2533
"""Standard error of a median over that of a mean, for normal noise."""
_SLOPE_COST = 1.1
"""Standard error of a Theil-Sen slope over that of least squares, for normal noise."""


@dataclass(frozen=True)
class Trend:
    """A straight line through a curve."""

    slope: float
    """Per unit of x."""
    error: float
    """Its standard error."""

    def rises(self, errors: float) -> bool:
        """Whether the slope is above 0 by so many standard errors."""
        return self.slope > errors * self.error

    def falls(self, errors: float) -> bool:
        """Whether the slope is below 0 by so many standard errors."""
        return -self.slope > errors * self.error

    @property
    def steepest(self) -> float:
        """How fast it may fall, within two standard errors."""
        return -self.slope + 2 * self.error


@dataclass(frozen=True)
class Level:
    """Where a stretch of a curve lies."""

    value: float
    error: float


def thinned(x: Numbers, y: Numbers, most: int = POINTS) -> tuple[Numbers, Numbers]:
    """The curve as at most so many medians over equally long stretches of it; its first few points may be left out."""
    size = -(-len(x) // most)
    if size < 2:
        return x, y
    rest = len(x) % size
    return np.median(x[rest:].reshape(-1, size), axis=1), np.median(y[rest:].reshape(-1, size), axis=1)


def trend(x: Numbers, y: Numbers) -> Trend:
    """Theil and Sen's slope (the median of those between all pairs of points), with the error that its noise gives it.

    Sen, "Estimates of the regression coefficient based on Kendall's tau" (1968). Give it three points or more.
    """
    x, y = thinned(x, y)
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] - x[first]
    between = (y[second] - y[first])[apart > 0] / apart[apart > 0]
    slope = float(np.median(between)) if len(between) else 0.0
    rest = y - slope * x
    spread = _TO_SIGMA * float(np.median(np.abs(rest - np.median(rest))))
    width = float(np.sqrt(np.sum((x - x.mean()) ** 2)))
    return Trend(slope, _SLOPE_COST * spread / width if width else float("inf"))


def level(y: Numbers, noise: float) -> Level:
    """The median of a stretch, given the noise of one point."""
    return Level(float(np.median(y)), _MEDIAN_COST * noise / len(y) ** 0.5)


def noise(y: Numbers) -> float:
    """Standard deviation of the points about their curve, from second differences: a smooth curve leaves none."""
    if len(y) < 4:
        return float("nan")
    seconds = y[2:] - 2 * y[1:-1] + y[:-2]
    return _TO_SIGMA * float(np.median(np.abs(seconds))) / 6**0.5


def ranks_rise(y: Numbers) -> float:
    """Mann and Kendall's z: how sure it is that later points are higher, whatever the curve's shape."""
    count = len(y)
    if count < 2:
        return 0.0
    first, second = np.triu_indices(count, 1)
    score = float(np.sign(y[second] - y[first]).sum())
    variance = count * (count - 1) * (2 * count + 5) / 18
    return (score - np.sign(score)) / variance**0.5


def stairs(epoch: Numbers, y: Numbers, spread: float) -> tuple[float, float]:
    """How much a curve falls at the beginnings of epochs beyond the slope beside them, and how sure that is (z).

    The mean over the beginnings; (0, 0) where there are too few points about any.
    """
    drops: list[float] = []
    weights: list[float] = []
    for boundary in range(1, int(np.ceil(epoch[-1])) if len(epoch) else 0):
        before = y[(epoch > boundary - 0.5) & (epoch <= boundary)]
        after = y[(epoch > boundary) & (epoch <= boundary + 0.5)]
        wide = y[(epoch > boundary - 1) & (epoch <= boundary - 0.5)]
        if min(len(before), len(after), len(wide)) < 3:
            continue
        slope = float(np.median(wide) - np.median(before))
        drops.append(float(np.median(before) - np.median(after)) - max(0.0, slope))
        weights.append(4 / len(before) + 1 / len(after) + 1 / len(wide))
    if not drops:
        return 0.0, 0.0
    error = _MEDIAN_COST * spread * sum(weights) ** 0.5 / len(drops)
    mean = float(np.mean(drops))
    return mean, mean / error if error else 0.0
