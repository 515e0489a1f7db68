"""The metrics by name: which way each is good, and how those of a whole set are computed from its samples' sums.

Knows no tasks, models or logs. A metric of samples is a number for each, and its score their mean. A metric of the set
(BLEU, perplexity) sums a few numbers over the samples (`Sample.stats`) and makes one score of the sums.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.errors import TaskError
from evals.log import Better

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """What a number stands for."""

    name: str
    better: Better = "higher"
    of_sums: Callable[[Floats], Floats] | None = None
    """For a metric of the set: from sums, shape (..., k), to scores, shape (...); None for a metric of samples."""
    share: bool = True
    """Whether scores are shares of 1, to be shown in points of a hundred."""


METRICS: dict[str, Metric] = {
    one.name: one
    for one in (
        Metric("exact_match"),
        Metric("accuracy"),
        Metric("checks"),
    )
}


def metric(name: str) -> Metric:
    """The metric of a name; names of LightEval's own metrics are taken as they are, good when high."""
    return METRICS.get(name, Metric(name))


def known(name: str) -> Metric:
    """The metric of a name that a person wrote. Raises TaskError for one that there is not."""
    if name not in METRICS:
        raise TaskError(f"there is no metric {name!r}; there are {', '.join(METRICS)}")
    return METRICS[name]
