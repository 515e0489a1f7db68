"""Which of LightEval's metrics can be computed here, and how: a missing score is NaN with a reason, never 0.

A metric of the whole set becomes sums a sample (`Sample.stats`), so that it can be compared with an interval.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evals.lighteval.library import (
    Doc,
    ExactMatches,
    LightevalTaskConfig,
    LoglikelihoodAcc,
    Metric,
    MetricGrouping,
    ModelResponse,
    SampleLevelComputation,
    SampleLevelMetric,
    SamplingMethod,
    TargetPerplexityPreparator,
    metrics_sample,
)
from evals.metrics import METRICS
from evals.scorers.checks import passes
from evals.scorers.exact import normalize
from evals.tasks import Task

NAMES = {"generation": "exact_match", "choice": "accuracy", "checks": "checks"}
"""The metric of each kind of our own tasks."""
_OF_THEIR_OWN = ("BertScore", "BLEURT", "Faithfulness", "Extractiveness", "JudgeLLM")
"""Metrics that load another model, or ask one."""
_BROKEN = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError, ImportError)
"""What a metric raises when it can't cope with an answer, or lacks something."""


class Scores:
    """What the metrics of one run leave beside their numbers."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        """Document id -> why there are no scores."""
        self.stats: dict[str, dict[str, tuple[float, ...]]] = {}
        """Document id -> metric of the set -> what is summed."""


def unusable(metric: Metric) -> str | None:
    """Return why a metric can't be computed here, or None if it can."""
    scorer: Any = metric.sample_level_fn
    kinds = {kind.__name__ for kind in type(scorer).__mro__}
    if metric.category == SamplingMethod.PERPLEXITY:
        return "the likelihood of whole texts is not measured here"
    if metric.batched_compute or kinds & set(_OF_THEIR_OWN):
        return "another model gives it"
    if isinstance(scorer, metrics_sample.SamplingMetric) and scorer.num_samples() != 1:  # pyright: ignore[reportAttributeAccessIssue]
        return "it wants several answers to each question, and one is written here, greedily"
    if getattr(getattr(scorer, "logprob_normalization", None), "name", None) == "norm_pmi":
        return "it wants the choices' likelihoods without the question"
    if isinstance(scorer, TargetPerplexityPreparator):
        return None
    if not isinstance(scorer, SampleLevelComputation) or getattr(scorer, "bootstrap", False):
        return "it is of the whole set, not of samples"
    return None


def usable(config: LightevalTaskConfig) -> list[Metric]:
    """Return the metrics of a LightEval task that can be computed here."""
    return [metric for metric in config.metrics if unusable(metric) is None]  # pyright: ignore[reportArgumentType]


def names_of(metric: Metric) -> list[str]:
    """Return the names under which a metric gives scores."""
    return list(metric.metric_name) if isinstance(metric, MetricGrouping) else [metric.metric_name]


def own_metric(task: Task, scores: Scores) -> Metric:
    """Return the metric of one of our own tasks."""
    computations: dict[str, Callable[[], SampleLevelComputation]] = {
        "generation": lambda: ExactMatches(normalize_gold=normalize, normalize_pred=normalize, strip_strings=True),
        "choice": LoglikelihoodAcc,
        "checks": lambda: _Checks(task),
    }
    metric = SampleLevelMetric(
        metric_name=NAMES[task.kind],
        higher_is_better=True,
        category=SamplingMethod.LOGPROBS if task.kind == "choice" else SamplingMethod.GENERATIVE,
        sample_level_fn=computations[task.kind](),
        corpus_level_fn=np.mean,
    )
    return scored(metric, scores)


def scored(metric: Metric, scores: Scores) -> Metric:
    """Return a metric that gives NaN and a reason where there is nothing to score, and keeps sums of the whole set."""
    names = names_of(metric)

    def corpus(name: str) -> Callable[[Sequence[float]], float]:
        def of_set(values: Sequence[float]) -> float:
            of_sums = METRICS[name].of_sums if name in METRICS else None
            sums = [kept[name] for kept in scores.stats.values() if name in kept]
            return mean_of_scored(values) if of_sums is None or not sums else float(of_sums(np.sum(sums, axis=0)))

        return of_set

    grouped = isinstance(metric, MetricGrouping)
    kind: Any = MetricGrouping if grouped else SampleLevelMetric
    return kind(
        metric_name=metric.metric_name,
        higher_is_better=metric.higher_is_better,
        category=metric.category,
        sample_level_fn=_Scored(metric, names, scores),
        corpus_level_fn={name: corpus(name) for name in names} if grouped else corpus(names[0]),
    )


class _Scored(SampleLevelComputation):
    """A metric of LightEval's as this room computes it."""

    def __init__(self, metric: Metric, names: list[str], scores: Scores) -> None:
        self.metric = metric
        self.names = names
        self.scores = scores

    def compute(self, doc: Doc, model_response: ModelResponse, **kwargs: Any) -> Any:
        values = self._values(doc, model_response)
        return values if isinstance(self.metric, MetricGrouping) else values[self.names[0]]

    def _values(self, doc: Doc, response: ModelResponse) -> dict[str, float]:
        if doc.id not in self.scores.problems:
            try:
                found = self.metric.compute_sample(doc=doc, model_response=response)
                return {name: self._number(doc.id, name, found[name]) for name in self.names}
            except _BROKEN as error:
                reason = str(error) or type(error).__name__
                self.scores.problems[doc.id] = reason if type(error) is ValueError else f"its metric failed: {reason}"
        return dict.fromkeys(self.names, math.nan)

    def _number(self, document: str, name: str, value: Any) -> float:
        if isinstance(self.metric.sample_level_fn, TargetPerplexityPreparator):
            sums = (-float(value.logprobs), 1.0)
        elif isinstance(value, list):
            sums = (float(sum(value)), float(len(value)))  # pyright: ignore[reportUnknownArgumentType]
        else:
            return float(value)
        self.scores.stats.setdefault(document, {})[name] = sums
        return sums[0] / sums[1]

    def __str__(self) -> str:
        return str(self.metric.sample_level_fn)


class _Checks(SampleLevelComputation):
    """Whether an answer passes its sample's checks."""

    def __init__(self, task: Task) -> None:
        self.samples = task.samples

    def compute(self, doc: Doc, model_response: ModelResponse, **kwargs: Any) -> float:
        checks = self.samples[int(doc.id)].checks
        if checks is None:
            raise ValueError("the sample has no checks")
        answer = model_response.final_text[0]
        return float(passes(answer, regex=checks.regex, json_schema=checks.json_schema))

    def __str__(self) -> str:
        return "Checks"


def mean_of_scored(scores: Sequence[float]) -> float:
    """Return the mean of the scores that are not NaN; NaN if there are none."""
    values = np.asarray(scores, dtype=float)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else math.nan
