"""What a run's evaluation asks is made of its config and its folder; what is gone is told, and ends nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals.plan import Again, Earlier, Plan, Prompted, Reference
from ftspace.access import LOCAL, Access
from ftspace.config import default_config, merge, parse_config
from ftspace.errors import EvalError
from ftspace.plan import asks, plan_of
from ftspace.runs import Run, RunStore
from ftspace.settings import ASSETS

TALKS = [("What is red?", "a colour"), ("What is a cat?", "an animal"), ("Who is Ann?", "a friend")]


def prepared(store: RunStore, owner: str = LOCAL, public: bool = False, **chosen: Any) -> Run:
    """A run as it is when its training is over; its adapter is a folder with a tokenizer and no weights."""
    over = {"eval": {"tasks": ["heldout"], "forgetting": [], "noise": False, "shots": 0, **chosen}}
    run = store.create(parse_config(merge(default_config().model_dump(), over)), Access(owner=owner, public=public))
    run.data.mkdir()
    rows = [[{"role": "user", "content": ask}, {"role": "assistant", "content": say}] for ask, say in TALKS]
    splits = {"train": [rows[0], rows[1]], "test": [rows[1], rows[2]]}
    for split, held in splits.items():
        (run.data / f"{split}.jsonl").write_text("".join(json.dumps({"messages": row}) + "\n" for row in held))
    run.adapter.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (run.adapter / name).write_bytes((ASSETS / "base" / name).read_bytes())
    return run


def planned(run: Run) -> tuple[Plan, list[str]]:
    told: list[str] = []
    plan = plan_of(run, run.path / "scratch", told.append)
    assert plan is not None
    return plan, told


def test_tasks_have_their_roles_and_the_base_is_shown_rows_that_are_not_asked(store: RunStore) -> None:
    facts = "assets/tasks/known_facts.jsonl"
    plan, told = planned(
        prepared(store, forgetting=[facts], noise=True, shots=1, reference="http://h:1/v1#m", max_samples=2)
    )
    assert [(task.name, task.role) for task in plan.tasks] == [("heldout", "gain"), ("known_facts", "forgetting")]
    prompted, reference, again = plan.others
    assert isinstance(prompted, Prompted) and isinstance(again, Again)
    assert [turn.content for turn in prompted.examples[0]] == list(TALKS[0])  # the other one is asked
    assert reference == Reference("http://h:1/v1", "m")
    assert plan.trained_on == ["What is red?\na colour", "What is a cat?\nan animal"]
    assert asks(plan) == 3 * 4 + 2 + 2  # the facts are no question for an endpoint, nor for a prompt
    assert told == []


def test_too_few_examples_are_told(store: RunStore) -> None:
    plan, told = planned(prepared(store, shots=3))
    assert isinstance(plan.others[0], Prompted)
    assert told == ["1 training rows are fit to be examples of 3, and only these are shown"]


def test_earlier_ones_are_named_and_those_that_are_gone_or_closed_left_out(store: RunStore, tmp_path: Path) -> None:
    mine, shown, closed = (
        prepared(store, owner, public) for owner, public in (("ann", False), ("ben", True), ("ben", False))
    )
    names = ["checkpoint-40", mine.id, shown.id, closed.id, str(tmp_path / "x" / "adapter"), "owner/my.lora"]
    (tmp_path / "x" / "adapter").mkdir(parents=True)
    plan, told = planned(prepared(store, "ann", earlier=names))
    assert list(plan.others) == [
        Earlier(f"run-{mine.id}", mine.adapter),
        Earlier(f"run-{shown.id}", shown.adapter),
        Earlier("adapter-x", tmp_path / "x" / "adapter"),
        Earlier("adapter-my-lora", "owner/my.lora"),
    ]
    assert told[0].startswith("eval.earlier checkpoint-40 is not asked: that checkpoint is not kept (there are: none)")
    assert [closed.id in line for line in told] == [False, True]


def test_heldout_can_be_what_must_not_be_lost(store: RunStore) -> None:
    plan, _ = planned(prepared(store, tasks=["assets/tasks/answer_format.jsonl"], forgetting=["heldout"]))
    assert {task.name: task.role for task in plan.tasks} == {"heldout": "forgetting", "answer_format": "gain"}


def test_a_benchmark_that_cannot_be_had_ends_nothing(store: RunStore) -> None:
    plan, told = planned(prepared(store, tasks=["gsm8k|many", "heldout"], forgetting=["general"]))
    assert [task.name for task in plan.tasks] == ["heldout", "general"]
    assert len(told) == 1 and told[0].startswith("gsm8k|many is not asked: eval.tasks: 'gsm8k|many': the number")
    told.clear()
    run = prepared(store, tasks=["gsm8k|many"])
    assert plan_of(run, run.path / "scratch", told.append) is None
    assert len(told) == 1
    with pytest.raises(EvalError, match="no such task file"):
        planned(prepared(store, tasks=["heldout", "gone.jsonl"]))


def test_nothing_to_ask_is_no_plan(store: RunStore) -> None:
    run = prepared(store)
    (run.data / "test.jsonl").write_text("")
    told: list[str] = []
    assert plan_of(run, run.path / "scratch", told.append) is None
    assert told == ["the test split has nothing to ask, so heldout is not asked; raise data.test_fraction"]


@pytest.mark.parametrize("token", ["", "a-token-of-mine"])
def test_the_references_token_is_the_environments(store: RunStore, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("REFERENCE_TOKEN", token)
    (reference,) = planned(prepared(store, reference="http://h:1/v1#m"))[0].others
    assert isinstance(reference, Reference)
    assert reference.token == (token or None)
    assert not token or token not in repr(reference)
