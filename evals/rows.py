"""Pairs of scores -> the rows of the table, in its order. Knows statistics; knows nothing of logs, models or files."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evals.metrics import Floats
from evals.pairs import Pairs
from evals.results import Role, Row
from evals.stats import Paired, holm, mean_stderr, paired, paired_sums, verdict

ROLES: tuple[Role, ...] = ("gain", "forgetting", "prompting", "earlier", "reference", "noise", "judge")
"""The order of the table."""


def tabulate(pairs: Sequence[Pairs]) -> tuple[Row, ...]:
    """Make the table's rows: by role, forgetting with the worst task first, else in the order given.

    p values are adjusted by Holm over all rows that carry a verdict, so that the whole table has at most a 5 % chance
    of showing a gain or a loss that isn't there; metrics that only describe are adjusted among themselves. Where the
    training rows repeat some of the samples, a row of the others follows, with its own p.
    """
    compared = [_compared(one) for one in pairs]
    rows: list[Row] = []
    for one, found, p in zip(pairs, compared, _adjusted(pairs, compared), strict=True):
        rows.append(_row(one, found, p))
        if any(one.overlap) and not all(one.overlap):
            clean = _clean(one)
            found = _compared(clean)
            rows.append(_row(clean, found, found.p).model_copy(update={"subset": "clean"}))
    return _ordered(rows)


def _compared(one: Pairs) -> Paired:
    groups = one.groups or None
    if one.metric.of_sums is None:
        return paired(one.first, one.second, groups)
    return paired_sums(one.first, one.second, one.metric.of_sums, groups)


def _adjusted(pairs: Sequence[Pairs], compared: Sequence[Paired]) -> list[float]:
    p_values = [found.p for found in compared]
    for describes in (False, True):
        places = [place for place, one in enumerate(pairs) if one.metric.describes == describes]
        for place, p in zip(places, holm([compared[place].p for place in places]), strict=True):
            p_values[place] = p
    return p_values


def _clean(one: Pairs) -> Pairs:
    """The pairs of samples that the training rows do not repeat."""
    kept = [place for place, repeated in enumerate(one.overlap) if not repeated]
    groups = tuple(one.groups[place] for place in kept) if one.groups else ()
    return replace(one, first=one.first[kept], second=one.second[kept], groups=groups, overlap=())


def _row(one: Pairs, found: Paired, p: float) -> Row:
    base_mean, base_stderr = mean_of(one, one.first)
    tuned_mean, tuned_stderr = mean_of(one, one.second)
    base_std, base_min, base_max = _spread(one.first)
    tuned_std, tuned_min, tuned_max = _spread(one.second)
    return Row(
        task=one.task,
        metric=one.metric.name,
        role=one.role,
        side=one.side,
        against=one.against,
        better=one.metric.better,
        share=one.metric.share,
        base=base_mean,
        base_stderr=base_stderr,
        base_std=base_std,
        base_min=base_min,
        base_max=base_max,
        tuned=tuned_mean,
        tuned_stderr=tuned_stderr,
        tuned_std=tuned_std,
        tuned_min=tuned_min,
        tuned_max=tuned_max,
        delta=found.delta,
        ci_low=found.low,
        ci_high=found.high,
        p=p,
        test=found.test,
        n=found.n,
        groups=found.groups,
        changed=found.changed,
        unscored=one.unscored,
        detectable=found.detectable,
        needed=found.needed,
        verdict=verdict(found, p, better=one.metric.better),
    )


def mean_of(one: Pairs, scores: Floats) -> tuple[float, float]:
    """A side's score and its standard error; that of a metric of the set by the jackknife, over groups if any."""
    of_sums = one.metric.of_sums
    if of_sums is None:
        return mean_stderr(scores)
    if not len(scores):
        return math.nan, math.nan
    whole = scores.sum(axis=0)
    score = float(of_sums(whole))
    parts = _by_group(scores, one.groups)
    if len(parts) < 2:
        return score, math.nan
    without = of_sums(whole - parts)
    return score, float(math.sqrt((len(parts) - 1) / len(parts) * ((without - without.mean()) ** 2).sum()))


def _by_group(sums: Floats, groups: Sequence[str | None]) -> Floats:
    """The sums of each group; a sample without one is a group of its own."""
    if not groups:
        return sums
    places: dict[str | int, int] = {}
    where = [places.setdefault(place if group is None else group, len(places)) for place, group in enumerate(groups)]
    found = np.zeros((len(places), sums.shape[1]))
    np.add.at(found, where, sums)
    return found


def _spread(scores: Floats) -> tuple[float, float, float]:
    """Standard deviation, lowest and highest of samples' scores; a metric of the set has none."""
    if scores.ndim != 1 or not scores.size:
        return math.nan, math.nan, math.nan
    return float(scores.std(ddof=1)) if scores.size > 1 else math.nan, float(scores.min()), float(scores.max())


def _ordered(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows by role, those of a task together; of forgetting, the task that lost most comes first."""
    blocks: dict[tuple[Role, str], list[Row]] = {}
    for row in rows:
        blocks.setdefault((row.role, row.task), []).append(row)

    def place(block: list[Row]) -> tuple[int, float]:
        role = block[0].role
        return ROLES.index(role), _gained(block) if role == "forgetting" else 0.0

    return tuple(row for block in sorted(blocks.values(), key=place) for row in block)


def _gained(block: Sequence[Row]) -> float:
    """How much a task's first metric rose in its good direction; infinite where that can't be told."""
    row = block[0]
    delta = -row.delta if row.better == "lower" else row.delta
    return math.inf if math.isnan(delta) else delta
