"""Would more data help? Runs on growing shares of the training rows -> scores, and what the last step up gained.

A pure function of what the runs left: knows evaluation logs and statistics, no processes and no files.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from evals.compare import check_alike, compare
from evals.errors import LogError
from evals.log import EvalLog
from evals.results import Row, Verdict
from evals.stats import mean_stderr, wilson
from evals.wording import headlines
from ftspace.errors import ConfigError

NORMAL = 1.96
"""Standard errors on either side of a mean in its 95 % interval."""


@dataclass(frozen=True)
class Point:
    """One run of the curve, or one that did not come about."""

    fraction: float
    status: str
    """What became of the run; `not run` when there is none."""
    run_id: str | None = None
    rows: int | None = None
    """Training rows."""
    tuned: Mapping[str, EvalLog] = field(default_factory=dict[str, EvalLog])
    """The tuned model's answers, by task; empty unless the run finished."""
    problem: str = ""
    """Why it did not finish."""
    fault: bool = False
    """Whether the program is to blame for it and not the user's choices."""


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Trained(_Plain):
    """A run of the curve."""

    fraction: float
    rows: int | None
    run_id: str | None
    status: str
    problem: str


class Score(_Plain):
    """A tuned model's score on one metric of a task, with its 95 % interval."""

    task: str
    metric: str
    fraction: float
    score: float
    low: float
    high: float
    n: int
    unscored: int


class Gain(_Plain):
    """What the larger of two shares gained over the smaller one, on the same samples."""

    task: str
    metric: str
    smaller: float
    larger: float
    delta: float
    low: float
    high: float
    n: int
    verdict: Verdict
    detectable: float
    """The smallest true difference that would probably have been shown."""


class Curve(_Plain):
    """A learning curve: what `curve --json` prints."""

    runs: tuple[Trained, ...]
    scores: tuple[Score, ...]
    gains: tuple[Gain, ...]
    verdict: str
    """Whether more data would help, in a sentence."""


def parse_fractions(text: str) -> list[float]:
    """The shares named between commas, smallest first. Raises ConfigError."""
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        found = []
    if len(found) < 2 or not all(0 < one <= 1 for one in found):
        raise ConfigError(
            f"--fractions {text}: give two or more different shares above 0 and up to 1, such as 0.25,0.5,1"
        )
    return found


def learning_curve(points: Sequence[Point]) -> Curve:
    """Scores of all runs that finished, and a paired comparison of the two with the largest shares."""
    ordered = sorted(points, key=lambda point: point.fraction)
    done = [point for point in ordered if point.tuned]
    gains: list[Gain] = []
    words: list[str] = []
    if len(done) < 2:
        words.append(f"too few to tell: {len(done)} of {len(ordered)} runs finished with answers to compare")
    else:
        gains, words = _last_step(done[-2], done[-1])
    return Curve(
        runs=tuple(
            Trained(fraction=p.fraction, rows=p.rows, run_id=p.run_id, status=p.status, problem=p.problem)
            for p in ordered
        ),
        scores=tuple(score for point in done for log in point.tuned.values() for score in _scores(point.fraction, log)),
        gains=tuple(gains),
        verdict="; ".join(words),
    )


def _last_step(smaller: Point, larger: Point) -> tuple[list[Gain], list[str]]:
    """What each task gained by its first metric from one share to the next, and all that is to be said of it."""
    step = f"going from {percent(smaller.fraction)} to {percent(larger.fraction)}"
    if smaller.rows is not None and smaller.rows == larger.rows:
        return [], [f"{step} cannot be judged: both runs learned from the same {larger.rows} rows"]
    alike: list[str] = []
    words: list[str] = []
    for task in dict.fromkeys([*smaller.tuned, *larger.tuned]):
        problem = _unlike(smaller.tuned.get(task), larger.tuned.get(task))
        if problem:
            words.append(f"{task} cannot be compared: {problem}")
        else:
            alike.append(task)
    if not alike:
        return [], words
    first, second = [smaller.tuned[task] for task in alike], [larger.tuned[task] for task in alike]
    gains = [_gain(row, smaller, larger) for row in headlines(compare(first, second).rows, "earlier")]
    return gains, [_in_words(gain, step) for gain in gains] + words


def _unlike(first: EvalLog | None, second: EvalLog | None) -> str | None:
    """Why two logs cannot be compared; None when they can."""
    if first is None or second is None:
        return "only one of the two runs was asked it"
    if first.spec.task_hash != second.spec.task_hash:
        return "the two runs were asked different samples"
    try:
        check_alike(first.spec, second.spec)
    except LogError as error:
        return str(error).rpartition("compared: ")[2]
    return None


def _gain(row: Row, smaller: Point, larger: Point) -> Gain:
    return Gain(
        task=row.task,
        metric=row.metric,
        smaller=smaller.fraction,
        larger=larger.fraction,
        delta=row.delta,
        low=row.ci_low,
        high=row.ci_high,
        n=row.n,
        verdict=row.verdict,
        detectable=row.detectable,
    )


def _in_words(gain: Gain, step: str) -> str:
    interval = "no interval" if math.isnan(gain.low) else f"[{100 * gain.low:.1f}, {100 * gain.high:.1f}]"
    numbers = f"{100 * gain.delta:+.1f} points {interval}"
    match gain.verdict:
        case "better":
            return f"more data would probably help: {step} gained {numbers} on {gain.task}"
        case "worse":
            return f"more data of this kind did harm: {step} changed {gain.task} by {numbers}"
        case "too few to tell":
            return f"too few to tell on {gain.task} (n = {gain.n})"
        case _:
            missed = "" if math.isnan(gain.detectable) else f"; could miss less than {100 * gain.detectable:.1f} points"
            return f"no gain shown on {gain.task} {step} ({numbers}{missed})"


def _scores(fraction: float, log: EvalLog) -> Iterator[Score]:
    for metric in dict.fromkeys(name for sample in log.samples for name in sample.scores):
        found = list(_scored(log, metric).values())
        mean, stderr = mean_stderr(found)
        low, high = mean - NORMAL * stderr, mean + NORMAL * stderr
        if found and set(found) <= {0.0, 1.0}:
            low, high = wilson(int(sum(found)), len(found))
        yield Score(
            task=log.spec.task,
            metric=metric,
            fraction=fraction,
            score=mean,
            low=low,
            high=high,
            n=len(found),
            unscored=len(log.samples) - len(found),
        )


def _scored(log: EvalLog, metric: str) -> dict[str, float]:
    """The scores that are there, by sample."""
    found = {sample.id: sample.scores.get(metric, math.nan) for sample in log.samples}
    return {name: score for name, score in found.items() if not math.isnan(score)}


def percent(fraction: float) -> str:
    """A share as people write it."""
    return f"{100 * fraction:g} %"


def to_rich(curve: Curve) -> RenderableType:
    """The curve for a terminal."""
    table = Table(title="The tuned model's points of 100, with 95 % intervals")
    for heading in ("share", "training rows", "run", "task", "score", "95 % interval", "n", "unscored"):
        table.add_column(heading, justify="left" if heading in ("run", "task") else "right", no_wrap=True)
    for run in curve.runs:
        lead = (percent(run.fraction), str(run.rows or "–"), run.run_id or "–")
        mine = [score for score in curve.scores if score.fraction == run.fraction]
        if not mine:
            table.add_row(*lead, Text(run.status, style="yellow"))
        for place, one in enumerate(mine):
            task = Text(f"{one.task}, {one.metric}")
            interval = f"{100 * one.low:.1f} to {100 * one.high:.1f}"
            numbers = (f"{100 * one.score:.1f}", interval, str(one.n), str(one.unscored))
            table.add_row(*(("", "", "") if place else lead), task, *numbers)
    return Group(table, Text.assemble(("Verdict: ", "bold"), curve.verdict))
