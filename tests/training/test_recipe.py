import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspace.cli import main
from ftspace.config import RunConfig, default_config, parse_config
from ftspace.training import recipe
from ftspace.training.recipe import Recipe, Work, choose, explain, steps_of

BILLION = 10**9
TYPICAL = Work(parameters=7 * BILLION, rows=5_000, mean_tokens=400, device="cuda", memory=80 * BILLION)


def config(**sections: dict[str, Any]) -> RunConfig:
    return parse_config(sections)


def rate(parameters: int, **sections: dict[str, Any]) -> float:
    return recipe.usual_rate(config(**sections), parameters)


def test_what_the_config_says_is_taken() -> None:
    said = {
        "epochs": 7.0,
        "learning_rate": 3e-5,
        "batch_size": 3,
        "micro_batch_tokens": 99,
        "gradient_checkpointing": False,
    }
    asking = Work(parameters=BILLION, rows=10, mean_tokens=10, device="cuda", memory_asks=True)
    assert asdict(choose(config(train=said), asking)) == said
    assert all(one["given"] for one in asdict(explain(config(train=said), asking)).values())


def test_a_typical_run_gets_what_papers_use() -> None:
    found = choose(RunConfig(), TYPICAL)
    assert (found.epochs, found.learning_rate, found.batch_size) == (3.0, 2e-4, 16)
    assert (found.micro_batch_tokens, found.gradient_checkpointing) == (8192, False)


def test_the_embedded_default_keeps_its_batch() -> None:
    found = choose(default_config(), Work(parameters=3_350_000, rows=1523, mean_tokens=60, device="cpu"))
    assert (found.epochs, found.learning_rate, found.batch_size, found.micro_batch_tokens) == (2.0, 1e-3, 16, 1024)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        (rate(70 * BILLION), rate(7 * BILLION)),
        (rate(7 * BILLION), rate(BILLION)),
        (rate(BILLION), rate(BILLION // 10)),
        (rate(BILLION), rate(BILLION, lora={"method": "prefix_tuning"})),
        (rate(BILLION, lora={"alpha": 64}), rate(BILLION)),
        (rate(BILLION, lora={"rslora": True}), rate(BILLION)),
        (rate(BILLION, lora={"plus_ratio": 16}), rate(BILLION)),
        (rate(BILLION, lora={"init": "pissa"}), rate(BILLION)),
        (rate(BILLION, train={"optimizer": "lion_32bit"}), rate(BILLION)),
    ],
)
def test_rates_are_ordered_as_they_should_be(lower: float, higher: float) -> None:
    assert lower < higher


@pytest.mark.parametrize("parameters", [10**7, BILLION, 7 * BILLION, 70 * BILLION])
def test_full_fine_tuning_takes_a_tenth_and_a_quantized_base_the_same(parameters: int) -> None:
    lora = rate(parameters)
    assert rate(parameters, lora={"method": "full"}) == pytest.approx(lora / 10)
    assert rate(parameters, model={"quantization": "nf4"}) == lora


@pytest.mark.parametrize(("rows", "times"), [(10, 10), (199, 10), (200, 5), (2_000, 3), (52_000, 2), (10**6, 1)])
def test_few_rows_are_gone_over_more_often(rows: int, times: float) -> None:
    assert recipe.epochs(rows).value == times


@given(rows=st.integers(1, 10**7), tokens=st.floats(1, 32_768))
def test_a_batch_holds_rows_that_are_there_and_leaves_an_epoch_its_steps(rows: int, tokens: float) -> None:
    size = recipe.batch_size(RunConfig(), rows, tokens).value
    assert 1 <= size <= min(rows, 32)
    assert size <= 4 or (rows / size >= recipe.STEPS_AN_EPOCH and size * tokens <= recipe.BATCH_TOKENS)


@pytest.mark.parametrize(
    ("device", "gigabytes", "tokens"),
    [("cpu", 64, 1024), ("mps", 16, 2048), ("cuda", 16, 2048), ("cuda", 24, 4096), ("cuda", 80, 8192)],
)
def test_a_forward_pass_is_as_large_as_its_device_allows(device: str, gigabytes: int, tokens: int) -> None:
    assert recipe.micro_batch_tokens(device, gigabytes * BILLION).value == tokens


def test_checkpointing_is_for_when_memory_asks_and_nobody_said_otherwise() -> None:
    asking = Work(parameters=BILLION, rows=10, mean_tokens=10, device="cuda", memory_asks=True)
    assert choose(RunConfig(), asking).gradient_checkpointing
    assert not choose(config(train={"gradient_checkpointing": False}), asking).gradient_checkpointing


@pytest.mark.parametrize(("epochs", "steps"), [(2.0, 6), (0.1, 1), (1.5, 5)])
def test_steps_are_those_of_the_trainer(epochs: float, steps: int) -> None:
    made = Recipe(epochs, learning_rate=1e-3, batch_size=8, micro_batch_tokens=512, gradient_checkpointing=False)
    assert steps_of(RunConfig(), made, 17) == steps
    assert steps_of(config(train={"max_steps": 4}), made, 17) == 4


def test_every_choice_says_why() -> None:
    assert all(len(one["why"]) > 10 for one in asdict(explain(RunConfig(), TYPICAL)).values())


def test_the_command_prints_each_choice_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["recipe", "--dataset", "assets/datasets/people.jsonl", "--train.batch_size", "5", "--train.device", "cpu"]
    assert main([*words, "--data-dir", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["batch_size"] == {"value": 5, "why": "as the config says", "given": True}
    assert (found["epochs"]["value"], found["learning_rate"]["value"]) == (3.0, 1e-3)
    assert 1000 < found["work"]["rows"] < 2000
