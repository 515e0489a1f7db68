"""How far tuning moved the weights: the norm of each update over that of the weight it changes. Knows PEFT, no tasks.

A LoRA update is never multiplied out: the squared norm of `s * B @ A` is `s^2` times the trace of `(B^T B)(A A^T)`, two
matrices of rank by rank.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from peft.tuners.trainable_tokens import TrainableTokensLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.integrations import dequantize_module_weight
from peft.utils.other import ModulesToSaveWrapper

from evals.sides import DEFAULT, Whole

_Moved = tuple[str, float, float]
"""A kind of module, the squared norm of its update, and that of what it changes."""


def update_norms(model: Any) -> tuple[float, dict[str, float]]:
    """Return the norm of all updates over that of the weights they change, and the same for each kind of module.

    Args:
        model: a pair (`evals.sides`); of several adapters the one that makes it tuned is measured.

    Returns:
        NaN and nothing where tuning changes no weights (a trained prompt) or changes them in a way not known here.
    """
    moved = _of_whole(model) if isinstance(model, Whole) else _of_adapter(model)
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    with torch.no_grad():
        for kind, update, weight in moved:
            sums[kind][0] += update
            sums[kind][1] += weight
    total = [sum(one[part] for one in sums.values()) for part in (0, 1)]
    if not sums or math.isnan(total[0]):
        return math.nan, {}
    return _ratio(*total), {kind: _ratio(*one) for kind, one in sorted(sums.items())}


def _ratio(update: float, weight: float) -> float:
    return math.sqrt(update / weight) if weight else math.nan


def _of_whole(model: Whole) -> Iterator[_Moved]:
    for name, tuned, base in model.weights():
        yield name.split(".")[-2], _squared(tuned.float() - base.float()), _squared(base)


def _of_adapter(model: PeftModel) -> Iterator[_Moved]:
    for name, module in model.named_modules():
        if not isinstance(module, BaseTunerLayer | ModulesToSaveWrapper):
            continue
        kind = name.removesuffix(".token_adapter").rpartition(".")[2]
        if isinstance(module, ModulesToSaveWrapper):
            yield from _of_saved(kind, module)
        elif isinstance(module, TrainableTokensLayer):
            yield from _of_tokens(kind, module)
        else:
            yield from _of_layer(kind, module)


def _of_saved(kind: str, module: Any) -> Iterator[_Moved]:
    if DEFAULT in module.modules_to_save:
        first = dict(module.original_module.named_parameters())
        for name, tuned in module.modules_to_save[DEFAULT].named_parameters():
            yield kind, _squared(tuned.float() - first[name].float()), _squared(first[name])


def _of_tokens(kind: str, module: Any) -> Iterator[_Moved]:
    if DEFAULT in module.token_indices and module.tied_adapter is None:
        weight, rows = module.get_base_layer().weight, module.trainable_tokens_delta[DEFAULT]
        yield kind, _squared(rows.float() - weight[module.token_indices[DEFAULT]].float()), _squared(weight)


def _of_layer(kind: str, module: Any) -> Iterator[_Moved]:
    if isinstance(module, LoraLayer) and DEFAULT not in module.scaling:
        return
    weight: torch.Tensor = dequantize_module_weight(module.get_base_layer()).detach()
    yield kind, _of_lora(module, weight) if isinstance(module, LoraLayer) else math.nan, _squared(weight)


def _of_lora(module: Any, weight: torch.Tensor) -> float:
    if DEFAULT in module.lora_magnitude_vector:  # DoRA
        update = module.get_delta_weight(DEFAULT).float()
        whole = weight.float() + update
        by_column = DEFAULT in module.lora_embedding_A or getattr(module, "fan_in_fan_out", False)
        lengths = torch.linalg.vector_norm(whole, dim=0 if by_column else 1, keepdim=True)
        magnitude = module.lora_magnitude_vector[DEFAULT].weight.float().view(lengths.shape)
        return _squared(whole * (magnitude / lengths) - weight.float())
    if DEFAULT in module.lora_embedding_A:
        a, b = module.lora_embedding_A[DEFAULT], module.lora_embedding_B[DEFAULT]
    else:
        a, b = module.lora_A[DEFAULT].weight, module.lora_B[DEFAULT].weight
    if a.ndim > 2:
        return _squared(module.get_delta_weight(DEFAULT))
    a, b = a.double(), b.double()
    return module.scaling[DEFAULT] ** 2 * max(0.0, float(((b.T @ b) * (a @ a.T)).sum()))


def _squared(values: torch.Tensor) -> float:
    return float(values.float().square().sum(dtype=torch.float64))
