"""Runs a task through LightEval: its documents, pipeline, metrics and result files, over our executor.

The only file that knows LightEval, pinned to 0.13.0. Knows nothing of statistics or of what is compared. Of what
was found about that version, this file answers for: the import and the run switch autograd off (restored); the registry
imports every built-in task, some of which go to the network (never made: tasks are given directly); its response cache
returns the base's answers for the tuned model (not used); the model's name becomes a path (it is "base" or "tuned");
the config logger looks for a git repository above site-packages (replaced).
"""

import logging
import math
import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from evals.errors import EvalError, LogError
from evals.executor import Executor, Progress
from evals.log import Sample
from evals.scorers.checks import passes
from evals.scorers.exact import normalize
from evals.tasks import Task, TaskSample

_autograd = torch.is_grad_enabled()
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # GitPython must not fail where git is not installed

import datasets  # noqa: E402
from lighteval.logging import evaluation_tracker  # noqa: E402
from lighteval.logging.evaluation_tracker import EvaluationTracker  # noqa: E402
from lighteval.logging.info_loggers import GeneralConfigLogger  # noqa: E402
from lighteval.metrics.metrics_sample import ExactMatches, LoglikelihoodAcc, SampleLevelComputation  # noqa: E402
from lighteval.metrics.utils.metric_utils import SampleLevelMetric  # noqa: E402
from lighteval.models.abstract_model import LightevalModel, ModelConfig  # noqa: E402
from lighteval.models.model_output import ModelResponse  # noqa: E402
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters  # noqa: E402
from lighteval.tasks.lighteval_task import LightevalTask, LightevalTaskConfig  # noqa: E402
from lighteval.tasks.requests import Doc, SamplingMethod  # noqa: E402

torch.set_grad_enabled(_autograd)
logging.getLogger("lighteval").setLevel(logging.WARNING)

METRICS = {"generation": "exact_match", "choice": "accuracy", "checks": "checks"}


def run_task(
    task: Task,
    executor: Executor,
    which: str,
    out_dir: Path,
    *,
    max_new_tokens: int,
    progress: Progress | None = None,
) -> tuple[Sample, ...]:
    """Ask a model all of a task through LightEval's pipeline and return what it answered, scored.

    Args:
        task: what to ask.
        executor: the model.
        which: adapter off ("base"), on ("tuned"), or another one by its name.
        out_dir: LightEval's own result files go to `out_dir/lighteval`.
        max_new_tokens: the longest answer, in tokens.
        progress: called with (samples done, samples) after each batch.

    Returns:
        Samples in the task's order, each with the task's one metric; a score that can't be had is NaN with a reason.

    Raises:
        EvalError: the executor's (no template, stopped), or the result files can't be written.
    """
    model = _Model(executor, which, progress)
    with _side_effects_undone():
        pipeline = _Pipeline(
            tasks="",
            pipeline_parameters=PipelineParameters(launcher_type=ParallelismManager.NONE, bootstrap_iters=0),
            evaluation_tracker=_tracker(out_dir / "lighteval"),
            model=model,
            lighteval_task=_lighteval_task(task, executor, max_new_tokens, model.problems),
        )
        pipeline.evaluate()
        try:
            pipeline.save_and_push_results()
        except OSError as error:
            raise LogError(f"{out_dir}: LightEval's result files can't be written: {error}") from error
        (details,) = pipeline.get_details().values()
    samples = {int(detail.doc.id): _sample(task, detail, model) for detail in details}
    if sorted(samples) != list(range(len(task.samples))):
        raise EvalError(f"task {task.name}: LightEval returned {len(samples)} of {len(task.samples)} samples")
    return tuple(samples[index] for index in range(len(task.samples)))


class _Model(LightevalModel):
    """What LightEval calls; the executor does the work."""

    def __init__(self, executor: Executor, which: str, progress: Progress | None) -> None:
        self.config = ModelConfig(model_name=which)
        self.problems: dict[str, str] = {}
        self.finish: dict[str, Any] = {}
        self._executor = executor
        self._which = which
        self._progress = progress
        self._cache = SimpleNamespace(_init_registry=lambda registry: None)  # pyright: ignore[reportUnknownLambdaType]

    @property
    def tokenizer(self) -> Any:
        return self._executor.prompter.tokenizer

    @property
    def add_special_tokens(self) -> bool:
        return False

    @property
    def max_length(self) -> int:
        return self._executor.max_length or 2**31 - 1

    def greedy_until(self, docs: list[Doc]) -> list[ModelResponse]:
        prompts = [doc.specific["prompt"] for doc in docs]  # pyright: ignore[reportOptionalSubscript]
        answers = self._executor.generate(prompts, docs[0].generation_size or 1, self._which, self._progress)
        responses: list[ModelResponse] = []
        for doc, answer in zip(docs, answers, strict=True):
            if answer.problem is not None:
                self.problems[doc.id] = answer.problem
            self.finish[doc.id] = answer.finish
            responses.append(ModelResponse(input=doc.query, text=[answer.text], output_tokens=[list(answer.tokens)]))
        return responses

    def loglikelihood(self, docs: list[Doc]) -> list[ModelResponse]:
        pairs = [(doc.specific["prompt"], choice) for doc in docs for choice in doc.choices]  # pyright: ignore[reportOptionalSubscript]
        measured = iter(self._executor.loglikelihood(pairs, self._which, _scaled(self._progress, len(docs))))
        responses: list[ModelResponse] = []
        for doc in docs:
            choices = [next(measured) for _ in doc.choices]
            problem = next((choice.problem for choice in choices if choice.problem is not None), None)
            if problem is not None:
                self.problems[doc.id] = problem
            responses.append(
                ModelResponse(
                    input=doc.query,
                    output_tokens=[list(choice.tokens) for choice in choices],
                    logprobs=[choice.logprob for choice in choices],
                    argmax_logits_eq_gold=[choice.greedy for choice in choices],
                )
            )
        return responses

    def loglikelihood_rolling(self, docs: list[Doc]) -> list[ModelResponse]:
        raise NotImplementedError("no task asks for perplexity")


class _Pipeline(Pipeline):
    """LightEval's pipeline, given its one task instead of looking its name up among all built-in ones."""

    def __init__(self, *, lighteval_task: LightevalTask, **arguments: Any) -> None:
        self._given = lighteval_task
        super().__init__(**arguments)

    def _init_tasks_and_requests(self, tasks: str) -> None:
        self.registry = None
        self.tasks_dict = {self._given.full_name: self._given}
        self.documents_dict = {self._given.full_name: self._given.get_docs()}
        self.sampling_docs: dict[SamplingMethod, list[Doc]] = {}
        for doc in self.documents_dict[self._given.full_name]:
            for method in doc.sampling_methods:
                self.sampling_docs.setdefault(method, []).append(doc)
        self.evaluation_tracker.task_config_logger.log(self.tasks_dict)


class _Scored(SampleLevelComputation):
    """A metric that says NaN, not 0, where there is nothing to score."""

    def __init__(self, metric: SampleLevelComputation, problems: dict[str, str]) -> None:
        self.metric = metric
        self.problems = problems

    def compute(self, doc: Doc, model_response: ModelResponse, **kwargs: Any) -> float:
        if doc.id in self.problems:
            return math.nan
        try:
            return float(self.metric.compute(doc=doc, model_response=model_response))
        except ValueError as error:
            self.problems[doc.id] = str(error)
            return math.nan


class _Checks(SampleLevelComputation):
    """Whether an answer passes its sample's checks."""

    def __init__(self, samples: Sequence[TaskSample]) -> None:
        self.samples = samples

    def compute(self, doc: Doc, model_response: ModelResponse, **kwargs: Any) -> float:
        checks = self.samples[int(doc.id)].checks
        if checks is None:
            raise ValueError("the sample has no checks")
        answer = model_response.final_text[0]
        return float(passes(answer, regex=checks.regex, json_schema=checks.json_schema))

    def __str__(self) -> str:
        return "Checks"


class _ConfigLogger(GeneralConfigLogger):
    """Without the search for a git repository above the installed package, which fails in some folders."""

    def __init__(self) -> None:
        self.lighteval_sha = "?"
        self.start_time = time.perf_counter()


def mean_of_scored(scores: Sequence[float]) -> float:
    """Return the mean of the scores that are not NaN; NaN if there are none."""
    scored = np.asarray(scores, dtype=float)
    scored = scored[~np.isnan(scored)]
    return float(scored.mean()) if scored.size else math.nan


def _lighteval_task(task: Task, executor: Executor, max_new_tokens: int, problems: dict[str, str]) -> LightevalTask:
    computations: dict[str, Callable[[], SampleLevelComputation]] = {
        "generation": lambda: ExactMatches(normalize_gold=normalize, normalize_pred=normalize, strip_strings=True),
        "choice": LoglikelihoodAcc,
        "checks": lambda: _Checks(task.samples),
    }
    prompts = [
        executor.prompter.render([turn.model_dump() for turn in sample.messages], raw=sample.raw)
        for sample in task.samples
    ]

    def document(row: dict[str, Any], name: str) -> Doc:
        sample, prompt = task.samples[row["index"]], prompts[row["index"]]
        choices = list(sample.choices or sample.answers)
        gold = sample.gold if sample.gold is not None else list(range(len(choices)))
        return Doc(query=prompt.text, choices=choices, gold_index=gold, specific={"prompt": prompt}, task_name=name)

    metric = SampleLevelMetric(
        metric_name=METRICS[task.kind],
        higher_is_better=True,
        category=SamplingMethod.LOGPROBS if task.kind == "choice" else SamplingMethod.GENERATIVE,
        sample_level_fn=_Scored(computations[task.kind](), problems),
        corpus_level_fn=mean_of_scored,
    )
    config = LightevalTaskConfig(
        name=task.name,
        prompt_function=document,
        hf_repo="in memory",
        hf_subset=task.content_hash,
        hf_avail_splits=["test"],
        evaluation_splits=["test"],
        few_shots_split="test",
        metrics=[metric],
        generation_size=max_new_tokens,
    )
    lighteval_task = LightevalTask(config)
    rows = [{"index": index} for index in range(len(task.samples))]
    lighteval_task.dataset = datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})
    return lighteval_task


def _sample(task: Task, detail: Any, model: _Model) -> Sample:
    sample, response = task.samples[int(detail.doc.id)], detail.model_response
    logprobs = tuple(response.logprobs)
    problem = model.problems.get(detail.doc.id)
    if task.kind == "choice":
        output = "" if problem else sample.choices[int(np.argmax(logprobs))]
    else:
        output = response.text[0]
    return Sample(
        id=detail.doc.id,
        prompt=detail.doc.query,
        expected=sample.answers if sample.checks is None else (sample.checks.describe(),),
        output=output,
        finish=model.finish.get(detail.doc.id),
        choices=sample.choices,
        logprobs=logprobs,
        scores={name: float(score) for name, score in detail.metric.items()},
        unscored=problem,
        group=sample.group,
        overlap=sample.overlap,
    )


def _scaled(progress: Progress | None, samples: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(done * samples // total, samples)


def _tracker(folder: Path) -> EvaluationTracker:
    with patch.object(evaluation_tracker, "GeneralConfigLogger", _ConfigLogger):
        return EvaluationTracker(output_dir=str(folder), save_details=True)


@contextmanager
def _side_effects_undone() -> Generator[None]:
    """Restore autograd, and keep `datasets` from drawing progress bars of its own."""
    autograd, bars = torch.is_grad_enabled(), datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        torch.set_grad_enabled(autograd)
        if bars:
            datasets.enable_progress_bars()
