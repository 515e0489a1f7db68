"""From the name of one of LightEval's tasks to a `Task`: its dataset, documents, solved examples and prompts.

Only the module that holds the task is imported, and a dataset never runs code of its own. Documents stand in the order
in which LightEval asks them, so that the first so many are those that it would take.

A task of choices, or one that names texts that end an answer, was written as plain text to go on with: it is asked so
of any model, since a base that never saw the chat template would answer worse only for that. Others are chats.
"""

import copy
import importlib
import json
import random
import re
from unittest.mock import patch

from datasets import config as datasets_config
from datasets.exceptions import DatasetsError

from evals.errors import TaskError, one_line
from evals.lighteval.library import (
    Doc,
    LightevalTask,
    LightevalTaskConfig,
    PromptManager,
    SamplingMethod,
    quiet,
)
from evals.lighteval.names import modules_of, unknown
from evals.lighteval.scoring import names_of, unusable, usable
from evals.tasks import Benchmark, Message, Task, TaskSample

KEPT = ("query", "choices", "gold_index", "specific", "original_query", "id")
"""What of a document LightEval's metrics look at."""
_BAD_IMPORT = (ImportError, OSError, TypeError, AttributeError, ValueError, LookupError, RuntimeError)
_BAD_DATA = (OSError, ValueError, RuntimeError, DatasetsError)
_BAD_ROW = (LookupError, TypeError, AttributeError, ValueError, AssertionError, ImportError)


def load_named(name: str, few_shot: int, *, online: bool = True) -> Task:
    """Return the task, or the group of tasks `name:...` as one task whose parts take turns.

    Raises:
        TaskError: no such task, one that can't be asked here, or a dataset that can't be had.
    """
    configs = _configs(name)
    metrics = [[one for metric in usable(config) for one in names_of(metric)] for config in configs]
    ways = {
        (tuple(found), _stop(config), config.generation_size) for found, config in zip(metrics, configs, strict=True)
    }
    if len(ways) > 1:
        shown = ", ".join(config.name for config in configs[:5])
        raise TaskError(f"the tasks of {name} are scored differently: name one of them, such as {shown}")
    if not metrics[0]:
        reasons = "; ".join(f"{'/'.join(names_of(one))}: {unusable(one)}" for one in configs[0].metrics)  # pyright: ignore[reportArgumentType]
        raise TaskError(f"task {name} can't be asked: none of its metrics can be computed here ({reasons})")
    written = any(metric.category == SamplingMethod.GENERATIVE for metric in usable(configs[0]))
    plain = not written or bool(_stop(configs[0]))
    with quiet():
        parts = [
            [_sample(doc, written, plain, config.name if len(configs) > 1 else None) for doc in documents]
            for config in configs
            for documents in [_documents(config, few_shot, online)]
        ]
    longest = configs[0].generation_size
    return Task(
        name=f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.{few_shot}shot",
        kind="generation" if written else "choice",
        samples=tuple(part[place] for place in range(max(map(len, parts))) for part in parts if place < len(part)),
        benchmark=Benchmark(
            names=tuple(config.name for config in configs),
            few_shot=few_shot,
            max_new_tokens=longest if longest and longest > 0 else None,
            stop=_stop(configs[0]),
            metrics=tuple(metrics[0]),
        ),
    )


def config_of(benchmark: Benchmark) -> LightevalTaskConfig:
    """Return LightEval's configuration of a task. Raises TaskError if there is none any more."""
    return _configs(benchmark.names[0])[0]


def _configs(name: str) -> list[LightevalTaskConfig]:
    problem = ""
    for module in modules_of(name):
        try:
            with quiet():
                table: list[LightevalTaskConfig] = importlib.import_module(module).TASKS_TABLE
        except _BAD_IMPORT as error:
            problem = f": its module {module.rpartition('tasks.')[2]} can't be loaded: {one_line(error)}"
            continue
        named = [config for config in table if config.name == name]
        if found := named or [config for config in table if config.name.startswith(f"{name}:")]:
            return sorted(found, key=lambda config: config.name)
    if problem:
        raise TaskError(f"task {name}{problem}")
    raise unknown(name)


def _stop(config: LightevalTaskConfig) -> tuple[str, ...]:
    return tuple(config.stop_sequence or ())


def _documents(config: LightevalTaskConfig, few_shot: int, online: bool) -> list[Doc]:
    where = f"task {config.name}"
    task = LightevalTask(copy.copy(config))
    try:
        with patch.object(datasets_config, "HF_HUB_OFFLINE", datasets_config.HF_HUB_OFFLINE or not online):
            task.dataset = LightevalTask.download_dataset_worker(task)
    except _BAD_DATA as error:
        raise TaskError(
            f"{where}: its dataset {config.hf_repo} can't be had: {one_line(error)}; it must be reachable on the Hub, "
            "with a token where it is gated, or have been fetched here before"
        ) from error
    try:
        documents = list(task.eval_docs())
        if not documents:
            raise TaskError(f"{where}: its dataset {config.hf_repo} has no rows to ask")
        draw = random.Random(42)  # LightEval's own order and draws
        draw.shuffle(documents)
        for doc in documents:
            doc.fewshot_samples = _examples(task, doc, few_shot, draw)
    except _BAD_ROW as error:
        raise TaskError(
            f"{where}: LightEval can't make questions of its dataset {config.hf_repo}: "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error
    return documents


def _examples(task: LightevalTask, doc: Doc, few_shot: int, draw: random.Random) -> list[Doc]:
    """Draw solved examples as LightEval does, but never the question itself: without a split of their own it may."""
    own = task.fewshot_split is None or task.fewshot_split in task.evaluation_split
    drawn = task.fewshot_sampler.sample_fewshot_examples(few_shot + own if few_shot else 0, 0, sampler=draw)
    drawn = [example for example in drawn if example.query != doc.query][:few_shot]
    if len(drawn) < few_shot:
        raise ValueError(f"{few_shot} solved examples are asked for, and there are {len(drawn)}")
    return drawn


def _sample(doc: Doc, written: bool, plain: bool, category: str | None) -> TaskSample:
    if doc.images:
        raise TaskError(f"task {doc.task_name}: it asks about pictures, and these models read text")
    document = {name: getattr(doc, name) for name in KEPT}
    try:
        json.dumps(document)
    except (TypeError, ValueError) as error:
        raise TaskError(f"task {doc.task_name}: its documents hold more than text: {one_line(error)}") from error
    prompts = PromptManager(use_chat_template=not plain)
    if plain:
        turns = [{"role": "user", "content": prompts.prepare_prompt(doc)}]
    else:
        turns = prompts.prepare_prompt_api(doc)
    golds = doc.gold_index if isinstance(doc.gold_index, list) else [doc.gold_index]
    if not written and not golds:
        raise TaskError(f"task {doc.task_name} can't be asked: a question has no right choice")
    return TaskSample(
        messages=tuple(Message.model_validate(turn) for turn in turns),
        answers=tuple(str(gold) for gold in doc.get_golds() if str(gold).strip()),
        choices=() if written else tuple(doc.choices),
        gold=None if written else golds[0],
        raw=plain,
        category=category,
        document=document,
    )
