"""A model's shape from its config and the headers of its weights."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from ftspace.errors import ModelError
from ftspace.sections import ModelConfig
from ftspace.training.shape import read_shape, shape_of

LLAMA: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
}


def headers(layers: int = 2) -> dict[str, tuple[str, list[int]]]:
    """Of the same model."""
    found = {"model.embed_tokens.weight": [1000, 64], "lm_head.weight": [1000, 64], "model.norm.weight": [64]}
    for place in range(layers):
        inside = {"self_attn.q_proj": [64, 64], "self_attn.k_proj": [32, 64], "self_attn.v_proj": [32, 64]}
        inside |= {"self_attn.o_proj": [64, 64], "mlp.gate_proj": [160, 64], "mlp.up_proj": [160, 64]}
        inside |= {"mlp.down_proj": [64, 160], "input_layernorm": [64]}
        found |= {f"model.layers.{place}.{name}.weight": size for name, size in inside.items()}
    return {name: ("BF16", size) for name, size in found.items()}


def test_headers_and_config_agree_on_a_llama() -> None:
    counted, reckoned = shape_of(LLAMA, headers()), shape_of(LLAMA, None)
    assert counted.linear == reckoned.linear == 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 160 * 64)
    assert counted.parameters - reckoned.parameters == 3 * 64  # the norms
    assert not counted.tied
    assert counted.doubts == ()
    assert "cannot be read" in reckoned.doubts[0]


def test_the_bundled_base_is_read_from_its_own_header() -> None:
    shape = read_shape(ModelConfig())
    assert (shape.parameters, shape.layers, shape.tied, shape.dtype) == (3_346_944, 4, True, "bfloat16")
    assert {one.name for one in shape.adapted(["q_proj", "v_proj"])} == {"q_proj", "v_proj"}


def test_experts_count_by_the_share_that_a_token_goes_through() -> None:
    config = LLAMA | {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 40}
    tensors = headers() | {
        f"model.layers.0.mlp.experts.{number}.up_proj.weight": ("BF16", [40, 64]) for number in range(8)
    }
    plain, mixed = shape_of(LLAMA, headers()), shape_of(config, tensors)
    assert mixed.active - plain.active == 2 * 40 * 64
    assert "mixture of experts" in " ".join(mixed.doubts)


def test_an_unknown_architecture_falls_back_on_counts() -> None:
    tensors = {"wte.weight": ("F32", [500, 32]), "mixer.a.weight": ("F32", [32, 96])}
    shape = shape_of({"n_layer": 3, "model_type": "odd"}, tensors)
    assert (shape.vocabulary, shape.hidden, shape.dtype) == (500, 32, "float32")
    assert "not known here" in shape.doubts[0]
    assert shape.linear == pytest.approx(32 * 96, rel=0.05)


@pytest.mark.parametrize("config", [{}, {"num_hidden_layers": 2}, {"hidden_size": "wide", "vocab_size": True}])
def test_a_config_that_tells_nothing_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="nothing is estimated"):
        shape_of(config, None)


@pytest.mark.parametrize("content", [b"", b"\x05", struct.pack("<Q", 9) + b"not json!", struct.pack("<Q", 2) + b"[]"])
def test_a_damaged_header_is_a_doubt_and_no_crash(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(content)
    assert "cannot be read" in read_shape(ModelConfig(id=str(tmp_path))).doubts[0]


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        read_shape(ModelConfig(id=str(tmp_path)))
