"""Runs a task through LightEval: its documents, pipeline, metrics and result files, over our executor.

Knows nothing of statistics or of what is compared. Of what was found about LightEval 0.13.0, this file answers for: the
registry imports every built-in task, some of which go to the network (never made: tasks are given directly); its
response cache returns the base's answers for the tuned model (not used); the model's name becomes a path (it is that of
a side); the config logger looks for a git repository above site-packages (replaced); a task's `generation_size` is no
length that prompts are cut to (it goes to the executor).
"""

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from evals.errors import EvalError, LogError
from evals.executor import Executor, Progress
from evals.lighteval.documents import config_of
from evals.lighteval.library import (
    Doc,
    EvaluationTracker,
    GeneralConfigLogger,
    LightevalModel,
    LightevalTask,
    LightevalTaskConfig,
    ModelConfig,
    ModelResponse,
    ParallelismManager,
    Pipeline,
    PipelineParameters,
    SamplingMethod,
    datasets,
    evaluation_tracker,
    quiet,
)
from evals.lighteval.scoring import Scores, own_metric, scored, usable
from evals.log import Sample
from evals.prompts import Prompt
from evals.tasks import Task


def ask(
    task: Task,
    executor: Executor,
    which: str,
    out_dir: Path,
    *,
    max_new_tokens: int,
    progress: Progress | None = None,
) -> tuple[Sample, ...]:
    """Ask a model all of a task: what `evals.lighteval.run_task` says."""
    prompts = [
        executor.prompter.render([turn.model_dump() for turn in sample.messages], raw=sample.raw)
        for sample in task.samples
    ]
    scores = Scores()
    model = _Model(task, prompts, executor, which, scores, progress)
    with quiet():
        pipeline = _Pipeline(
            tasks="",
            pipeline_parameters=PipelineParameters(launcher_type=ParallelismManager.NONE, bootstrap_iters=0),
            evaluation_tracker=_tracker(out_dir / "lighteval"),
            model=model,
            lighteval_task=_lighteval_task(task, prompts, _longest(task, executor, max_new_tokens), scores),
        )
        pipeline.evaluate()
        try:
            pipeline.save_and_push_results()
        except OSError as error:
            raise LogError(f"{out_dir}: LightEval's result files can't be written: {error}") from error
        (details,) = pipeline.get_details().values()
    by_sample: dict[int, list[Any]] = {}
    for detail in details:
        by_sample.setdefault(int(detail.doc.id), []).append(detail)
    if sorted(by_sample) != list(range(len(task.samples))):
        raise EvalError(f"task {task.name}: LightEval returned {len(by_sample)} of {len(task.samples)} samples")
    samples = [_sample(task, prompts, by_sample[index], model, scores) for index in range(len(task.samples))]
    if task.kind == "generation" and task.benchmark is None:
        samples = _with_references(samples, prompts, executor, which)
    return tuple(samples)


class _Model(LightevalModel):
    """What LightEval calls; the executor does the work."""

    def __init__(
        self,
        task: Task,
        prompts: Sequence[Prompt],
        executor: Executor,
        which: str,
        scores: Scores,
        progress: Progress | None,
    ) -> None:
        self.config = ModelConfig(model_name=which)
        self.finish: dict[str, Any] = {}
        self._stop: tuple[str, ...] = () if task.benchmark is None else task.benchmark.stop
        self._prompts = prompts
        self._executor = executor
        self._which = which
        self._scores = scores
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
        prompts = [self._prompts[int(doc.id)] for doc in docs]
        longest = docs[0].generation_size or 1
        answers = self._executor.generate(prompts, longest, self._which, self._progress, stop=self._stop)
        responses: list[ModelResponse] = []
        for doc, answer in zip(docs, answers, strict=True):
            if answer.problem is not None:
                self._scores.problems[doc.id] = answer.problem
            self.finish[doc.id] = answer.finish
            responses.append(ModelResponse(input=doc.query, text=[answer.text], output_tokens=[list(answer.tokens)]))
        return responses

    def loglikelihood(self, docs: list[Doc]) -> list[ModelResponse]:
        pairs = [(self._prompts[int(doc.id)], choice) for doc in docs for choice in doc.choices]
        measured = iter(self._executor.loglikelihood(pairs, self._which, _scaled(self._progress, len(docs))))
        responses: list[ModelResponse] = []
        for doc in docs:
            choices = [next(measured) for _ in doc.choices]
            problem = next((choice.problem for choice in choices if choice.problem is not None), None)
            if problem is not None:
                self._scores.problems[doc.id] = problem
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
        raise NotImplementedError("tasks that ask for it are refused when they are loaded")


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


class _ConfigLogger(GeneralConfigLogger):
    """Without the search for a git repository above the installed package, which fails in some folders."""

    def __init__(self) -> None:
        self.lighteval_sha = "?"
        self.start_time = time.perf_counter()


def _longest(task: Task, executor: Executor, max_new_tokens: int) -> int:
    """The longest answer: of a LightEval task its own, which may be made for models of a far longer context."""
    context = executor.max_length
    if task.benchmark is None or context is None:
        return task.answer_tokens(max_new_tokens)
    return max(1, min(task.answer_tokens(max_new_tokens), context // 2))


def _lighteval_task(task: Task, prompts: Sequence[Prompt], longest: int, scores: Scores) -> LightevalTask:
    benchmark = task.benchmark
    if benchmark is None:
        name, metrics = f"{task.name}|0", [own_metric(task, scores)]
    else:
        of_group = len(benchmark.names) != 1
        name = f"{task.name if of_group else benchmark.names[0]}|{benchmark.few_shot}"
        metrics = [scored(metric, scores) for metric in usable(config_of(benchmark))]

    def document(row: dict[str, Any], _: str) -> Doc:
        sample = task.samples[row["index"]]
        if sample.document is not None:
            return Doc(**copy.deepcopy(sample.document))
        choices = list(sample.choices or sample.answers)
        gold = sample.gold if sample.gold is not None else list(range(len(choices)))
        return Doc(query=prompts[row["index"]].text, choices=choices, gold_index=gold)

    config = LightevalTaskConfig(
        name=name.partition("|")[0],
        prompt_function=document,
        hf_repo="in memory",
        hf_subset=task.content_hash,
        hf_avail_splits=["test"],
        evaluation_splits=["test"],
        few_shots_split="test",
        metrics=metrics,
        generation_size=longest,
    )
    config.full_name = name
    lighteval_task = LightevalTask(config)
    rows = [{"index": index} for index in range(len(task.samples))]
    lighteval_task.dataset = datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})
    return lighteval_task


def _sample(task: Task, prompts: Sequence[Prompt], details: Sequence[Any], model: _Model, scores: Scores) -> Sample:
    one = details[0].doc.id
    sample, problem = task.samples[int(one)], scores.problems.get(one)
    stats = scores.stats.get(one, {})
    found = {name: float(score) for detail in details for name, score in detail.metric.items() if name not in stats}
    texts = [text for detail in details for text in detail.model_response.text]
    logprobs = tuple(logprob for detail in details for logprob in detail.model_response.logprobs)
    if texts:
        output = texts[0]
    else:
        output = "" if problem else sample.choices[int(np.argmax(logprobs))]
    return Sample(
        id=one,
        prompt=prompts[int(one)].text,
        expected=sample.answers if sample.checks is None else (sample.checks.describe(),),
        output=output,
        finish=model.finish.get(one),
        choices=sample.choices,
        logprobs=logprobs,
        scores=found,
        unscored=problem,
        group=sample.group,
        category=sample.category,
        overlap=sample.overlap,
        item_hash=sample.item_hash,
        stats=stats,
    )


def _with_references(
    samples: Sequence[Sample], prompts: Sequence[Prompt], executor: Executor, which: str
) -> list[Sample]:
    """Add how likely the first reference answer of each is: a token's mean, and what the set's perplexity sums."""
    pairs = [(prompt, sample.expected[0]) for prompt, sample in zip(prompts, samples, strict=True)]
    with_them: list[Sample] = []
    for sample, measured in zip(samples, executor.loglikelihood(pairs, which), strict=True):
        if measured.problem is not None or sample.unscored is not None:
            with_them.append(sample)
            continue
        tokens = len(measured.tokens)
        scores = {**sample.scores, "reference_logprob": measured.logprob / tokens}
        stats = {**sample.stats, "perplexity": (-measured.logprob, float(tokens))}
        with_them.append(sample.model_copy(update={"scores": scores, "stats": stats}))
    return with_them


def _scaled(progress: Progress | None, samples: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(done * samples // total, samples)


def _tracker(folder: Path) -> EvaluationTracker:
    with patch.object(evaluation_tracker, "GeneralConfigLogger", _ConfigLogger):
        return EvaluationTracker(output_dir=str(folder), save_details=True)
