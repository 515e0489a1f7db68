"""When the base is divided over the processes, what that saves, and with what it does not go together."""

from dataclasses import replace
from typing import Any

import pytest

from ftspace.config import parse_config
from ftspace.devices import Device
from ftspace.errors import ConfigError
from ftspace.launchers.processes import check_processes
from ftspace.training import estimate
from ftspace.training.forecast import advise, estimated, forecast
from ftspace.training.sharding import divided, may_divide, sharding
from tests.training.test_estimate import SEVEN, config, facts, llama

GPU = Device("a GPU", "cuda", 24 * 10**9, half=1e14, single=2e13, bandwidth=1e12, launch_seconds=1e-5)
THIRTEEN = llama(40, 5120, 13824, 32000)


def test_a_base_is_divided_where_one_process_needs_more_than_its_device_has() -> None:
    asked = {"eval": {"tasks": []}, "train": {"micro_batch_tokens": 1024}}
    alone = estimated(config(**asked), facts(THIRTEEN), GPU, processes=1)
    both = estimated(config(**asked), facts(THIRTEEN), GPU, processes=2)
    assert alone.memory.total > GPU.memory and not alone.shard.value
    assert alone.recipe.gradient_checkpointing and both.recipe.gradient_checkpointing, "which is tried before"
    assert both.shard.value and not both.shard.given and both.memory.total <= GPU.memory
    assert f"needs {alone.memory.total / 1e9:.1f} GB, and a device has 24.0 GB" in both.shard.why
    roomy = replace(GPU, memory=80 * 10**9)
    assert not estimated(config(**asked), facts(THIRTEEN), roomy, processes=2).shard.value
    assert estimated(config(**asked, launch={"shard": True}), facts(THIRTEEN), roomy, processes=2).shard.given
    assert not estimated(config(**asked, launch={"shard": False}), facts(THIRTEEN), GPU, processes=2).shard.value
    for whole in ({"lora": {"method": "adalora"}}, {"lora": {"dora": True}}, {"model": {"quantization": "int8"}}):
        assert not estimated(config(**asked, **whole), facts(THIRTEEN), GPU, processes=2).shard.value


def test_a_process_holds_its_share_of_the_layers_and_two_of_them_whole() -> None:
    whole = estimate.Memory(idle=1, weights=13.48e9, adapters=2, activations=3, logits=4, slack=5)
    layers = 2 * SEVEN.linear
    found = divided(whole, SEVEN, config(), "bfloat16", 4)
    assert found.weights == pytest.approx(2 * (SEVEN.parameters - SEVEN.linear) + layers / 4 + layers / 16, rel=1e-3)
    assert replace(found, weights=whole.weights) == whole


def test_the_forecast_says_it_and_its_advice_can_be_followed() -> None:
    given = config(launch={"processes": 2, "shard": True}, eval={"tasks": []})
    found = forecast(given, facts(SEVEN), GPU, ())
    assert found.recipe["shard"] is True and "send each other the layers is not counted" in found.doubts[-1]
    small = replace(GPU, memory=6 * 10**9)
    assert any("nf4" in one for one in advise(given, facts(SEVEN), small, estimated(given, facts(SEVEN), small)))


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"launch": {"processes": 1}}, "processes is 1"),
        ({"launch": {"launcher": "zerogpu"}}, "not for zerogpu"),
        ({"launch": {"launcher": "hf-jobs"}}, "not for hf-jobs"),
        ({"lora": {"method": "full"}}, "lora.method full trains the base's weights"),
        ({"lora": {"method": "prefix_tuning"}}, "lora.method is prefix_tuning"),
        ({"lora": {"dora": True}}, "lora.dora"),
        ({"lora": {"init": "pissa"}}, "lora.init pissa"),
        ({"model": {"quantization": "nf4"}}, "model.quantization nf4"),
    ],
)
def test_what_does_not_go_with_it_is_refused_in_a_line(sections: dict[str, Any], said: str) -> None:
    launch = {"shard": True, **sections.get("launch", {})}
    with pytest.raises(ConfigError, match=said) as refused:
        parse_config({**sections, "launch": launch})
    assert "\n" not in str(refused.value)


def test_one_process_here_cannot_divide_anything() -> None:
    alone = parse_config({"launch": {"shard": True}, "train": {"device": "cpu"}})
    with pytest.raises(ConfigError, match=r"one trains here; set launch\.processes"):
        check_processes(alone)
    assert not may_divide(alone, 1) and not sharding(alone, 1, needs=2, has=1).value
