"""A checkpoint becomes an adapter that is loaded as any other, with the checkpoint's weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig

from ftspace.errors import ModelError
from ftspace.training.as_adapter import as_adapter
from ftspace.training.checkpoints import TRAINED
from ftspace.training.trained import trained


def base() -> Any:
    torch.manual_seed(0)
    shape = LlamaConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, vocab_size=40)
    return AutoModelForCausalLM.from_config(shape)


def tuned(rank: int = 2) -> Any:
    config = LoraConfig(
        task_type="CAUSAL_LM", r=rank, target_modules=["q_proj"], trainable_token_indices={"embed_tokens": [3, 7]}
    )
    return get_peft_model(base(), config)


def fill(model: Any, value: float) -> None:
    with torch.no_grad():
        for one in model.parameters():
            if one.requires_grad:
                one.fill_(value)


def test_its_weights_are_the_checkpoints(tmp_path: Path) -> None:
    model = tuned()
    fill(model, 0.25)
    (tmp_path / "step-000003").mkdir()
    save_file(trained(model), tmp_path / "step-000003" / TRAINED)
    fill(model, 0.5)
    model.save_pretrained(tmp_path / "adapter")
    made = as_adapter(tmp_path / "step-000003", tmp_path / "adapter", tmp_path / "scratch" / "checkpoint-3")
    loaded: Any = PeftModel.from_pretrained(base(), str(made))
    values = {float(value) for name, one in loaded.named_parameters() if "default" in name for value in one.unique()}
    assert values == {0.25}


def test_weights_of_another_form_are_refused(tmp_path: Path) -> None:
    (tmp_path / "step-000003").mkdir()
    save_file(trained(tuned(rank=3)), tmp_path / "step-000003" / TRAINED)
    tuned().save_pretrained(tmp_path / "adapter")
    with pytest.raises(ModelError, match="not laid out as the adapter's"):
        as_adapter(tmp_path / "step-000003", tmp_path / "adapter", tmp_path / "out")
