"""The trainer's arguments, made from a run's config and recipe. Knows TRL's SFTConfig, no data and no model."""

from typing import Any

import torch
from trl.trainer.sft_config import SFTConfig

from ftspace.config import RunConfig
from ftspace.errors import ConfigError
from ftspace.runs import Run
from ftspace.training.recipe import Recipe, schedule_options
from ftspace.training.trackers import tracking

_BITSANDBYTES = ("adamw_8bit", "paged_adamw_32bit", "paged_adamw_8bit", "lion_32bit", "lion_8bit")


def arguments_of(
    run: Run,
    recipe: Recipe,
    *,
    device: str,
    dtype: torch.dtype,
    rows: int,
    validated: bool,
    steps: int,
    tracked: bool = True,
) -> SFTConfig:
    """SFTConfig of a run. Raises ConfigError for what does not go together here.

    Args:
        run: whose config is asked.
        recipe: the choices that the config may leave open.
        device: cpu, cuda or mps.
        dtype: of the base's weights.
        rows: conversations that go through the model at a time; a divisor of the recipe's batch.
        validated: whether there are validation rows.
        steps: as recipe.py's `steps_of` says.
        tracked: whether this process tells the trackers that the config names.
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
        "optim": _optimizer(config, device),
        "lr_scheduler_type": train.scheduler,
        "lr_scheduler_kwargs": _schedule(config, steps, validated=validated),
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
        **tracking(run, tracked=tracked),
        "disable_tqdm": True,
        "dataloader_pin_memory": device == "cuda",
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
    }
    return SFTConfig(**given)


def _optimizer(config: RunConfig, device: str) -> str:
    """transformers' name. On a CPU there is no other memory to page to, so a paged optimizer is its unpaged self."""
    name = config.train.optimizer
    if device == "mps" and name in _BITSANDBYTES:
        raise ConfigError(f"train.optimizer {name} does not run on mps; use adamw_torch or adafactor")
    unpaged = {"paged_adamw_32bit": "adamw_torch", "paged_adamw_8bit": "adamw_8bit"}
    return unpaged.get(name, name) if device == "cpu" else name


def _schedule(config: RunConfig, steps: int, *, validated: bool) -> dict[str, Any]:
    name = config.train.scheduler
    if name == "reduce_lr_on_plateau" and not validated:
        raise ConfigError(
            "train.scheduler reduce_lr_on_plateau follows the validation loss, and there are no validation rows; "
            "raise data.validation_fraction, or use cosine"
        )
    return schedule_options(name, steps)
