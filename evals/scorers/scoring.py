"""Which metrics suit a task, and what its answers are worth by them: a log goes in, the log with scores comes out.

Works on answers that are there: no model is asked again. Knows nothing of who answered. Libraries that take a while to
import wait until a metric needs them.
"""

import math
import re
from collections.abc import Callable, Sequence
from statistics import median
from typing import Protocol

from evals.log import EvalLog, Sample
from evals.metrics import METRICS, SEMANTIC, Metric, check_chosen
from evals.scorers import exact, manner, overlap
from evals.scorers.letters import mostly_unspaced
from evals.scorers.refusal import refusal
from evals.tasks import Task, TaskSample

_COUNTED = frozenset({"bleu", "chrf"})
_MEASURED = frozenset({"reference_logprob", "perplexity"})
"""Metrics that a model is asked for with its answers: they are there, or can't be had from answers."""
FEW_WORDS = 3
"""Expected answers of at most so many words, as a median, are facts; longer ones are texts."""
DESCRIBING = tuple(one for one in METRICS.values() if one.describes)


class Embeds(Protocol):
    """What `evals.scorers.embedding.Embedder` does."""

    identity: str
    """Tells its likenesses from those of other models."""

    def similarities(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """How alike in meaning the two texts of each pair are, from 0 to 1."""
        ...


def metrics_for(task: Task, chosen: Sequence[str] = (), *, embedding: bool = False) -> list[Metric]:
    """Return a task's metrics in the order of its table; the first is the one that counts.

    LightEval's tasks have metrics of their own, to which those that describe are added. Of our own, where the person
    chose none, choice tasks have their accuracy, checks their checks. Written answers have exact_match first. Beside it
    stand, when the accepted answers

    - are JSON objects or lists: json_valid, token_f1;
    - have a median of at most 3 words: contains;
    - are longer: token_f1, and rouge_l, or chrf where most letters are of scripts without spaces between words.

    A check by JSON schema has json_valid as well where a regular expression is checked with it: without one it says the
    same. Semantic similarity is added when an embedding model is named. The metrics that describe (length, refusal,
    repetition, cut_off) always follow. Of chosen metrics those are left out that a task can't have.

    Args:
        task: its kind and what is expected decide.
        chosen: names of metrics; none for those above.
        embedding: whether there is an embedding model.

    Raises:
        TaskError: a chosen metric that there is not, or that needs an embedding model.
    """
    check_chosen(chosen, embedding=embedding)
    if task.kind == "choice":
        return [METRICS["accuracy"]]
    if task.benchmark is not None:
        return list(DESCRIBING)
    possible = _possible(task, embedding)
    wanted = [name for name in chosen if name in possible] or _suited(task)
    if SEMANTIC in possible:
        wanted.append(SEMANTIC)
    names = dict.fromkeys([*wanted, *(one.name for one in DESCRIBING)])
    return [METRICS[name] for name in names]


def score_log(log: EvalLog, task: Task | None, chosen: Sequence[str] = (), embedder: Embeds | None = None) -> EvalLog:
    """Return the log with the scores of its answers by the task's metrics.

    What is computed here is computed anew, so that one way of scoring holds for all answers, and what is no metric of
    the task any more goes. Scores that came with the answers stay, behind the task's: those that the model was asked
    for, LightEval's own, and likenesses by the same embedding model. So scoring twice is scoring once. A sample without
    an answer has no scores, and one that a metric can't score has NaN there and a reason. A sample that has no sums for
    a metric of the set is missing there.

    Args:
        log: answers to the task, in its order.
        task: what was asked; None for a task with metrics of its own, which gets those that describe.
        chosen: names of metrics; none for those that suit the task.
        embedder: for semantic similarity.

    Raises:
        TaskError: a chosen metric that there is not, or that needs an embedding model.
    """
    if log.spec.kind == "choice":
        return log
    metrics = list(DESCRIBING) if task is None else metrics_for(task, chosen, embedding=embedder is not None)
    named = () if task is None else tuple(one.name for one in metrics if one.name in chosen or not one.describes)
    log = _unscored(log, _COMPUTED if task is not None else frozenset(one.name for one in DESCRIBING), named)
    asked = [_UNKNOWN if task is None else task.samples[int(one.id)] for one in log.samples]
    counters = {one.name: _counter(one.name, asked) for one in metrics if one.name in _COUNTED}
    alike: dict[str, float] = {}
    if embedder is not None and any(one.name == SEMANTIC for one in metrics):
        log = _by(log, embedder)
        alike = _alike(log.samples, asked, embedder)
    pairs = zip(log.samples, asked, strict=True)
    samples = tuple(_scored(sample, known, metrics, counters, alike) for sample, known in pairs)
    return log.model_copy(update={"samples": samples})


def unanswered(sample: Sample) -> bool:
    """Return whether there is no answer: a reason why nothing of the sample could be scored."""
    return sample.unscored is not None and all(math.isnan(score) for score in sample.scores.values())


Scorer = Callable[[Sample, TaskSample], float]
Counter = Callable[[str, Sequence[str]], tuple[float, ...]]
_UNKNOWN = TaskSample(messages=())


def _scored(
    sample: Sample,
    asked: TaskSample,
    metrics: Sequence[Metric],
    counters: dict[str, Counter],
    alike: dict[str, float],
) -> Sample:
    """The sample with scores in the order of the table: the task's, others that were there, those that describe."""
    wanted = [one for one in metrics if one.name in _SCORERS or one.name in sample.scores or one.name == SEMANTIC]
    order = [one.name for one in wanted if not one.describes]
    order += [name for name in sample.scores if name not in METRICS or not METRICS[name].describes]
    order += [one.name for one in wanted if one.describes]
    scores = {name: sample.scores.get(name, math.nan) for name in dict.fromkeys(order)}
    if unanswered(sample):
        return sample.model_copy(update={"scores": scores})
    reasons = [sample.unscored] if sample.unscored else []
    for name in scores:
        if name not in sample.scores:
            scores[name], reason = _score(name, sample, asked, alike)
            reasons += [f"{name}: {reason}"] if reason else []
    counted = {
        name: count(sample.output, asked.answers) for name, count in counters.items() if name not in sample.stats
    }
    update = {"scores": scores, "stats": sample.stats | counted, "unscored": "; ".join(reasons) or None}
    return sample.model_copy(update=update)


def _unscored(log: EvalLog, computed: frozenset[str], named: tuple[str, ...]) -> EvalLog:
    """The log with the names of its metrics, without scores that are computed here and the reasons why some miss."""

    def bare(sample: Sample) -> Sample:
        kept = {name: score for name, score in sample.scores.items() if name not in computed}
        if math.isnan(kept.get(SEMANTIC, 0)):
            del kept[SEMANTIC]
        sums = {name: parts for name, parts in sample.stats.items() if name not in computed}
        why = sample.unscored if unanswered(sample) else _REASONS.sub("", sample.unscored or "") or None
        return sample.model_copy(update={"scores": kept, "stats": sums, "unscored": why})

    return log.model_copy(update={"metrics": named, "samples": tuple(map(bare, log.samples))})


def _best(of_one: Callable[[str, str], float]) -> Scorer:
    """The best over the accepted answers."""

    def score(sample: Sample, asked: TaskSample) -> float:
        scores = [of_one(sample.output, accepted) for accepted in asked.answers]
        return max((one for one in scores if not math.isnan(one)), default=math.nan)

    return score


def _checks(sample: Sample, asked: TaskSample) -> float:
    from evals.scorers.checks import passes

    if asked.checks is None:
        return math.nan
    return float(passes(sample.output, regex=asked.checks.regex, json_schema=asked.checks.json_schema))


def _json_valid(sample: Sample, asked: TaskSample) -> float:
    from evals.scorers.checks import json_like, valid_json

    if asked.checks is not None and asked.checks.json_schema is not None:
        return float(valid_json(asked.checks.json_schema, sample.output))
    return float(json_like(sample.output, asked.answers))


_SCORERS: dict[str, Scorer] = {
    "exact_match": lambda sample, asked: exact.exact_match(sample.output, asked.answers),
    "contains": lambda sample, asked: exact.contains(sample.output, asked.answers),
    "token_f1": _best(overlap.word_f1),
    "rouge_l": _best(overlap.rouge_l),
    "word_similarity": _best(overlap.word_similarity),
    "json_valid": _json_valid,
    "checks": _checks,
    "length": lambda sample, asked: manner.length(sample.output),
    "refusal": lambda sample, asked: refusal(sample.output, asked.answers),
    "repetition": lambda sample, asked: manner.repetition(sample.output, asked.answers),
    "cut_off": lambda sample, asked: manner.cut_off(sample.finish),
}
_COMPUTED = _COUNTED | frozenset(_SCORERS)
_REASONS = re.compile(rf"(^|; )({'|'.join([*_SCORERS, SEMANTIC])}): .*$", re.DOTALL)
"""Why scores that are computed here miss: told behind all other reasons."""
_WHY_NOT = {"cut_off": "how the answer ended isn't known", "checks": "the sample has no checks"}


def _score(name: str, sample: Sample, asked: TaskSample, alike: dict[str, float]) -> tuple[float, str | None]:
    """A score, or NaN and why it can't be had."""
    try:
        score = alike[sample.id] if name == SEMANTIC else _SCORERS[name](sample, asked)
    except ValueError as error:
        return math.nan, str(error)
    return score, _WHY_NOT.get(name, "no word is expected") if math.isnan(score) else None


def _by(log: EvalLog, embedder: Embeds) -> EvalLog:
    """The log without likenesses of another embedding model."""
    if log.embedding == embedder.identity:
        return log
    samples = [
        sample.model_copy(update={"scores": {name: one for name, one in sample.scores.items() if name != SEMANTIC}})
        for sample in log.samples
    ]
    return log.model_copy(update={"samples": tuple(samples), "embedding": embedder.identity})


def _counter(name: str, asked: Sequence[TaskSample]) -> Counter:
    from evals.scorers import corpus

    if name == "chrf":
        return corpus.chrf_sums()
    return corpus.bleu_sums(corpus.tokenizer_for([text for one in asked for text in one.answers]))


def _alike(samples: Sequence[Sample], asked: Sequence[TaskSample], embedder: Embeds) -> dict[str, float]:
    """The likeness of each answer to the accepted one it is most like, by sample id."""
    wanted = [
        (sample.id, sample.output, text)
        for sample, known in zip(samples, asked, strict=True)
        if SEMANTIC not in sample.scores and not unanswered(sample)
        for text in known.answers
    ]
    best: dict[str, float] = {}
    for (place, _, _), score in zip(
        wanted, embedder.similarities([(given, text) for _, given, text in wanted]), strict=True
    ):
        best[place] = max(score, best.get(place, 0.0))
    return best


def _possible(task: Task, embedding: bool) -> set[str]:
    """Names of the metrics that the task's answers can be scored by."""
    always = {one.name for one in DESCRIBING}
    if task.kind == "checks":
        return always | {"checks"} | ({"json_valid"} if _checked_by(task, "json_schema") else set())
    possible = always | {name for name in METRICS if name in _SCORERS} | _COUNTED | _MEASURED
    return (possible - {"checks"}) | ({SEMANTIC} if embedding else set())


def _suited(task: Task) -> list[str]:
    if task.kind == "checks":
        both = _checked_by(task, "json_schema") and _checked_by(task, "regex")
        return ["checks", "json_valid"] if both else ["checks"]
    from evals.scorers.checks import is_structured

    references = [sample.answers[0] for sample in task.samples]
    if all(map(is_structured, references)):
        return ["exact_match", "json_valid", "token_f1"]
    if median(len(overlap.words(text)) for text in references) <= FEW_WORDS:
        return ["exact_match", "contains"]
    return ["exact_match", "token_f1", "chrf" if mostly_unspaced("".join(references)) else "rouge_l"]


def _checked_by(task: Task, what: str) -> bool:
    return any(one.checks is not None and getattr(one.checks, what) is not None for one in task.samples)
