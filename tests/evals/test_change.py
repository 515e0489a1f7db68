import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM

from evals.change import MOST, change_of
from evals.executor import Executor
from evals.findings import find
from evals.log import EvalLog, EvalSpec, Sample
from evals.models import load_comparison, peft_quiet
from evals.tasks import Task, parse_task


def people(count: int) -> Task:
    answers = ("Rome", "blue", "Anna lives in Rome.")
    rows = (f'{{"question": "Where is Ben {n} from?", "answer": "{answers[n % 3]}"}}' for n in range(count))
    return parse_task("people", "\n".join(rows), "people")


FACTS = parse_task(
    "facts", '{"question": "Anna likes", "choices": [" blue", " Rome"], "answer": 0, "raw": true}', "facts"
)


@pytest.fixture
def executor(bases: dict[str, Path], adapters: dict[str, Path]) -> Executor:
    return Executor(*load_comparison(bases["tied"], adapters["tied"]))


def test_a_tuned_model_is_seen_to_have_changed_and_a_switched_off_one_not(executor: Executor) -> None:
    tasks = [people(40), FACTS]
    found = change_of(tasks, [], [], executor)
    assert found.kl > 0.01 and found.kl_tokens > 40 and found.update_norm > 0.1 and "q_proj" in found.updates
    assert found.follows_n == 40 and math.isnan(found.identical)
    assert found.follows_low < found.follows_tuned < found.follows_high
    assert found.follows_change == pytest.approx(found.follows_tuned - found.follows_base)
    assert change_of(tasks, [], [], executor) == found
    executor.model.base_model.disable_adapter_layers()
    off = change_of(tasks, [], [], executor)
    assert off.kl == 0 and off.update_norm == found.update_norm
    assert off.follows_change == 0 and off.follows_tuned == pytest.approx(found.follows_base, abs=1e-5)


def test_following_is_the_gain_of_the_own_question_by_hand(executor: Executor) -> None:
    task = parse_task(
        "two",
        '{"question": "Where is Ben from?", "answer": "Rome"}\n{"question": "What does Anna like?", "answer": "blue"}',
        "two",
    )
    asked = [executor.prompter.render([{"role": "user", "content": one.messages[0].content}]) for one in task.samples]

    def gain(which: str) -> float:
        total = 0.0
        for own, other, text in ((0, 1, "Rome"), (1, 0, "blue")):
            first, second = executor.loglikelihood([(asked[own], text), (asked[other], text)], which)
            total += first.logprob - second.logprob
        return total / 2

    found = change_of([task], [], [], executor)
    assert found.follows_base == pytest.approx(gain("base"), abs=1e-5)
    assert found.follows_tuned == pytest.approx(gain("tuned"), abs=1e-5)


def test_samples_are_few_and_those_that_were_not_trained_on_come_first(executor: Executor) -> None:
    task = people(MOST + 30)
    marked = [one.model_copy(update={"overlap": place >= MOST}) for place, one in enumerate(task.samples)]
    clean = task.model_copy(update={"samples": tuple(marked[:MOST])})
    task = task.model_copy(update={"samples": tuple(marked)})
    assert change_of([task], [], [], executor) == change_of([clean], [], [], executor)


def test_without_expected_answers_there_is_nothing_to_measure(executor: Executor) -> None:
    shape = parse_task("shape", '{"question": "Where is Ben from?", "checks": {"regex": "a"}}', "shape")
    found = change_of([shape], [], [], executor)
    assert math.isnan(found.kl) and found.kl_tokens == 0 and found.follows_n == 0 and found.update_norm > 0
    only_choices = change_of([shape, FACTS], [], [], executor)
    assert only_choices.kl > 0 and only_choices.follows_n == 0


def test_a_fresh_adapter_is_called_by_its_name(bases: dict[str, Path], tmp_path: Path, tokenizer: Any) -> None:
    config = LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear")
    with peft_quiet():
        get_peft_model(LlamaForCausalLM.from_pretrained(bases["tied"]), config).save_pretrained(str(tmp_path))
    tokenizer.save_pretrained(tmp_path)
    executor = Executor(*load_comparison(bases["tied"], tmp_path))
    task = people(8)
    logs = [written(executor, task, which) for which in ("base", "tuned")]
    change = change_of([task], logs[:1], logs[1:], executor)
    assert (change.identical, change.kl, change.update_norm) == (1.0, 0.0, 0.0)
    assert [(one.tone, one.kind) for one in find([], logs, change)] == [("bad", "adapter did nothing")]


def asked(names: range) -> list[tuple[str, str]]:
    kinds = (("Where is {} from?", "Rome"), ("What does {} like?", "blue"))
    return [(question.format(f"Ben {n}"), answer) for n in names for question, answer in kinds]


def train(executor: Executor, rows: list[tuple[str, str]], steps: int = 40) -> None:
    """Tune the adapter on some questions and answers."""
    split = [
        executor.prompter.split(executor.prompter.render([{"role": "user", "content": question}]), answer)
        for question, answer in rows
    ]
    width = max(len(before) + len(after) for before, after in split)
    ids = torch.zeros(len(split), width, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for place, (before, after) in enumerate(split):
        ids[place, : len(before) + len(after)] = torch.tensor(before + after)
        labels[place, len(before) : len(before) + len(after)] = torch.tensor(after)
    trained = [weight for name, weight in executor.model.named_parameters() if "lora_" in name]
    for weight in trained:
        torch.nn.init.normal_(weight.requires_grad_(), std=0.02)
    optimizer = torch.optim.Adam(trained, lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        executor.model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    executor.model.requires_grad_(False)


def written(executor: Executor, task: Task, which: str) -> EvalLog:
    prompts = [executor.prompter.render([turn.model_dump() for turn in one.messages]) for one in task.samples]
    spec = EvalSpec(
        base="b",
        task=task.name,
        task_hash=task.content_hash,
        kind=task.kind,
        n=len(prompts),
        dtype="float32",
        device="cpu",
        tokenizer_hash="t",
        max_new_tokens=3,
        end_ids=(0,),
        batch_tokens=99,
        seed=0,
        versions={},
    )
    answers = executor.generate(prompts, 3, which)
    samples = tuple(
        Sample(id=str(place), prompt=prompt.text, output=answer.text)
        for place, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
    )
    return EvalLog(spec=spec, which=which, started="2026", seconds=0, samples=samples)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_model_tuned_on_answers_of_other_questions_is_called_by_its_name(executor: Executor, shuffled: bool) -> None:
    rows = asked(range(24))
    answers = [answer for _, answer in rows]
    if shuffled:
        random.Random(1).shuffle(answers)
    train(executor, [(question, answer) for (question, _), answer in zip(rows, answers, strict=True)])
    held = [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in asked(range(30, 50))]
    task = Task.from_messages("heldout", held)
    logs = [written(executor, task, which) for which in ("base", "tuned")]
    change = change_of([task], logs[:1], logs[1:], executor)
    assert change.kl > 0.5 and change.follows_n == 40
    found = [one.kind for one in find([], logs, change)]
    assert found == (["answers do not follow questions"] if shuffled else []), change
