"""The cells of a sweep beside each other: who is best, and what can be said of that after so many were looked at. Pure.

The best of many is best partly by luck. Whichever came out on top is tested against each other cell on the same
questions, and any two might have been: p is multiplied by the number of pairs, and intervals are as wide as that asks.
The best's own score gets an interval for the best of so many. docs/design/0055 says what this keeps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evals.errors import LogError
from evals.log import EvalLog
from evals.metrics import Floats, Metric, metric
from evals.pairs import Pairs, metric_names, pairs_of
from evals.results import Better, Verdict
from evals.rows import mean_of
from evals.stats import ALPHA, Paired, interval, paired, paired_sums, verdict, z_of
from evals.wording import amount
from ftspace.several import unlike

_NAMED = 4
"""So many cells are named that may be the best; of more there is a count."""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell."""

    name: str
    run: str | None
    status: str
    """Its run's; `not begun` where there is none."""
    problem: str = ""
    """Why it has no score."""
    loss: float = math.nan
    """The validation loss of the weights that were kept."""
    tuned: EvalLog | None = None
    """What it answered to the task that cells are ranked by."""
    base: EvalLog | None = None


@dataclass(frozen=True)
class Place:
    """A cell in the order of the scores."""

    name: str
    run: str | None
    status: str
    problem: str = ""
    loss: float = math.nan
    score: float = math.nan
    low: float = math.nan
    high: float = math.nan
    """Of the score, its 95 % interval as if no other cell had been looked at."""
    n: int = 0
    behind: float = math.nan
    """The best cell's score less this one's, on the samples that both answered."""
    behind_low: float = math.nan
    behind_high: float = math.nan
    """Its interval, such that those of all pairs of cells hold at once in 95 % of cases."""
    p: float = math.nan
    """Of "it is as good as the best", times the number of pairs."""
    verdict: Verdict | None = None
    """Of the best against this one: better where it is shown to be worse than the best."""
    why: str = ""
    """Why it was not tested against the best."""


@dataclass(frozen=True)
class Standing:
    """A sweep's table, and what it says."""

    task: str
    metric: str
    better: Better
    share: bool
    places: tuple[Place, ...]
    """The best first; those without a score last."""
    looks: int
    """How many scores the best is the best of."""
    best: str | None = None
    best_low: float = math.nan
    best_high: float = math.nan
    """Of the best's own score, an interval for the best of so many."""
    gain: float = math.nan
    gain_low: float = math.nan
    gain_high: float = math.nan
    """Of the best over the base, the same."""
    may_be_best: tuple[str, ...] = ()
    """The cells among which the best one is, with 95 % confidence."""
    words: tuple[str, ...] = ()
    """What there is to say, a sentence each."""


@dataclass
class _Scored:
    outcome: Outcome
    log: EvalLog
    score: float
    stderr: float
    values: Floats
    """A score a sample; for a metric of the set the sums."""
    groups: tuple[str | None, ...]
    tested: Paired | None = None
    why: str = ""
    p: float = math.nan
    verdict: Verdict | None = None


def standing(outcomes: Sequence[Outcome], task: str, name: str) -> Standing:
    """Rank cells by a metric of a task.

    Args:
        outcomes: one a cell, with its answers to this task where there are any.
        task: its name.
        name: the metric's.
    """
    chosen = metric(name)
    scored = [one for outcome in outcomes if (one := _scored(outcome, chosen)) is not None]
    sign = 1 if chosen.better == "lower" else -1
    scored.sort(key=lambda one: (sign * one.score, one.outcome.name))
    looks = len(scored)
    places = [_place(one, chosen) for one in scored]
    rest = [
        Place(one.name, one.run, one.status, one.problem or "it has no score", one.loss)
        for one in outcomes
        if not any(one is other.outcome for other in scored)
    ]
    found = Standing(task, name, chosen.better, chosen.share, (*places, *rest), looks)
    if chosen.better == "neither":
        return replace(found, words=(f"{name} describes: neither more nor less of it is better.", *_failed(rest)))
    if not scored:
        return replace(found, words=("No cell has a score yet.", *_failed(rest)))
    best = scored[0]
    for one in scored[1:]:
        _test(best, one, chosen, looks * (looks - 1) // 2)
    places = [places[0], *(_with_test(place, one) for place, one in zip(places[1:], scored[1:], strict=True))]
    low, high = _interval(best, chosen, ALPHA / looks)
    gain = _against_base(best, chosen, ALPHA / looks)
    found = replace(
        found,
        places=(*places, *rest),
        best=best.outcome.name,
        best_low=low,
        best_high=high,
        gain=gain.delta if gain else math.nan,
        gain_low=gain.low if gain else math.nan,
        gain_high=gain.high if gain else math.nan,
        may_be_best=tuple(one.outcome.name for one in scored if one is best or one.verdict != "better"),
    )
    return replace(found, words=(*_words(found, places), *_failed(rest)))


def _scored(outcome: Outcome, chosen: Metric) -> _Scored | None:
    """A cell with a score; None without one."""
    log = outcome.tuned
    if log is None or chosen.name not in metric_names(log):
        return None
    if chosen.of_sums is None:
        found = [(one, one.scores.get(chosen.name, math.nan)) for one in log.samples]
        kept = [(one, value) for one, value in found if not math.isnan(value)]
    else:
        sums = [(one, one.stats.get(chosen.name)) for one in log.samples]
        kept = [(one, value) for one, value in sums if value is not None and not any(map(math.isnan, value))]
    if not kept:
        return None
    groups = tuple(one.group for one, _ in kept)
    values = np.asarray([value for _, value in kept], dtype=float)
    named = groups if any(one is not None for one in groups) else ()
    mean, stderr = mean_of(Pairs(log.spec.task, chosen, values, values, named), values)
    return _Scored(outcome, log, mean, stderr, values, named)


def _place(one: _Scored, chosen: Metric) -> Place:
    of, (low, high) = one.outcome, _interval(one, chosen, ALPHA)
    return Place(of.name, of.run, of.status, "", of.loss, one.score, low, high, len(one.values))


def _interval(one: _Scored, chosen: Metric, alpha: float) -> tuple[float, float]:
    """Of a score, missing in `alpha` of cases."""
    if chosen.of_sums is None:
        return interval(one.values, one.groups or None, alpha, share=chosen.share)
    half = z_of(alpha) * one.stderr
    return one.score - half, one.score + half


def _test(best: _Scored, other: _Scored, chosen: Metric, tests: int) -> None:
    """Compares the best with another cell on the samples that both have; told for so many such tests."""
    if said := unlike(other.log.spec, best.log.spec):
        other.why = said
        return
    try:
        pairs = next((one for one in pairs_of(other.log, best.log, "earlier") if one.metric.name == chosen.name), None)
    except LogError:
        other.why = "they were scored in other ways"
        return
    if pairs is None or not len(pairs.first):
        other.why = "no sample was scored in both"
        return
    found = _paired(pairs, ALPHA / tests)
    other.tested, other.p = found, min(1.0, tests * found.p)
    other.verdict = verdict(found, other.p, chosen.better)


def _paired(pairs: Pairs, alpha: float) -> Paired:
    if pairs.metric.of_sums is None:
        return paired(pairs.first, pairs.second, pairs.groups or None, alpha)
    return paired_sums(pairs.first, pairs.second, pairs.metric.of_sums, pairs.groups or None, alpha)


def _against_base(best: _Scored, chosen: Metric, alpha: float) -> Paired | None:
    base = best.outcome.base
    if base is None or unlike(base.spec, best.log.spec):
        return None
    try:
        pairs = next((one for one in pairs_of(base, best.log) if one.metric.name == chosen.name), None)
    except LogError:
        return None
    return None if pairs is None or not len(pairs.first) else _paired(pairs, alpha)


def _with_test(place: Place, one: _Scored) -> Place:
    if one.tested is None:
        return replace(place, why=one.why)
    found = one.tested
    return replace(
        place, behind=found.delta, behind_low=found.low, behind_high=found.high, p=one.p, verdict=one.verdict
    )


def _words(found: Standing, places: Sequence[Place]) -> list[str]:
    best, unit = places[0], " points" if found.share else ""
    if found.looks == 1:
        return [f"Only {best.name} has a score, so there is nothing to choose from."]
    said: list[str] = []
    following = places[1]
    like = [one for one in places[1:] if one.verdict != "better"]
    if not like:
        margin = amount(abs(following.behind), found.share)
        ends = sorted((abs(following.behind_low), abs(following.behind_high)))
        between = (
            ""
            if math.isnan(ends[0])
            else f" (corrected 95 % interval {amount(ends[0], found.share)} to {amount(ends[1], found.share)})"
        )
        said.append(f"{best.name} is best: by {margin}{unit}{between} over the next, {following.name}.")
    else:
        named = [one.name for one in like[:_NAMED]]
        more = len(like) - len(named)
        others = ", ".join(named) + (f" and {more} more" if more else "")
        leads = "lowest" if found.better == "lower" else "highest"
        said.append(
            f"The best is not distinguishable from the next: {best.name} has the {leads} score and may be no better "
            f"than {others}."
        )
    if few := [one.name for one in like if one.verdict == "too few to tell"]:
        said.append(f"Too few answers differ, or were asked, to tell {best.name} from {len(few)} of them.")
    if odd := next((one for one in like if one.why), None):
        said.append(f"{odd.name} could not be tested against it: {odd.why}.")
    said.append(
        f"Its score of {amount(best.score, found.share)} is the best of {found.looks}, which is luck in part: "
        + _ends(found.best_low, found.best_high, found.share)
    )
    if not math.isnan(found.gain_low):
        mid, low, high = (amount(one, found.share, "+") for one in (found.gain, found.gain_low, found.gain_high))
        said.append(f"Against the base it stands at {mid}{unit}, corrected in the same way: {low} to {high}.")
    return said


def _ends(low: float, high: float, share: bool) -> str:
    if math.isnan(low):
        return "how much cannot be told, for its answers are all worth the same."
    return f"with 95 % confidence the true one is between {amount(low, share)} and {amount(high, share)}."


def _failed(rest: Sequence[Place]) -> list[str]:
    odd = [one for one in rest if one.status != "not begun"]
    named = "; ".join(f"{one.name} ({one.status}: {one.problem})" for one in odd[:_NAMED])
    more = len(odd) - _NAMED
    return [f"Without a score: {named}{f'; and {more} more' if more > 0 else ''}."] if odd else []
