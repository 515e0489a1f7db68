"""Many p values adjusted to one another, and a difference in words."""

import math
from collections.abc import Sequence

from evals.results import Better, Verdict
from evals.stats.paired import Paired
from evals.stats.shared import ALPHA, FEWEST, FEWEST_CHANGED, FEWEST_GROUPS


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number, in the same order (Holm, Scand. J. Stat. 6 (1979) 65-70)."""
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def verdict(comparison: Paired, adjusted_p: float, better: Better = "higher") -> Verdict:
    """Return the difference in words.

    A difference needs both an adjusted p value of at most 0.05 and an interval without 0, so that what a table says in
    words never contradicts the interval beside it. Where all differences are alike there may be no interval: then p and
    the difference's sign decide. Fewer than 30 pairs are too few, or pairs in fewer than 10 groups; and so are fewer
    than 10 that differ, unless none does, or scores are 0 or 1 and nearly no sample shares a group.

    Args:
        comparison: what was found.
        adjusted_p: its p value, adjusted for the others of the table.
        better: which way the metric is good. Where it is neither, a difference shown is just that: it "differs".
    """
    groups, changed = comparison.groups, comparison.changed
    if comparison.n < FEWEST or (groups is not None and groups < FEWEST_GROUPS):
        return "too few to tell"
    if changed is not None and changed < FEWEST_CHANGED:
        return "too few to tell"
    low, high = comparison.low, comparison.high
    if math.isnan(low) or math.isnan(high):
        low = high = comparison.delta
    up, down = low > 0, high < 0
    if adjusted_p > ALPHA or not (up or down):
        return "no difference shown"
    if better == "neither":
        return "differs"
    return "better" if up == (better == "higher") else "worse"
