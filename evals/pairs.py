"""Two logs of one task -> pairs of scores, metric by metric: what a row of the table is made of.

Refuses logs that can't be compared. Knows no statistics, models or files.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evals.errors import LogError
from evals.log import EvalLog, EvalSpec, Sample
from evals.metrics import SEMANTIC, Floats, Metric, metric
from evals.plan import BASE, TUNED
from evals.results import Role

ASKED = frozenset({"task", "task_hash", "kind", "n", "max_new_tokens", "few_shot"})
"""What must be equal when another model answers, behind an endpoint: only what was asked."""
_MAY_DIFFER: dict[Role, frozenset[str]] = {
    "noise": frozenset({"batch_tokens", "n", "task_hash"}),  # the same samples, or their first ones, in other batches
    "reference": frozenset(EvalSpec.model_fields) - ASKED,
}


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


def role_of(log: EvalLog) -> Role | None:
    """Why a side is compared at all, told by what answered; None for base and tuned, whose task says it."""
    if log.which in (BASE, TUNED):
        return None
    if log.model is not None:
        return "reference"
    if log.asked_with is not None:
        return "prompting"
    return "noise" if log.adapter is None else "earlier"


def pairs_among(sides: Mapping[str, EvalLog]) -> list[Pairs]:
    """All that is compared of one task: tuned with base by every metric, and others by the first metric.

    The base asked again is compared with the base. All others are compared with the tuned model, which stands in
    `side`; where there is none, a prompted base is compared with the base, and the base with each of the rest.

    Args:
        sides: the task's logs by side. Without a base there is nothing to compare.

    Raises:
        LogError: two logs are unlike.
    """
    base, tuned = sides.get(BASE), sides.get(TUNED)
    if base is None:
        return []
    found = [] if tuned is None else pairs_of(base, tuned)
    for other in sides.values():
        role = role_of(other)
        if role is None:
            continue
        if role == "noise" or (role == "prompting" and tuned is None):
            found += pairs_of(base, other, role)[:1]
        else:
            found += pairs_of(other, tuned or base, role)[:1]
    return found


def pairs_of(first: EvalLog, second: EvalLog, role: Role | None = None) -> list[Pairs]:
    """Pair the scores of two logs of one task, by each metric that both have; the task's first metric comes first.

    Args:
        first: of the side `against`.
        second: of the side `side`.
        role: why they are compared; None takes the task's role.

    Raises:
        LogError: the logs are unlike, or were not scored alike.
    """
    role = role or second.role
    check_alike(first.spec, second.spec, _MAY_DIFFER.get(role, frozenset()))
    if role != "prompting" and first.asked_with != second.asked_with:
        raise LogError(
            f"task {first.spec.task}: the logs can't be compared: before the questions of one stand other examples "
            "than before the other's; evaluate both again with the same"
        )
    answers = {sample.id: sample for sample in second.samples}
    questions = {sample.id: sample for sample in first.samples}
    ids = list(dict.fromkeys([*questions, *answers]))
    if role == "noise":
        ids = [one for one in ids if one in questions and one in answers]
        if odd := next((one for one in ids if _question(questions[one]) != _question(answers[one])), None):
            raise LogError(f"task {first.spec.task}: the logs can't be compared: sample {odd} asks something else")
    names = metric_names(first, second)
    _check_metrics(first, second, names)
    found: list[Pairs] = []
    for name in names:
        chosen = metric(name)
        values = [(_value(questions.get(one), chosen), _value(answers.get(one), chosen)) for one in ids]
        scored = [place for place, both in enumerate(values) if None not in both]
        kept = [questions[ids[place]] for place in scored]
        found.append(
            Pairs(
                task=first.spec.task,
                metric=chosen,
                first=_array([values[place][0] for place in scored], chosen),
                second=_array([values[place][1] for place in scored], chosen),
                groups=tuple(one.group for one in kept) if any(one.group is not None for one in kept) else (),
                overlap=tuple(one.overlap for one in kept) if role in ("gain", "forgetting") else (),
                unscored=len(ids) - len(scored),
                role=role,
                side=second.which,
                against=first.which,
            )
        )
    return found


def metric_names(*logs: EvalLog) -> list[str]:
    """The metrics that each log has in some sample: the task's, then others of samples, then others of the set."""
    samples = [sample for log in logs for sample in log.samples]
    order = dict.fromkeys(name for log in logs for name in log.metrics)
    order |= dict.fromkeys(name for sample in samples for name in sample.scores)
    order |= dict.fromkeys(name for sample in samples for name in sample.stats)
    return [name for name in order if all(_has(log, name) for log in logs)]


def _has(log: EvalLog, name: str) -> bool:
    of_set = metric(name).of_sums is not None
    return any(name in (sample.stats if of_set else sample.scores) for sample in log.samples)


def check_alike(first: EvalSpec, second: EvalSpec, may_differ: frozenset[str] = frozenset()) -> None:
    """Raise LogError naming the first field, of those that may not, in which two specs differ."""
    one, other = first.model_dump(), second.model_dump()
    for field in one:
        a, b = one[field], other[field]
        if a == b or field in may_differ:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            key = next(key for key in sorted({*a, *b}) if a.get(key) != b.get(key))
            field, a, b = f"{field}.{key}", a.get(key), b.get(key)
        raise LogError(
            f"task {first.task}: the logs can't be compared: {field} is {a!r} in one and {b!r} in the other; "
            "evaluate both again with the same settings"
        )


def score(sample: Sample | None, name: str) -> float:
    """A sample's score by a metric; NaN when it has none."""
    return math.nan if sample is None else sample.scores.get(name, math.nan)


def _check_metrics(first: EvalLog, second: EvalLog, names: Sequence[str]) -> None:
    """Raise LogError if likenesses are by two embedding models, or if there are scores and no metric in common."""
    refused = f"task {first.spec.task}: the logs can't be compared: "
    if SEMANTIC in names and first.embedding != second.embedding:
        raise LogError(
            f"{refused}{SEMANTIC} is by the embedding model {first.embedding} in one and by {second.embedding} in the "
            "other; evaluate both again with the same"
        )
    one, other = metric_names(first), metric_names(second)
    if one and other and not names:
        raise LogError(
            f"{refused}one is scored by {', '.join(one)} and the other by {', '.join(other)}; score both by the same"
        )


def _value(sample: Sample | None, chosen: Metric) -> float | tuple[float, ...] | None:
    """What a pair is made of: a score, or the sums of a metric of the set; None when it is missing."""
    if sample is None:
        return None
    if chosen.of_sums is None:
        found = score(sample, chosen.name)
        return None if math.isnan(found) else found
    sums = sample.stats.get(chosen.name)
    return None if sums is None or any(map(math.isnan, sums)) else sums


def _array(values: Sequence[object], chosen: Metric) -> Floats:
    return np.zeros((0, 1)) if chosen.of_sums is not None and not values else np.asarray(values, dtype=float)


def _question(sample: Sample) -> tuple[object, ...]:
    return sample.prompt, sample.expected, sample.choices
