"""What a row or a log shows, its figures in words, and which finding comes first. Knows records only."""

import math
from collections.abc import Iterable, Sequence
from statistics import median

from evals.log import EvalLog
from evals.metrics import metric
from evals.results import Finding, Row, Tone
from evals.stats import FEWEST, FEWEST_CHANGED
from evals.wording import amount

CUT = 0.1
"""A share of answers cut off that weakens a score."""
_TONES: tuple[Tone, ...] = ("bad", "warning", "note")


def forgetting_report(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of what tuning lost, over all samples: those shown to be worse first, and the most lost first.

    Losses of metrics that are no shares, such as a perplexity, count relative to the base's.
    """
    lost = [row for row in rows if row.role == "forgetting" and row.subset == "all" and judges(row)]
    return sorted(lost, key=lambda row: (row.verdict != "worse", _gain(row) / max(1.0, abs(row.base))))


def key(row: Row) -> tuple[str, ...]:
    """What a row of the clean samples has in common with that of all."""
    return row.task, row.metric, row.role, row.side, row.against


def _gain(row: Row) -> float:
    return -row.delta if row.better == "lower" else row.delta


def shows_gain(row: Row | None) -> bool:
    """Whether the row's interval alone lies on the good side; where there is none, its verdict tells."""
    if row is None or row.n < FEWEST or row.better == "neither":
        return False
    if row.changed is not None and row.changed < FEWEST_CHANGED:
        return False
    if math.isnan(row.ci_low):
        return row.verdict == "better"
    return row.ci_high < 0 if row.better == "lower" else row.ci_low > 0


def missing(row: Row) -> float:
    """The share of pairs without a score."""
    return row.unscored / (row.n + row.unscored)


def score(row: Row, value: float) -> str:
    """A score of the row's metric: in points of a hundred where it is a share."""
    return amount(value, row.share)


def size(row: Row, value: float) -> str:
    """A difference without a sign."""
    return amount(value, row.share) + (" points" if row.share else "")


def moved(row: Row) -> str:
    """The row's difference with its interval."""
    delta, low, high = (amount(value, row.share, "+") for value in (row.delta, row.ci_low, row.ci_high))
    interval = "no interval" if math.isnan(row.ci_low) else f"95 % interval {low} to {high}"
    return f"{delta}{' points' if row.share else ''} ({interval}, n = {row.n})"


def judges(row: Row) -> bool:
    """Whether the row's metric says how good answers are, and does not only describe them."""
    return row.better != "neither" and not metric(row.metric).describes


def fits(log: EvalLog | None) -> bool:
    """Whether nearly all expected answers are shorter than the longest that may be written.

    In tokens where the model was asked how likely they are; else in letters, against the answers that were cut off.
    """
    if log is None:
        return True
    lengths = [sample.stats["perplexity"][1] for sample in log.samples if "perplexity" in sample.stats]
    longest = float(log.spec.max_new_tokens)
    if not lengths and log.spec.kind == "generation":
        cut = [len(sample.output) for sample in log.samples if sample.finish == "length"]
        lengths = [min(map(len, sample.expected)) for sample in log.samples if sample.expected]
        longest = median(cut) if cut else math.inf
    return sum(length >= longest for length in lengths) <= CUT * len(lengths)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by tone, else in the order given."""
    return tuple(sorted(findings, key=lambda one: _TONES.index(one.tone)))
