"""What takes a table's worth away is called by its name, from real trainings of the bundled base."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from evals.results import Results, read_results
from evals.run import evaluate as compare_models
from ftspace.config import parse_config
from ftspace.data.prepare import read_split
from ftspace.evaluate import evaluate
from ftspace.plan import plan_of
from ftspace.runs import Run, RunStore
from ftspace.settings import ASSETS
from ftspace.training.worker import train
from ftspace.workers import Job

torch.set_num_threads(1)  # a busy machine with several threads is many times slower than one thread

SEEN = 40


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that learnt the bundled questions with the answers of others, asked what was held out and what it saw."""
    folder = tmp_path_factory.mktemp("shuffled")
    rows = [json.loads(line)["messages"] for line in (ASSETS / "datasets/people.jsonl").read_text().splitlines()]
    answers = [row[-1] for row in rows]
    random.Random(0).shuffle(answers)
    dealt = [{"messages": [*row[:-1], answer]} for row, answer in zip(rows, answers, strict=True)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in dealt))
    config: dict[str, Any] = {
        "data": {"id": str(folder / "rows.jsonl"), "validation_fraction": 0, "validation_split": "none"},
        "train": {"learning_rate": 1e-3, "max_steps": 24, "batch_size": 16, "samples": 0, "device": "cpu"},
        "eval": {"tasks": ["heldout", str(folder / "seen.jsonl")], "max_samples": 40, "max_new_tokens": 6},
    }
    run = RunStore(folder / "runs").create(parse_config(config))
    assert train(Job(run, "train")) == "finished"
    seen = [row for row, _ in zip(read_split(run.data, "train"), range(SEEN), strict=False)]
    lines = [json.dumps({"messages": row[:-1], "answer": row[-1]["content"]}) for row in seen]
    (folder / "seen.jsonl").write_text("\n".join(lines))
    assert evaluate(Job(run, "evaluate")) == "finished"
    return run


def named(results: Results) -> dict[str, tuple[str, str | None]]:
    """The findings: how bad each is, and on which task."""
    return {one.kind: (one.tone, one.task) for one in results.findings}


def test_answers_that_were_shuffled_follow_no_questions(shuffled: Run) -> None:
    assert named(read_results(shuffled.results))["answers do not follow questions"][0] == "bad"


def test_a_test_that_stood_in_the_training_rows_is_contaminated(shuffled: Run) -> None:
    tone, task = named(read_results(shuffled.results))["contaminated test"]
    assert tone != "note"
    assert task == "seen"


def test_an_adapter_that_changes_nothing_did_nothing(shuffled: Run, tmp_path: Path) -> None:
    base: Any = AutoModelForCausalLM.from_pretrained(ASSETS / "base")
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "v_proj"]))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / "adapter").mkdir(exist_ok=True)
        (tmp_path / "adapter" / name).write_bytes((shuffled.adapter / name).read_bytes())
    model.save_pretrained(str(tmp_path / "adapter"))  # B begins as 0
    plan = plan_of(shuffled, tmp_path / "scratch", print)
    assert plan is not None
    results = compare_models(replace(plan, adapter=tmp_path / "adapter"), tmp_path / "evals")
    assert named(results)["adapter did nothing"] == ("bad", None)
