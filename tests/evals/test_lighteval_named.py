"""LightEval's own tasks, their datasets' places taken by a few rows on a Hub of this machine, over real HTTP."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.errors import TaskError
from evals.executor import Answer, Executor
from evals.lighteval import named_task, run_task
from evals.models import load_comparison
from evals.prompts import Prompt
from evals.tasks import Task, resolve_tasks
from tests.loopback_hub import LoopbackHub, serve

Rows = list[dict[str, Any]]


def mmlu(subject: str, rows: int, first: int = 0) -> Rows:
    return [
        {"question": f"{subject} {n}?", "subject": subject, "choices": ["a", "b", "c", "d"], "answer": n % 4}
        for n in range(first, first + rows)
    ]


def arc(rows: int, first: int = 0) -> Rows:
    choices = {"text": ["Rome", "blue", "yes"], "label": ["A", "B", "C"]}
    return [
        {"id": str(n), "question": f"Anna {n}?", "choices": choices, "answerKey": "ABC"[n % 3]}
        for n in range(first, first + rows)
    ]


def sums(rows: int, first: int = 0) -> Rows:
    return [{"question": f"1 + {n}?", "answer": f"Add them.\n#### {n + 1}"} for n in range(first, first + rows)]


TRUTHS = [
    {
        "question": f"Is {n} a number?",
        "mc1_targets": {"choices": ["Yes", "No"], "labels": [1, 0]},
        "mc2_targets": {"choices": ["Yes", "It is", "No"], "labels": [1, 1, 0]},
    }
    for n in range(4)
]
DATASETS: dict[str, dict[str, dict[str, Rows]]] = {
    "lighteval/mmlu": {
        "anatomy": {"test": mmlu("anatomy", 8), "dev": mmlu("anatomy", 6, first=100)},
        "astronomy": {"test": mmlu("astronomy", 3), "dev": mmlu("astronomy", 6, first=100)},
    },
    "allenai/ai2_arc": {"ARC-Challenge": {"train": arc(9, first=50), "test": arc(7)}},
    "openai/gsm8k": {"main": {"train": sums(9, first=50), "test": sums(5)}},
    "truthfulqa/truthful_qa": {"multiple_choice": {"validation": TRUTHS}},
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A Hub with small datasets in the places of great ones, the only Hub that this process knows."""
    loopback = LoopbackHub(tmp_path / "hub")
    for name, configs in DATASETS.items():
        folder = loopback.root / "datasets" / name
        card = ["---", "configs:"]
        for config, splits in configs.items():
            card += [f"- config_name: {config}", "  data_files:"]
            for split, rows in splits.items():
                path = folder / config / f"{split}.jsonl"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("".join(json.dumps(row) + "\n" for row in rows))
                card += [f"  - split: {split}", f"    path: {config}/{split}.jsonl"]
        (folder / "README.md").write_text("\n".join([*card, "---", ""]))
    script = loopback.root / "datasets" / "ybisk" / "piqa" / "piqa.py"
    script.parent.mkdir(parents=True)
    script.write_text("raise SystemExit('a dataset script was run')")
    with serve(loopback) as address:
        for name in ("huggingface_hub.constants.ENDPOINT", "datasets.config.HF_ENDPOINT"):
            monkeypatch.setattr(name, address)
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
        yield loopback


@pytest.fixture(scope="module")
def executor(bases: dict[str, Path], adapters: dict[str, Path]) -> Executor:
    model, tokenizer = load_comparison(bases["untied"], adapters["untied"])
    made = Executor(model, tokenizer)
    made.model.config.max_position_embeddings = 8192
    return made


def stock(name: str, few_shot: int) -> dict[str, Any]:
    """LightEval's own documents of a task, by their row."""
    from evals.lighteval.documents import config_of
    from evals.lighteval.library import LightevalTask, quiet
    from evals.tasks import Benchmark

    config = config_of(Benchmark(names=(name,), few_shot=0, max_new_tokens=None, stop=(), metrics=()))
    with quiet():
        task = LightevalTask(config)
        task.dataset = LightevalTask.download_dataset_worker(task)
        config.num_fewshots = few_shot
        try:
            return {doc.id: doc for doc in task.get_docs()}
        finally:
            config.num_fewshots = 0


def test_a_task_by_its_name_is_what_lighteval_would_ask(hub: LoopbackHub) -> None:
    (task,) = resolve_tasks(["arc:challenge|3"])
    assert (task.name, task.kind, task.role, task.few_shot) == ("arc_challenge.3shot", "choice", "gain", 3)
    assert task.benchmark is not None and task.benchmark.metrics == ("acc",)
    from evals.lighteval.library import PromptManager

    theirs = stock("arc:challenge", 3)
    assert [sample.document["id"] for sample in task.samples if sample.document] == list(theirs)
    for sample, doc in zip(task.samples, theirs.values(), strict=True):
        assert sample.raw and [turn.content for turn in sample.messages] == [PromptManager().prepare_prompt(doc)]
        assert sample.question == doc.query and sample.messages[0].content.count("Question: Anna") == 4
        assert sample.choices == (" Rome", " blue", " yes")
        assert sample.answers == (sample.choices[int(doc.id) % 3],)
    assert named_task("lighteval|arc:challenge|3|0") == task and task.head(2).question_texts == task.question_texts[:2]
    assert named_task("arc:challenge").few_shot == 0
    assert named_task("arc:challenge|2").content_hash != task.content_hash
    assert resolve_tasks(["gsm8k"], role="forgetting")[0].role == "forgetting"
    assert not [name for name in sys.modules if name.startswith("lighteval.tasks.tasks.") and "blimp" in name]


def test_a_group_is_one_task_whose_parts_take_turns(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    import lighteval.tasks.tasks.mmlu as module

    few = [config for config in module.TASKS_TABLE if config.name in ("mmlu:astronomy", "mmlu:anatomy")]
    monkeypatch.setattr(module, "TASKS_TABLE", few)
    task = named_task("mmlu|2")
    assert task.name == "mmlu.2shot" and task.kind == "generation" and len(task.samples) == 11
    subjects = ["anatomy" in question for question in task.question_texts]
    assert subjects == [True, False] * 3 + [True] * 5
    assert task.benchmark is not None and task.benchmark.names == ("mmlu:anatomy", "mmlu:astronomy")
    assert (task.benchmark.stop, task.answer_tokens(64)) == (("\n",), 5)
    with pytest.raises(TaskError, match=r"scored differently.*truthfulqa:gen, truthfulqa:mc"):
        named_task("truthfulqa")


def test_scores_are_lightevals_over_our_answers(
    hub: LoopbackHub, executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mean(folder: Path, metric: str) -> float:
        (results,) = (folder / "lighteval" / "results").rglob("results_*.json")
        (found,) = [one for name, one in json.loads(results.read_text())["results"].items() if name != "all"]
        return found[metric]

    task = named_task("arc:challenge|2")
    samples = run_task(task, executor, "base", tmp_path / "arc", max_new_tokens=9)
    for sample, asked in zip(samples, task.samples, strict=True):
        best = max(range(3), key=lambda place: sample.logprobs[place])
        assert sample.scores == {"acc": float(best == asked.gold)} and sample.output == asked.choices[best]
        assert sample.prompt == asked.messages[0].content
    assert mean(tmp_path / "arc", "acc") == pytest.approx(sum(one.scores["acc"] for one in samples) / 7)

    several = run_task(named_task("truthfulqa:mc").head(3), executor, "tuned", tmp_path / "mc", max_new_tokens=9)
    assert [set(sample.scores) for sample in several] == [{"truthfulqa_mc1", "truthfulqa_mc2"}] * 3
    assert several[0].expected == (" Yes", " Yes", " It is") and 0 < several[0].scores["truthfulqa_mc2"] < 1

    seen: list[Any] = []

    def generate(prompts: list[Prompt], longest: int, *others: Any, stop: tuple[str, ...]) -> list[Answer]:
        seen.append((longest, stop))
        return [
            Answer("The sum.\n#### 3" if "1 + 2?\nAnswer:" in one.text[-15:] else "7", (1,), "end") for one in prompts
        ]

    monkeypatch.setattr(executor, "generate", generate)
    task = named_task("gsm8k|1")
    samples = run_task(task, executor, "base", tmp_path / "sums", max_new_tokens=9)
    right = [asked.question == "Question: 1 + 2?\nAnswer:" for asked in task.samples]
    assert [sample.scores for sample in samples] == [{"extractive_match": float(one)} for one in right]
    assert seen == [(256, ("Question:",))] and sum(right) == 1
    assert samples[0].stats == {} and mean(tmp_path / "sums", "extractive_match") == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mmlu:anatomi|5", "no task mmlu:anatomi: .*near names: mmlu:anatomy"),
        ("gsm8k|many", "the number of solved examples"),
        ("gsm8k|1|2|3|4", "names no task"),
        ("boolq", "its dataset .* can't be had"),
        ("piqa", "its dataset ybisk/piqa can't be had"),
        ("gsm8k|12", "Sample larger than population"),
        ("wikitext:103:document_level", "none of its metrics can be computed here .*likelihood of whole texts"),
        ("aime24_gpassk", "several answers to each question"),
        ("mt_bench", "its module mt_bench.main can't be loaded"),
        ("truthfulqa:mc|4", "4 solved examples are asked for, and there are 3"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_line(hub: LoopbackHub, name: str, words: str) -> None:
    with pytest.raises(TaskError, match=words) as caught:
        named_task(name)
    assert "\n" not in str(caught.value)


def test_without_the_hub_what_was_fetched_before_is_enough(hub: LoopbackHub) -> None:
    with pytest.raises(TaskError, match="must be reachable"):
        named_task("gsm8k|2", online=False)
    asked = len(hub.requests)
    assert asked == 0
    fetched: Task = named_task("gsm8k|2")
    asked = len(hub.requests)
    assert asked > 0 and named_task("gsm8k|2", online=False) == fetched
    assert len(hub.requests) == asked
