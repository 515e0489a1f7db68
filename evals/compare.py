"""Two sets of logs of the same tasks -> rows, and a verdict in words. Refuses logs that can't be compared.

Knows logs and statistics; knows nothing of models or files.
"""

import hashlib
import math
from collections.abc import Sequence

from evals.errors import LogError
from evals.log import EvalLog, EvalSpec, Results, Row, Sample, SideBySide
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
    pairs = [(log, tuned_by_task[log.spec.task]) for log in base_logs]
    measured: list[tuple[str, str, Paired, Sequence[float], Sequence[float], int]] = []
    for base, tuned in pairs:
        check_alike(base.spec, tuned.spec)
        for metric in _metrics(base, tuned):
            first, second, unscored = _scored_pairs(base, tuned, metric)
            measured.append((base.spec.task, metric, paired(first, second), first, second, unscored))
    adjusted = holm([comparison.p for _, _, comparison, *_ in measured])
    rows: list[Row] = []
    for (task, metric, comparison, first, second, unscored), p in zip(measured, adjusted, strict=True):
        base_mean, base_stderr = mean_stderr(first)
        tuned_mean, tuned_stderr = mean_stderr(second)
        rows.append(
            Row(
                task=task,
                metric=metric,
                base=base_mean,
                base_stderr=base_stderr,
                tuned=tuned_mean,
                tuned_stderr=tuned_stderr,
                delta=comparison.delta,
                ci_low=comparison.low,
                ci_high=comparison.high,
                n=comparison.n,
                unscored=unscored,
                verdict=verdict(comparison, p),
            )
        )
    several = len(rows) > len(pairs)
    comparisons = [comparison for _, _, comparison, *_ in measured]
    words = [in_words(row, one.detectable, several) for row, one in zip(rows, comparisons, strict=True)]
    return Results(rows=tuple(rows), verdict="; ".join(words), samples=side_by_side(pairs))


def alone(logs: Sequence[EvalLog]) -> Results:
    """Summarize one model's logs when there is nothing to compare them with: no rows, only words."""
    words: list[str] = []
    for log in logs:
        for metric in _metrics(log, log):
            scores, _, unscored = _scored_pairs(log, log, metric)
            mean, stderr = mean_stderr(scores)
            left_out = f", {unscored} unscored" if unscored else ""
            words.append(
                f"{metric} {100 * mean:.1f} ± {100 * stderr:.1f} on {log.spec.task} (n = {len(scores)}{left_out})"
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


def in_words(row: Row, detectable: float, name_metric: bool) -> str:
    """Return a row as a phrase, in points of a hundred.

    Args:
        row: the row.
        detectable: the smallest difference that would probably have been seen, as a fraction.
        name_metric: say the metric too, for a task that has several.
    """
    where = f"{row.verdict} on {row.task}" + (f" by {row.metric}" if name_metric else "")
    if row.verdict == "too few to tell":
        return f"{where} (n = {row.n})"
    level = f"{100 * (1 - ALPHA):.0f}%"
    numbers = f"{100 * row.delta:+.1f} points, {level} CI {100 * row.ci_low:.1f} to {100 * row.ci_high:.1f}"
    if row.verdict == "no difference shown" and not math.isnan(detectable):
        numbers += f"; could miss less than {100 * detectable:.1f} points"
    return f"{where} ({numbers})"


def side_by_side(pairs: Sequence[tuple[EvalLog, EvalLog]], count: int = SHOWN) -> tuple[SideBySide, ...]:
    """Return a few samples with both answers, taken from the tasks in turn.

    Which ones depends on a hash of the task and the sample's id, never on the outcome. Tasks with written answers come
    before multiple choice.
    """
    written = [pair for pair in pairs if pair[0].spec.kind != "choice"] or list(pairs)
    queues: list[list[SideBySide]] = []
    for base, tuned in written:
        metric = next(iter(_metrics(base, tuned)), "")
        answers = {sample.id: sample for sample in tuned.samples}
        both = sorted((s for s in base.samples if s.id in answers), key=lambda s: _shuffled(base.spec, s))
        queues.append([_beside(base.spec.task, metric, one, answers[one.id]) for one in both[:count]])
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
