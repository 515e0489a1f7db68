"""How what is trained is stepped, where the trainer's own way is not enough: LoRA+ and AdaLoRA. Knows PEFT."""

from typing import Any

import torch
from peft import AdaLoraConfig
from peft.optimizers import create_loraplus_optimizer
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ftspace.config import RunConfig


def optimizers_of(
    config: RunConfig, model: Any, arguments: TrainingArguments
) -> tuple[torch.optim.Optimizer | None, None]:
    """What the trainer takes as `optimizers`: with LoRA+ one in which B learns faster than A, else none given."""
    ratio = config.lora.plus_ratio
    if ratio is None:
        return None, None
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
    options |= {"loraplus_weight_decay": config.train.weight_decay, "lr": arguments.learning_rate}
    return create_loraplus_optimizer(model, kind, loraplus_lr_ratio=ratio, **options), None


def callbacks_of(model: Any) -> list[TrainerCallback]:
    """What must happen around each optimizer step."""
    config = getattr(model, "peft_config", {}).get("default")
    return [RankCallback()] if isinstance(config, AdaLoraConfig) else []


class RankCallback(TrainerCallback):
    """AdaLoRA's two duties at each step: to keep A and B near orthogonal, and to share out the ranks anew.

    The penalty is put into the gradients, since losses are computed here without the model's own loss.
    """

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Adds the penalty's gradients to the step's."""
        model = kwargs["model"]
        named = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
        parts = [one for name, one in named if ".lora_A." in name]
        parts += [one.T for name, one in named if ".lora_B." in name]
        total = sum((_skewness(one) for one in parts), torch.zeros((), device=model.device))
        (model.peft_config["default"].orth_reg_weight * total / max(len(parts), 1)).backward()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Takes ranks from the layers that need them least; the gradients are still there."""
        kwargs["model"].base_model.update_and_allocate(state.global_step)


def _skewness(weight: torch.Tensor) -> torch.Tensor:
    """How far a matrix's rows are from orthonormal."""
    return torch.linalg.norm(weight @ weight.T - torch.eye(len(weight), device=weight.device, dtype=weight.dtype))
