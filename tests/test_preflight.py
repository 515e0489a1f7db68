"""What is asked before a run is made: memory is a warning, never a refusal."""

import json
import shutil
from pathlib import Path

import pytest

from ftspace import preflight
from ftspace.config import parse_config
from ftspace.settings import ASSETS

HUGE = {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 400,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "dtype": "bfloat16",
}


@pytest.mark.parametrize("huge", [True, False])
def test_a_model_beyond_this_machines_memory_is_warned_of(huge: bool, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(ASSETS / "base", model)
    if huge:
        (model / "config.json").write_text(json.dumps(HUGE), encoding="utf-8")
        (model / "model.safetensors").write_bytes(b"")
    config = parse_config({"model": {"id": str(model)}, "eval": {"tasks": []}, "train": {"device": "cpu"}})
    said = [one for one in preflight.check(config, tmp_path / "runs").warnings if "of memory" in one]
    assert len(said) == huge
    if huge:
        assert "estimated to need" in said[0]
        assert "take a smaller model" in said[0]
