"""From single judgements to what a judge says of two sides, sample by sample, and in sum. Pure: no files, no models.

Of two answers a win needs both orders; a sample with one order missing is missing.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from evals.compare import Pairs
from evals.judge.asking import Entry
from evals.judge.records import Judgement
from evals.metrics import Metric
from evals.results import JudgeSummary
from evals.stats import length_controlled


@dataclass(frozen=True)
class Outcome:
    """What a judge made of both orders of one sample."""

    entry: Entry
    score: float
    """For the side: 1, 0.5 or 0; of a local judge the mean of both orders' probabilities."""
    winner: str
    """The side called better in both orders, else tie."""
    asked: bool
    """False for two answers that are the same."""
    flipped: bool
    """The order changed the verdict."""
    firsts: int
    """Verdicts for the answer that stood first."""
    decided: int
    """Verdicts for either answer."""
    longer: float
    """How much longer the side's answer is than the other's, in letters."""


def outcomes(entries: Sequence[Entry], judgements: Iterable[Judgement], side: str) -> list[Outcome]:
    """What one judge made of each sample, in the entries' order; samples without both verdicts are left out."""
    orders: dict[tuple[str, str], list[Judgement]] = {}
    for one in judgements:
        if one.way == "pairwise" and one.side == side and one.verdict is not None:
            orders.setdefault((one.task, one.id), []).append(one)
    found: list[Outcome] = []
    for entry in entries:
        both = orders.get((entry.task, entry.id), [])
        if len(both) != 2:
            continue
        first, second = both
        agreed = first.verdict == second.verdict
        local = any(one.score not in (0, 0.5, 1) for one in both)
        winner = str(first.verdict) if agreed else "tie"
        score = (first.score + second.score) / 2 if local else {side: 1.0, "tie": 0.5}.get(winner, 0.0)
        decided = [one for one in both if one.verdict != "tie"]
        found.append(
            Outcome(
                entry=entry,
                score=score,
                winner=winner,
                asked=not first.same,
                flipped=not agreed,
                firsts=sum(one.verdict == one.first for one in decided),
                decided=len(decided),
                longer=_length(entry, side) - _length(entry, first.against or ""),
            )
        )
    return found


def summary_of(
    judge: str,
    entries: Sequence[Entry],
    found: Sequence[Outcome],
    side: str,
    against: str,
    calls: int,
    cost: float | None,
) -> JudgeSummary:
    """A judge's comparisons in sum."""
    asked = [one for one in found if one.asked]
    decided = [one for one in found if one.winner != "tie" and one.longer]
    verdicts = sum(one.decided for one in asked)
    controlled, low, high = _controlled(found)
    return JudgeSummary(
        judge=judge,
        kind="pairwise",
        side=side,
        against=against,
        n=len(found),
        missing=len(entries) - len(found),
        wins=sum(one.winner == side for one in found),
        losses=sum(one.winner == against for one in found),
        ties=sum(one.winner == "tie" for one in found),
        flips=_share(sum(one.flipped for one in asked), len(asked)),
        first_share=_share(sum(one.firsts for one in asked), verdicts),
        longer_share=_share(sum((one.winner == side) == (one.longer > 0) for one in decided), len(decided)),
        controlled=controlled,
        controlled_low=low,
        controlled_high=high,
        calls=calls,
        cost=cost,
    )


def preferred(judge: str, entries: Sequence[Entry], found: Sequence[Outcome], side: str, against: str) -> list[Pairs]:
    """A judge's preferences as paired scores: what one side gets the other lacks."""
    pairs: list[Pairs] = []
    for task in dict.fromkeys(entry.task for entry in entries):
        here = [one for one in found if one.entry.task == task]
        second = np.array([one.score for one in here], dtype=float)
        whole = sum(entry.task == task for entry in entries)
        kept = [one.entry for one in here]
        pairs.append(_pairs(f"preferred by {judge}", task, kept, 1 - second, second, whole, side, against))
    return pairs


def ratings(judgements: Iterable[Judgement]) -> dict[tuple[str, str, str], float]:
    """(task, id, side) to the rating, mapped to 0..1; missing ones are not in it."""
    return {
        (one.task, one.id, one.side): (one.score - 1) / 9
        for one in judgements
        if one.way == "rubric" and not math.isnan(one.score)
    }


def rated(
    judge: str, entries: Sequence[Entry], found: dict[tuple[str, str, str], float], side: str, against: str
) -> list[Pairs]:
    """A judge's ratings as paired scores."""
    pairs: list[Pairs] = []
    for task in dict.fromkeys(entry.task for entry in entries):
        here = [entry for entry in entries if entry.task == task]
        kept = [one for one in here if (task, one.id, side) in found and (task, one.id, against) in found]
        first = np.array([found[task, one.id, against] for one in kept], dtype=float)
        second = np.array([found[task, one.id, side] for one in kept], dtype=float)
        pairs.append(_pairs(f"rated by {judge}", task, kept, first, second, len(here), side, against))
    return pairs


def rating_summary(
    judge: str,
    entries: Sequence[Entry],
    pairs: Sequence[Pairs],
    side: str,
    against: str,
    calls: int,
    cost: float | None,
) -> JudgeSummary:
    """A judge's ratings in sum: a side wins where its answer is rated higher."""
    deltas = [float(delta) for one in pairs for delta in one.second - one.first]
    return JudgeSummary(
        judge=judge,
        kind="rubric",
        side=side,
        against=against,
        n=len(deltas),
        missing=len(entries) - len(deltas),
        wins=sum(delta > 0 for delta in deltas),
        losses=sum(delta < 0 for delta in deltas),
        ties=sum(delta == 0 for delta in deltas),
        calls=calls,
        cost=cost,
    )


def _pairs(
    metric: str, task: str, kept: Sequence[Entry], first: object, second: object, whole: int, side: str, against: str
) -> Pairs:
    return Pairs(
        task=task,
        metric=Metric(metric),
        first=np.asarray(first, dtype=float),
        second=np.asarray(second, dtype=float),
        groups=tuple(one.group for one in kept) if any(one.group is not None for one in kept) else (),
        overlap=tuple(one.overlap for one in kept) if any(one.overlap for one in kept) else (),
        unscored=whole - len(kept),
        role="judge",
        side=side,
        against=against,
    )


def _controlled(found: Sequence[Outcome]) -> tuple[float, float, float]:
    asked = [one for one in found if one.asked]
    if not asked:
        return math.nan, math.nan, math.nan
    return length_controlled([one.score for one in asked], [one.longer for one in asked])


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _length(entry: Entry, side: str) -> float:
    return float(len((entry.answers.get(side) or "").strip()))
