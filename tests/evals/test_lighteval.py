import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evals.errors import LogError, ModelError
from evals.executor import Answer, Executor
from evals.lighteval import run_task
from evals.lighteval.scoring import NAMES
from evals.metrics import METRICS
from evals.models import load_comparison
from evals.prompts import Prompt
from evals.tasks import Task, parse_task

LONG = "Anna likes blue. " * 200


def task_of(name: str, rows: list[dict[str, Any]]) -> Task:
    return parse_task(name, "\n".join(json.dumps(row) for row in rows), name)


@pytest.fixture(scope="module")
def executor(bases: dict[str, Path], adapters: dict[str, Path]) -> Executor:
    return Executor(*load_comparison(bases["untied"], adapters["untied"]))


def lighteval_mean(folder: Path, task: Task) -> float:
    (results,) = (folder / "lighteval" / "results").rglob("results_*.json")
    return json.loads(results.read_text())["results"][f"{task.name}|0"][NAMES[task.kind]]


def test_exact_match_pairs_answers_with_their_samples(executor: Executor, tmp_path: Path) -> None:
    questions = [f"Where is Ben {number} from?" for number in range(12)]
    prompts = [executor.prompter.render([{"role": "user", "content": text}]) for text in questions]
    written = [answer.text for answer in executor.generate(prompts, 6, "tuned")]
    rows: list[dict[str, Any]] = [
        {"question": text, "answer": answer if number % 3 and answer.strip() else ["nothing", "else"], "group": "g"}
        for number, (text, answer) in enumerate(zip(questions, written, strict=True))
    ]
    rows.append({"question": LONG, "answer": "too long"})
    task = task_of("people", rows)
    seen: list[tuple[int, int]] = []
    samples = run_task(
        task, executor, "tuned", tmp_path, max_new_tokens=6, progress=lambda done, total: seen.append((done, total))
    )
    assert [sample.id for sample in samples] == [str(number) for number in range(13)]
    assert [sample.output for sample in samples[:12]] == written
    assert [sample.prompt for sample in samples[:12]] == [prompt.text for prompt in prompts]
    wanted = [float(rows[number]["answer"] == written[number]) for number in range(12)]
    assert 0 < sum(wanted) < 12
    assert [sample.scores["exact_match"] for sample in samples[:12]] == wanted
    assert math.isnan(samples[12].scores["exact_match"]) and "context" in (samples[12].unscored or "")
    assert samples[0].expected == ("nothing", "else") and samples[0].group == "g"
    assert all(sample.finish in ("end", "length") for sample in samples)
    assert lighteval_mean(tmp_path, task) == pytest.approx(sum(wanted) / 12)
    assert seen[-1] == (13, 13)
    likely = executor.loglikelihood([(prompts[0], "nothing"), (prompts[1], task.samples[1].answers[0])], "tuned")
    for sample, one in zip(samples, likely, strict=False):
        total, tokens = sample.stats["perplexity"]
        assert (total, tokens) == pytest.approx((-one.logprob, len(one.tokens)), abs=1e-4)
        assert sample.scores["reference_logprob"] == pytest.approx(-total / tokens)
    assert "reference_logprob" not in samples[12].scores and samples[12].stats == {}
    of_sums = METRICS["perplexity"].of_sums
    assert of_sums is not None and of_sums(np.array([[2.0, 4.0], [0.0, 1.0]])) == pytest.approx([math.exp(0.5), 1])
    assert len({sample.item_hash for sample in samples}) == 13 and len(samples[0].item_hash) == 16


def test_choice_accuracy_is_the_likeliest_choice(executor: Executor, tmp_path: Path) -> None:
    choices = [" Rome", " blue", " yes", " Ben and Anna"]
    rows = [{"question": f"Anna {n} likes", "choices": choices, "answer": n % 4, "raw": True} for n in range(9)]
    rows += [{"question": "Where?", "choices": ["Rome", "blue"], "answer": "blue"}]
    rows += [{"question": LONG, "choices": ["Rome", "blue"], "answer": 0}]
    task = task_of("choices", rows)
    samples = run_task(task, executor, "base", tmp_path, max_new_tokens=6)
    for row, sample in zip(task.samples, samples[:10], strict=False):
        prompt = executor.prompter.render([{"role": "user", "content": row.messages[-1].content}], raw=row.raw)
        found = executor.loglikelihood([(prompt, choice) for choice in row.choices], "base")
        assert sample.logprobs == pytest.approx([one.logprob for one in found], abs=1e-4)
        best = max(range(len(found)), key=lambda place: sample.logprobs[place])
        assert sample.output == row.choices[best]
        assert sample.scores == {"accuracy": float(best == row.gold)}
        assert sample.expected == row.answers and sample.choices == row.choices
    assert samples[10].unscored and math.isnan(samples[10].scores["accuracy"]) and samples[10].output == ""
    mean = sum(sample.scores["accuracy"] for sample in samples[:10]) / 10
    assert lighteval_mean(tmp_path, task) == pytest.approx(mean)


def test_checks_score_and_a_schema_that_cannot_be_applied_is_unscored(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}}
    rows: list[dict[str, Any]] = [
        {"question": "Anna 1?", "checks": {"regex": "."}},
        {"question": "Anna 2?", "checks": {"regex": "^never this$"}},
        {"question": "Anna 3?", "checks": {"json_schema": schema}},
    ]
    written = [Answer(text, (), "end") for text in ("x", "y", '{"a": 1}')]
    task = task_of("checks", rows)

    def generate(prompts: list[Prompt], *others: Any, stop: Any) -> list[Answer]:
        return [written[[one.prompt for one in order].index(prompt.text)] for prompt in prompts]

    order = run_task(task, executor, "base", tmp_path / "first", max_new_tokens=6)
    monkeypatch.setattr(executor, "generate", generate)
    samples = run_task(task, executor, "base", tmp_path / "second", max_new_tokens=6)
    assert [sample.scores["checks"] for sample in samples[:2]] == [1.0, 0.0]
    assert math.isnan(samples[2].scores["checks"]) and "can't be applied" in (samples[2].unscored or "")
    assert samples[1].expected == ("regex ^never this$",)
    assert lighteval_mean(tmp_path / "second", task) == 0.5


def test_leaves_no_traces(executor: Executor, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = task_of("one", [{"question": "Anna?", "answer": "yes"}])
    known = {name for name in sys.modules if name.startswith("lighteval.tasks.tasks.")}
    assert torch.is_grad_enabled()
    run_task(task, executor, "base", tmp_path / "out", max_new_tokens=4)
    assert torch.is_grad_enabled()
    with torch.no_grad():
        run_task(task, executor, "tuned", tmp_path / "out", max_new_tokens=4)
        assert not torch.is_grad_enabled()
    assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert {name for name in sys.modules if name.startswith("lighteval.tasks.tasks.")} == known


def test_errors_reach_the_caller(
    executor: Executor, tmp_path: Path, bases: dict[str, Path], adapters: dict[str, Path]
) -> None:
    task = task_of("one", [{"question": "Anna?", "answer": "yes"}])
    bare = Executor(*load_comparison(bases["untied"], None))
    with pytest.raises(ModelError, match="chat template"):
        run_task(task, bare, "base", tmp_path, max_new_tokens=4)
    assert torch.is_grad_enabled()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LogError, match="can't be written"):
        run_task(task, executor, "base", tmp_path / "file", max_new_tokens=4)
