"""The trainer's arguments, made from a run's config and recipe. Knows TRL's SFTConfig, no data and no model."""

from typing import Any

import torch
from trl.trainer.sft_config import SFTConfig

from ftspace.config import RunConfig
from ftspace.runs import Run
from ftspace.training.recipe import Recipe


def arguments_of(run: Run, recipe: Recipe, *, device: str, dtype: torch.dtype, rows: int, validated: bool) -> SFTConfig:
    """SFTConfig of a run.

    Args:
        run: whose config is asked.
        recipe: the choices that the config may leave open.
        device: cpu, cuda or mps.
        dtype: of the base's weights.
        rows: conversations that go through the model at a time; a divisor of the recipe's batch.
        validated: whether there are validation rows.
    """
    config: RunConfig = run.config
    train = config.train
    given: dict[str, Any] = {
        "output_dir": str(run.checkpoints),
        "per_device_train_batch_size": rows,
        "per_device_eval_batch_size": rows,
        "gradient_accumulation_steps": recipe.batch_size // rows,
        "num_train_epochs": recipe.epochs,
        "max_steps": train.max_steps or -1,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": train.scheduler,
        "warmup_steps": train.warmup,
        "weight_decay": train.weight_decay,
        "max_grad_norm": train.max_grad_norm,
        "activation_checkpointing": recipe.gradient_checkpointing,
        "bf16": device in ("cuda", "cpu") and dtype == torch.bfloat16,
        "use_cpu": device == "cpu",
        "seed": train.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "eval_strategy": "steps" if validated else "no",
        "eval_steps": train.validation_steps,
        "eval_on_start": validated,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": device == "cuda",
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
    }
    return SFTConfig(**given)
