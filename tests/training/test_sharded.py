"""Two real processes divide a base between them and learn what one learns that holds it whole.

The two train several runs one after the other, and memory runs out for one of them here and there; each of the runs is
held against the same one of a single process.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from ftspace.config import merge, parse_config
from ftspace.events import Prepared, Resumed, Sample, Warned, read_events
from ftspace.runs import Run, RunStore
from ftspace.settings import ROOT
from ftspace.training.worker import train
from ftspace.workers import Job
from tests.training.test_together import free_port, losses, one_thread, validations, weights

__all__ = ["one_thread"]

STEPS, MIDDLE = 8, 5
CONFIG: dict[str, Any] = {
    "model": {"dtype": "float32"},
    "data": {"max_samples": 60},
    "train": {
        "max_steps": STEPS,
        "batch_size": 5,
        "micro_batch_tokens": 64,
        "learning_rate": 1e-3,
        "validation_steps": 4,
        "samples": 2,
        "device": "cpu",
        "auto_resume": False,
    },
    "eval": {"tasks": [], "max_new_tokens": 4},
}
DIVIDED: dict[str, Any] = {"launch": {"processes": 2, "shard": True}}
PADDED: dict[str, Any] = {"train": {"packing": False, "micro_batch_tokens": 5120}}
RECOMPUTED: dict[str, Any] = {"train": {"gradient_checkpointing": True}}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "stopped": ({"launch": {"shard": None}}, {"stop": MIDDLE, "memory": 10**8}),
    "short going in": (PADDED, {"stop": 2, "refuses": [1, 2, "train", False, 1, 40]}),
    "short coming back": (RECOMPUTED, {"stop": 2, "refuses": [0, 1, "train", True, 1, 30]}),
    "short while validating": ({}, {"stop": 2, "refuses": [0, 0, "validate", False, 0, 30]}),
    "short while answering": ({}, {"stop": 2, "refuses": [0, 3, "ask", False, 0, 1]}),
    "without any memory": ({}, {"refuses": [1, 3, "train", True, 3, 5]}),
}
"""Runs, with what is changed in their config and what `sharded.Look` does to them."""
SAME = 1e-4
"""What sums in another order change in a loss."""


@dataclass(frozen=True)
class Trained:
    """What the two processes made."""

    reference: Run
    """The run, by one process."""
    runs: Mapping[str, Run]

    def seen(self, case: str) -> list[dict[str, Any]]:
        """What each of the two saw."""
        return [json.loads((self.runs[case].path / f"look{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Trained:
    folder = tmp_path_factory.mktemp("sharded")
    store = RunStore(folder / "runs")
    runs = {name: make(store, merge(DIVIDED, changed)) for name, (changed, _) in CASES.items()}
    whats = [f"{free_port()}:{run.path}:{json.dumps(CASES[name][1])}" for name, run in runs.items()]
    command = [sys.executable, "-m", "tests.training.sharded"]
    both = [
        subprocess.Popen([*command, str(rank), str(folder / "word"), *whats], cwd=ROOT, stderr=subprocess.PIPE)
        for rank in (0, 1)
    ]
    try:
        reference = make(store, {})
        assert train(Job(reference, "train")) == "finished"
        ends = [one.communicate(timeout=150)[1].decode() for one in both]
    finally:
        for one in both:
            one.kill()
    assert [one.returncode for one in both] == [0, 0], "\n".join(ends)
    return Trained(reference, runs)


def make(store: RunStore, changed: dict[str, Any]) -> Run:
    return store.create(parse_config(merge(CONFIG, changed)))


def samples(run: Run) -> dict[tuple[int, int], str]:
    found = read_events(run.events)[0]
    return {(event.step, event.index): event.answer for event in found if isinstance(event, Sample)}


def begins_alike(run: Run, reference: Run, steps: int) -> None:
    """Both lost and answered the same up to a step, where one was stopped."""
    assert losses(run) == pytest.approx({step: losses(reference)[step] for step in range(1, steps + 1)}, abs=SAME)
    mine, theirs = validations(run), validations(reference)
    assert mine and mine == pytest.approx({step: theirs[step] for step in mine}, abs=SAME)
    told = samples(reference)
    assert samples(run) and samples(run) == {place: told[place] for place in samples(run)}


def test_each_holds_half_of_the_layers_and_both_learn_what_one_learns(trained: Trained) -> None:
    run, seen = trained.runs["stopped"], trained.seen("stopped")
    begins_alike(run, trained.reference, MIDDLE)
    assert seen[0]["whole"] == seen[1]["whole"] == sum(one["held"] for one in seen)
    assert all(abs(one["held"] / one["whole"] - 0.5) < 0.01 for one in seen)
    assert all(sum(one["added"]) > 0 for one in seen), "each had fewer parts than the other now and then"
    assert [one["ended"] for one in seen] == ["cancelled", "cancelled"] and run.checkpoint == MIDDLE
    (said,) = [event.message for event in read_events(run.events)[0] if isinstance(event, Warned)]
    assert "divided over the 2 processes: a process that holds the whole base needs" in said, "the first one's choice"


def test_one_process_goes_on_with_what_two_divided(trained: Trained) -> None:
    run, reference = trained.runs["stopped"], trained.reference
    run.stop_flag.unlink()
    assert train(Job(run, "train")) == "finished"
    events = read_events(run.events)[0]
    prepared = [event for event in events if isinstance(event, Prepared)]
    assert [one.processes for one in prepared] == [2, 1]
    assert [one.recipe.get("shard") for one in prepared] == [True, None]
    assert [event.step for event in events if isinstance(event, Resumed)] == [MIDDLE]
    begins_alike(run, reference, STEPS)
    theirs = weights(reference)
    for name, mine in weights(run).items():
        assert (mine - theirs[name]).abs().max() < 1e-4, name


@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("short")])
def test_memory_that_runs_out_for_one_lets_both_do_it_again(trained: Trained, case: str) -> None:
    rank = CASES[case][1]["refuses"][0]
    refused = [one["refused"] for one in trained.seen(case)]
    assert refused[rank] > 0 and refused[1 - rank] == 0
    begins_alike(trained.runs[case], trained.reference, 2)
    said = [event.message for event in read_events(trained.runs[case].events)[0] if isinstance(event, Warned)]
    told = {"short while answering": "while samples were answered", "short while validating": "in the validation after"}
    assert not rank or not said, "who writes the run tells of its own memory"
    assert rank or f"memory ran out {told.get(case, 'in training step 1')}" in said[0]


def test_memory_that_does_not_suffice_for_one_ends_the_run_of_both_with_what_was_learnt(trained: Trained) -> None:
    run = trained.runs["without any memory"]
    ends = {one["ended"] for one in trained.seen("without any memory")}
    (said,) = ends
    assert "out of memory in training step 3" in said and said.endswith("the adapter is that of step 2")
    assert run.checkpoint == 2 and run.adapter.is_dir()
    begins_alike(run, trained.reference, 2)
