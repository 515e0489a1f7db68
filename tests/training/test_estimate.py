"""Memory and time by arithmetic: against sums done by hand, and that more of anything never takes less."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspace.config import RunConfig, parse_config
from ftspace.devices import TABLE, Device
from ftspace.training import estimate
from ftspace.training.facts import Facts
from ftspace.training.forecast import estimated, forecast
from ftspace.training.passes import Tokens, profile
from ftspace.training.recipe import Recipe
from ftspace.training.shape import Shape, shape_of

CPU = Device("slow", "cpu", 8 * 10**9, half=2e11, single=1e11, bandwidth=2e10, launch_seconds=1e-5)


def llama(layers: int, hidden: int, inner: int, vocabulary: int, **more: Any) -> Shape:
    """A shape from its config alone, with heads of 64."""
    heads = hidden // 64
    given = {"num_hidden_layers": layers, "hidden_size": hidden, "intermediate_size": inner, "vocab_size": vocabulary}
    return shape_of(given | {"num_attention_heads": heads, "tie_word_embeddings": False} | more, None)


SEVEN = llama(32, 4096, 11008, 32000)
SMALL = llama(30, 576, 1536, 49152, num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True)


def config(**sections: Any) -> RunConfig:
    return parse_config(sections)


def facts(shape: Shape, rows: int = 1000) -> Facts:
    chance = random.Random(1)
    lengths = [(n, n * 7 // 10) for n in (chance.randrange(20, 600) for _ in range(100))]
    return Facts(shape, lengths, {"train": rows, "validation": 50, "test": 100}, questions=100)


def test_the_weights_of_a_seven_billion_model() -> None:
    assert SEVEN.parameters == pytest.approx(6.74e9, rel=0.001)
    assert estimate.weight_bytes(SEVEN, config(), "bfloat16") == pytest.approx(13.48e9, rel=0.001)
    nf4 = config(model={"quantization": "nf4"})
    assert estimate.weight_bytes(SEVEN, nf4, "bfloat16") == pytest.approx(0.516 * 6.476e9 + 2 * 0.262e9, rel=0.001)


def test_lora_of_all_linear_layers_is_counted_as_peft_counts_it() -> None:
    assert estimate.trainable(SEVEN, config(lora={"r": 16})) == 39_976_960
    assert estimate.trainable(SEVEN, config(lora={"r": 8, "target_modules": ["q_proj", "v_proj"]})) == 4_194_304
    assert estimate.trainable(SEVEN, config(lora={"method": "prompt_tuning"})) == 20 * 4096
    assert estimate.trainable(SEVEN, config(lora={"method": "full"})) == SEVEN.parameters
    assert estimate.trainable(SMALL, config(lora={"r": 16}), rows=2) - estimate.trainable(SMALL, config()) == 2 * 576


@pytest.mark.parametrize(
    ("optimizer", "each"), [("adamw_torch", 16), ("adamw_8bit", 10.03), ("sgd", 8), ("lion_32bit", 12)]
)
def test_what_is_trained_costs_its_gradient_and_the_optimizers_state(optimizer: str, each: float) -> None:
    found = memory(SEVEN, config(train={"optimizer": optimizer}))
    assert found.adapters == pytest.approx(39_976_960 * each, rel=0.001)


def test_checkpointing_keeps_little_more_than_one_layer() -> None:
    without, with_it = (memory(SEVEN, config(), checkpointing=on).activations for on in (False, True))
    assert without / with_it > 10
    assert with_it > 32 * 4096 * 2 * 1024


def test_a_head_with_a_cap_behind_it_has_its_logits_made_whole() -> None:
    capped = llama(2, 256, 512, 250_000, final_logit_softcapping=30.0)
    plain = llama(2, 256, 512, 250_000)
    assert memory(capped, config()).logits == 12 * 250_000 * 700
    assert memory(plain, config()).logits < memory(capped, config()).logits / 10


def memory(shape: Shape, of: RunConfig, *, checkpointing: bool = False) -> estimate.Memory:
    return estimate.memory(
        shape, of, kind="cuda", dtype="bfloat16", checkpointing=checkpointing, tokens=1024, supervised=700
    )


def test_the_operations_of_a_step_are_those_of_its_products() -> None:
    tokens = Tokens(1000, 500.0, 0.0, 500, 0.5, 1, 1, 8000, 4000, 0)
    of, recipe = config(lora={"r": 1}), Recipe(1, 1e-4, 16, 8000, gradient_checkpointing=False)
    work = estimate.step_work(SEVEN, of, "bfloat16", recipe, tokens)
    assert work.flops == pytest.approx(8000 * (4 * SEVEN.linear + 4 * 0.5 * SEVEN.head), rel=0.005)
    again = estimate.step_work(SEVEN, of, "bfloat16", Recipe(1, 1e-4, 16, 8000, gradient_checkpointing=True), tokens)
    assert again.flops / work.flops == pytest.approx(1.5, abs=0.03)
    full = estimate.step_work(SEVEN, config(lora={"method": "full"}), "bfloat16", recipe, tokens)
    assert full.flops / work.flops == pytest.approx(1.5, abs=0.03)


@settings(max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 900), min_size=1, max_size=40), batch=st.integers(1, 40), most=st.integers(1, 3000)
)
def test_a_pass_holds_no_more_than_its_budget_or_one_row(lengths: list[int], batch: int, most: int) -> None:
    found = profile([(n, n) for n in lengths], 100, batch, most)
    assert found.peak <= max(most, found.longest)
    assert found.peak_supervised == found.peak
    assert 1 <= found.parts <= found.groups <= batch or found.parts <= batch


def test_a_row_longer_than_a_pass_is_one_pass_whether_drawn_or_not() -> None:
    lengths = [(20, 15)] * 5000 + [(900, 800)]
    found = profile(lengths, 5001, 4, 100, kept=1000)
    assert (found.peak, found.peak_supervised, found.peak_squares) == (900, 800, 900**2)


sizes = st.tuples(
    st.integers(1, 40), st.sampled_from([256, 576, 1024]), st.sampled_from([512, 2816]), st.sampled_from([500, 90_000])
)


@settings(max_examples=30)
@given(size=sizes, place=st.integers(0, 3), dtype=st.sampled_from(["float32", "bfloat16"]), on=st.booleans())
def test_a_larger_model_never_takes_less(size: tuple[int, ...], place: int, dtype: str, *, on: bool) -> None:
    of = config(model={"dtype": dtype}, train={"gradient_checkpointing": on})
    larger = tuple(2 * one if at == place else one for at, one in enumerate(size))
    a, b = (estimated(of, facts(llama(*one)), CPU) for one in (size, larger))
    assert a.peak <= b.peak
    assert a.seconds <= b.seconds
    assert a.step_flops <= b.step_flops


@settings(max_examples=30)
@given(tokens=st.integers(1, 10_000), more=st.integers(1, 10_000), free=st.integers(10**9, 10**11))
def test_what_needs_checkpointing_still_does_with_more_tokens(tokens: int, more: int, free: int) -> None:
    needs = estimate.needs_checkpointing(SEVEN, config(), tokens, free)
    assert needs <= estimate.needs_checkpointing(SEVEN, config(), tokens + more, free)
    assert needs >= estimate.needs_checkpointing(SEVEN, config(), tokens, free + more)


def test_checkpointing_is_turned_on_where_memory_asks_for_it() -> None:
    by_name = {one.name: one for one in TABLE}
    of = config(model={"dtype": "bfloat16"})
    assert estimated(of, facts(SEVEN), by_name["L4"]).recipe.gradient_checkpointing
    assert not estimated(of, facts(SEVEN), by_name["A100-80"]).recipe.gradient_checkpointing


def test_a_recipe_that_is_given_is_the_one_that_is_estimated() -> None:
    given = Recipe(1.5, 1e-4, batch_size=24, micro_batch_tokens=700, gradient_checkpointing=True)
    found = estimated(config(), facts(SMALL), CPU, given)
    assert (found.recipe, found.steps) == (given, 63)
    assert found.tokens.peak <= 700


def test_prompt_methods_pad_their_rows_and_a_prefix_is_never_checkpointed() -> None:
    small = next(one for one in TABLE if one.name == "T4")
    of = config(lora={"method": "prefix_tuning"})
    for method in ("prompt_tuning", "prefix_tuning"):
        of, padded = (config(lora={"method": method}, train={"packing": packing}) for packing in (True, False))
        assert estimated(of, facts(SEVEN), small).tokens == estimated(padded, facts(SEVEN), small).tokens
    found = forecast(of, facts(SEVEN), small)
    assert not found.recipe["gradient_checkpointing"]
    assert not any("gradient_checkpointing" in one for one in found.advice)


@pytest.mark.parametrize(
    ("device", "sections", "word"),
    [
        ("T4", {}, "nf4: it then"),
        ("T4", {"train": {"micro_batch_tokens": 16384}}, "micro_batch_tokens"),
        ("L4", {"lora": {"method": "full"}}, "lora.method to lora"),
        ("T4", {"model": {"dtype": "bfloat16"}, "eval": {"batch_tokens": 200_000}}, "batch_tokens"),
    ],
)
def test_advice_is_given_where_it_does_not_fit_and_was_tried(device: str, sections: Any, word: str) -> None:
    chosen = next(one for one in TABLE if one.name == device)
    found = forecast(config(**sections), facts(SEVEN), chosen)
    assert not found.fits
    assert word in " ".join(found.advice)
    assert "and fits" in found.advice[-1]


def test_a_model_too_large_for_all_is_told_so() -> None:
    found = forecast(config(), facts(llama(100, 16384, 65536, 128_000)), TABLE[0])
    assert "smaller model" in found.advice[-1]
    assert not any(one.fits for one in found.devices)


def test_an_adapter_is_trained_in_no_float16() -> None:
    stored = replace(SMALL, dtype="float16")
    assert estimated(config(), facts(stored), TABLE[0]).dtype == "bfloat16"
    assert estimated(config(lora={"method": "full"}), facts(stored), TABLE[0]).dtype == "float16"
    assert "float16" not in " ".join(forecast(config(), facts(SMALL), TABLE[0]).advice).replace("bfloat16", "")


def test_every_device_has_its_line_and_its_price() -> None:
    found = forecast(config(), facts(SMALL), CPU)
    assert [one.device for one in found.devices] == ["slow", *(one.name for one in TABLE)]
    prices = {one.device: one.dollars for one in found.devices}
    assert prices["H200"] is None
    assert prices["L4"] == pytest.approx(0.80 * found.devices[2].seconds / 3600, abs=1e-3)
    assert sum(found.time.values()) == pytest.approx(found.seconds, abs=0.3)
