"""Is a difference real: paired intervals and tests, what a sample can't see, votes, and the words for it.

Pure numbers: knows nothing of tasks, logs or models. scipy is imported when first needed. How the methods were chosen
and what they keep is in docs/design/0024-statistics.md; `python -m benchmarks.statistics` measures it again.
"""

from evals.stats.paired import Paired, paired, paired_sums
from evals.stats.proportions import mcnemar_mid_p, newcombe, wilson
from evals.stats.shared import ALPHA, FEWEST, FEWEST_CHANGED, FEWEST_GROUPS, POWER, Floats, mean_stderr, z_of
from evals.stats.single import interval
from evals.stats.verdicts import holm, verdict
from evals.stats.votes import Agreement, Strength, bradley_terry, kappa, length_controlled, win_rate

__all__ = [
    "ALPHA",
    "FEWEST",
    "FEWEST_CHANGED",
    "FEWEST_GROUPS",
    "POWER",
    "Agreement",
    "Floats",
    "Paired",
    "Strength",
    "bradley_terry",
    "holm",
    "interval",
    "kappa",
    "length_controlled",
    "mcnemar_mid_p",
    "mean_stderr",
    "newcombe",
    "paired",
    "paired_sums",
    "verdict",
    "wilson",
    "win_rate",
    "z_of",
]
