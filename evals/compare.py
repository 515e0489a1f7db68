"""Two sets of logs of the same tasks -> rows, and a verdict in words. Refuses logs that can't be compared.

Knows logs and statistics; knows nothing of models or files.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals.errors import LogError
from evals.log import EvalLog, EvalSpec, Results, Role, Row, Sample, SideBySide
from evals.metrics import Floats, Metric, metric
from evals.stats import ALPHA, Paired, holm, mean_stderr, paired, verdict

SHOWN = 5


def compare(base_logs: Sequence[EvalLog], tuned_logs: Sequence[EvalLog]) -> Results:
    """Compare two models on the tasks both were asked.

    Pairs in which either has no score are left out and counted. p values are adjusted by Holm over all rows, so that
    the whole table has at most a 5 % chance of showing a difference that isn't there.

    Args:
        base_logs: one log a task.
        tuned_logs: of the same tasks, in any order.

    Raises:
        LogError: a task is missing in one set, or two logs differ in something that the scores depend on.
    """
    tuned_by_task = {log.spec.task: log for log in tuned_logs}
    base_tasks = [log.spec.task for log in base_logs]
    odd = sorted(set(base_tasks) ^ set(tuned_by_task))
    if odd or not base_tasks:
        raise LogError(f"task {odd[0]}: only one of the two models was asked it" if odd else "no logs to compare")
    logs = [(log, tuned_by_task[log.spec.task]) for log in base_logs]
    rows = tabulate([one for base, tuned in logs for one in pairs_of(base, tuned)])
    several = len(rows) > len(logs)
    words = [in_words(row, several) for row in rows]
    return Results(rows=rows, verdict="; ".join(words), samples=side_by_side(logs))


@dataclass(frozen=True)
class Pairs:
    """The scores of two sides on the same samples, by one metric: what a row of the table is made of.

    Those of samples in which either has no score are left out.
    """

    task: str
    metric: Metric
    first: Floats
    """Of the side `against`, shape (n,); for a metric of the set the sums, shape (n, k)."""
    second: Floats
    """Of the side `side`, in the same order."""
    groups: tuple[str | None, ...] = ()
    """The group of each pair; samples of one group are not independent. Empty: none has one."""
    overlap: tuple[bool, ...] = ()
    """Whether the training rows repeat the sample. Empty: none, or not known."""
    unscored: int = 0
    """Samples left out."""
    role: Role = "gain"
    side: str = "tuned"
    against: str = "base"


def pairs_of(base: EvalLog, tuned: EvalLog, role: Role | None = None) -> list[Pairs]:
    """Pair the scores of two logs of one task, metric by metric. Raises LogError when they are unlike."""
    check_alike(base.spec, tuned.spec)
    found: list[Pairs] = []
    for name in _metrics(base, tuned):
        first, second, unscored = _scored_pairs(base, tuned, name)
        found.append(
            Pairs(
                task=base.spec.task,
                metric=metric(name),
                first=np.asarray(first, dtype=float),
                second=np.asarray(second, dtype=float),
                unscored=unscored,
                role=role or tuned.role,
                side=tuned.which,
                against=base.which,
            )
        )
    return found


def tabulate(pairs: Sequence[Pairs]) -> tuple[Row, ...]:
    """Make a row of each, in order; p values are adjusted by Holm over all of them.

    The whole table has then at most a 5 % chance of showing a difference that isn't there.
    """
    compared = [paired(one.first, one.second) for one in pairs]
    adjusted = holm([one.p for one in compared])
    return tuple(_row(*found) for found in zip(pairs, compared, adjusted, strict=True))


def _row(one: Pairs, found: Paired, p: float) -> Row:
    base_mean, base_stderr = mean_stderr(one.first)
    tuned_mean, tuned_stderr = mean_stderr(one.second)
    return Row(
        task=one.task,
        metric=one.metric.name,
        role=one.role,
        side=one.side,
        against=one.against,
        better=one.metric.better,
        base=base_mean,
        base_stderr=base_stderr,
        tuned=tuned_mean,
        tuned_stderr=tuned_stderr,
        delta=found.delta,
        ci_low=found.low,
        ci_high=found.high,
        p=p,
        test=found.test,
        n=found.n,
        groups=found.groups,
        unscored=one.unscored,
        detectable=found.detectable,
        needed=found.needed,
        verdict=verdict(found, p),
    )


def alone(logs: Sequence[EvalLog]) -> Results:
    """Summarize one model's logs when there is nothing to compare them with: no rows, only words."""
    words: list[str] = []
    for log in logs:
        for name in _metrics(log, log):
            scores, _, unscored = _scored_pairs(log, log, name)
            mean, stderr = mean_stderr(scores)
            left_out = f", {unscored} unscored" if unscored else ""
            words.append(
                f"{name} {100 * mean:.1f} ± {100 * stderr:.1f} on {log.spec.task} (n = {len(scores)}{left_out})"
            )
    return Results(rows=(), verdict="nothing to compare with: " + "; ".join(words))


def check_alike(base: EvalSpec, tuned: EvalSpec) -> None:
    """Raise LogError naming the first field in which two specs differ."""
    first, second = base.model_dump(), tuned.model_dump()
    for field in first:
        a, b = first[field], second[field]
        if a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            key = next(key for key in sorted({*a, *b}) if a.get(key) != b.get(key))
            field, a, b = f"{field}.{key}", a.get(key), b.get(key)
        raise LogError(
            f"task {base.task}: the logs can't be compared: {field} is {a!r} in one and {b!r} in the other; "
            "evaluate both again with the same settings"
        )


def in_words(row: Row, name_metric: bool) -> str:
    """Return a row as a phrase, in points of a hundred; with `name_metric` it names the metric too."""
    where = f"{row.verdict} on {row.task}" + (f" by {row.metric}" if name_metric else "")
    if row.verdict == "too few to tell":
        return f"{where} (n = {row.n})"
    level = f"{100 * (1 - ALPHA):.0f}%"
    numbers = f"{100 * row.delta:+.1f} points, {level} CI {100 * row.ci_low:.1f} to {100 * row.ci_high:.1f}"
    if row.verdict == "no difference shown" and not math.isnan(row.detectable):
        numbers += f"; could miss less than {100 * row.detectable:.1f} points"
    return f"{where} ({numbers})"


def side_by_side(pairs: Sequence[tuple[EvalLog, EvalLog]], count: int = SHOWN) -> tuple[SideBySide, ...]:
    """Return a few samples with both answers, taken from the tasks in turn.

    Which ones depends on a hash of the task and the sample's id, never on the outcome. Tasks with written answers come
    before multiple choice.
    """
    written = [pair for pair in pairs if pair[0].spec.kind != "choice"] or list(pairs)
    queues: list[list[SideBySide]] = []
    for base, tuned in written:
        first = next(iter(_metrics(base, tuned)), "")
        answers = {sample.id: sample for sample in tuned.samples}
        both = sorted((s for s in base.samples if s.id in answers), key=lambda s: _shuffled(base.spec, s))
        queues.append([_beside(base.spec.task, first, one, answers[one.id]) for one in both[:count]])
    in_turn = [queue[place] for place in range(count) for queue in queues if place < len(queue)]
    return tuple(in_turn[:count])


def _metrics(base: EvalLog, tuned: EvalLog) -> list[str]:
    return list(dict.fromkeys(name for log in (base, tuned) for sample in log.samples for name in sample.scores))


def _scored_pairs(base: EvalLog, tuned: EvalLog, metric: str) -> tuple[list[float], list[float], int]:
    answers = {sample.id: sample for sample in tuned.samples}
    ids = dict.fromkeys([sample.id for sample in base.samples] + list(answers))
    questions = {sample.id: sample for sample in base.samples}
    first: list[float] = []
    second: list[float] = []
    for one in ids:
        a, b = _score(questions.get(one), metric), _score(answers.get(one), metric)
        if not math.isnan(a) and not math.isnan(b):
            first.append(a)
            second.append(b)
    return first, second, len(ids) - len(first)


def _score(sample: Sample | None, metric: str) -> float:
    return math.nan if sample is None else sample.scores.get(metric, math.nan)


def _shuffled(spec: EvalSpec, sample: Sample) -> str:
    return hashlib.sha256(f"{spec.task_hash}:{sample.id}".encode()).hexdigest()


def _beside(task: str, metric: str, base: Sample, tuned: Sample) -> SideBySide:
    return SideBySide(
        task=task,
        id=base.id,
        prompt=base.prompt,
        expected=" | ".join(base.expected),
        base=base.output,
        tuned=tuned.output,
        base_score=_score(base, metric),
        tuned_score=_score(tuned, metric),
    )
