"""What a job foresees of itself, from its real rows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset

from ftspace.config import RunConfig
from ftspace.devices import Device, Speed, keep_speed
from ftspace.events import Prepared
from ftspace.runs import Run, RunStore
from ftspace.training.predict import Foreseen, foresee, machine
from ftspace.training.recipe import Recipe

HERE = Device("here", "cpu", 10**12, half=2e11, single=1e11, bandwidth=2e10, launch_seconds=1e-5)
RECIPE = Recipe(2.0, 1e-3, batch_size=4, micro_batch_tokens=100, gradient_checkpointing=False)


def make_run(folder: Path, **train: Any) -> Run:
    return RunStore(folder / "runs").create(RunConfig.model_validate({"train": {"device": "cpu", **train}}))


def foreseen(run: Run, rows: list[int], here: Device = HERE, recipe: Recipe = RECIPE) -> Foreseen:
    dataset = Dataset.from_list([{"input_ids": [5] * count, "labels": [-100] + [5] * (count - 1)} for count in rows])
    return foresee(run, recipe, dataset, {"train": len(rows), "validation": 0, "test": 0}, 0, here)


def test_one_long_conversation_decides_what_memory_asks_for(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    short, long = [20] * 500, [20] * 499 + [1000]
    enough = (foreseen(run, short).told["predicted_bytes"] + foreseen(run, long).told["predicted_bytes"]) // 2
    between = replace(HERE, memory=enough)
    assert foreseen(run, short, between).recipe == RECIPE
    asked = foreseen(run, long, between)
    assert asked.recipe == replace(RECIPE, gradient_checkpointing=True)
    assert asked.told["predicted_bytes"] < foreseen(run, long).told["predicted_bytes"]
    said = foreseen(make_run(tmp_path, gradient_checkpointing=False), long, between)
    assert said.recipe == RECIPE


def test_what_is_told_is_of_the_recipe_in_use(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    once, twice = (foreseen(run, [50] * 40, recipe=replace(RECIPE, epochs=times)).told for times in (1.0, 2.0))
    assert twice["predicted_seconds"] == 2 * once["predicted_seconds"]
    assert set(once) <= set(Prepared.model_fields)


def test_the_machine_is_the_one_that_was_measured(tmp_path: Path) -> None:
    keep_speed(tmp_path, Speed(half=2e11, single=1e11, bandwidth=1e10, launch_seconds=5e-6))
    here = machine(make_run(tmp_path))
    assert (here.kind, here.measured) == ("cpu", True)
