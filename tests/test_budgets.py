"""What a training may take, by the config and by the list price of the machine's GPU."""

import os
from pathlib import Path
from typing import Any

import pytest

from ftspace import preflight
from ftspace.budgets import budget_of, lost_seconds
from ftspace.config import parse_config
from ftspace.devices import this_machine
from ftspace.errors import ConfigError
from ftspace.events import Event, Resumed, Step
from ftspace.sections import TrainConfig


@pytest.mark.parametrize(
    ("given", "seconds", "said"),
    [
        ({}, None, ""),
        ({"max_minutes": 30}, 1800, "30 minutes as train.max_minutes says"),
        ({"max_minutes": 1}, 60, "1 minute as"),
        ({"max_minutes": 0.25}, 15, "0.25 minutes as"),
        ({"max_cost": 1, "price_per_hour": 2.4}, 1500, "25 minutes, which cost 1 at 2.4 an hour, as train.max_cost"),
        ({"max_minutes": 30, "max_cost": 1, "price_per_hour": 2.4}, 1500, "train.max_cost"),
        ({"max_minutes": 20, "max_cost": 1, "price_per_hour": 2.4}, 1200, "train.max_minutes"),
    ],
)
def test_the_smaller_budget_counts(given: dict[str, Any], seconds: float | None, said: str) -> None:
    found = budget_of(TrainConfig(**given))
    assert (found and found.seconds) == seconds
    assert found is None or (said in found.said and found.told(120, 4000).endswith(", at step 120 of 4,000"))


@pytest.mark.parametrize(
    ("gpu", "device", "price"),
    [
        ("Tesla T4, 15360", "auto", 0.40),
        ("NVIDIA A100-SXM4-80GB, 81920", "cuda", 2.50),
        ("NVIDIA H100 80GB HBM3, 81559", "auto", None),
        ("NVIDIA GeForce RTX 4090, 24564", "auto", None),
        ("Tesla T4, 15360", "cpu", None),
        ("", "auto", None),
    ],
)
def test_the_price_is_that_of_the_gpu_and_a_cost_without_a_price_is_refused(
    gpu: str, device: str, price: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\necho '{gpu}'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    config = parse_config({"train": {"max_cost": 1, "device": device}, "eval": {"tasks": []}})
    if price is not None:
        found = budget_of(config.train)
        assert found is not None and found.seconds == pytest.approx(3600 / price)
        assert this_machine(tmp_path, device=device).kind == "cuda"
    else:
        with pytest.raises(ConfigError, match=r"max_cost: what an hour .* give train\.price_per_hour"):
            preflight.check(config, tmp_path / "runs")


def test_what_was_cut_off_counts() -> None:
    def step(number: int, seconds: float) -> Step:
        return Step(step=number, epoch=0, loss=1, learning_rate=1, tokens=1, seconds=seconds)

    events: list[Event] = [step(1, 10), step(2, 20), step(3, 30)]
    assert lost_seconds([], 0) == 0 and lost_seconds(events, 3) == 0
    assert (lost_seconds(events, 1), lost_seconds(events, 0)) == (20, 30)
    again = [*events, Resumed(step=1), step(2, 25), step(3, 35)]
    assert lost_seconds(again, 2) == 20 + 10
