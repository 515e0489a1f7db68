"""Which weights are trained beside the base's, and how they are saved. Knows PEFT, no data and no trainer."""

from typing import Any

from peft import LoraConfig, PeftConfig

from ftspace.config import RunConfig
from ftspace.training.heads import token_rows


def adapter_of(config: RunConfig, model: Any, untrained: list[int]) -> PeftConfig:
    """PEFT's config of the adapter that a run trains; `untrained` are tokens whose rows are trained with it."""
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora.r,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=config.lora.target_modules,
        trainable_token_indices=token_rows(model, untrained),
    )
