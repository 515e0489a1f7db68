"""LoRA's two thin products added into the base's, with nothing cast and nothing kept twice. Knows PEFT's layers.

PEFT computes x W' and (x A') B' apart, casts x to the adapter's float32 and, under autocast, back. Here the adapter is
cast once, its product is added in place, and of the whole only x and x A' are kept for the backward pass.
"""

from functools import partial
from typing import Any

import torch
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import nn
from torch.nn import functional


def fuse(model: nn.Module) -> int:
    """Lets every plain LoRA layer of a PEFT model compute by `LoraProduct`; returns how many there are.

    Layers with dropout, DoRA, a bias on B, quantized weights or several active adapters stay as PEFT has them, and all
    do while their adapter is disabled or merged.
    """
    plain = [module for module in model.modules() if type(module) is LoraLinear and _plain(module)]
    for module in plain:
        module.forward = partial(_forward, module)
    return len(plain)


def _plain(layer: Any) -> bool:
    (name, *others) = layer.active_adapters
    base = layer.base_layer
    return (
        not others
        and type(base) is nn.Linear
        and not base.weight.requires_grad
        and name in layer.lora_A
        and name not in layer.lora_variant
        and isinstance(layer.lora_dropout[name], nn.Identity)
        and layer.lora_B[name].bias is None
    )


def _forward(layer: Any, x: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
    if layer.disable_adapters or layer.merged or rest or any(value is not None for value in more.values()):
        return type(layer).forward(layer, x, *rest, **more)
    (name,) = layer.active_adapters
    base = layer.base_layer
    product: torch.Tensor = _LoraProduct.apply(  # pyright: ignore[reportAssignmentType]
        x, base.weight, base.bias, layer.lora_A[name].weight, layer.lora_B[name].weight, layer.scaling[name]
    )
    return product


class _LoraProduct(torch.autograd.Function):
    """y = x W' + bias + s (x A') B', in the dtype of W; the gradients of A and B in their own."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        down, up = a.to(weight.dtype), (b * scale).to(weight.dtype)
        narrow = flat @ down.t()
        y = functional.linear(flat, weight, bias).addmm_(narrow, up.t())
        ctx.save_for_backward(flat, narrow, weight, down, up)
        ctx.scale, ctx.shape, ctx.dtypes = scale, x.shape, (x.dtype, a.dtype, b.dtype)
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, narrow, weight, down, up = ctx.saved_tensors
        x_dtype, a_dtype, b_dtype = ctx.dtypes
        given = gradients[0].reshape(-1, weight.shape[0])
        thin = given @ up
        for_x = None
        if ctx.needs_input_grad[0]:
            for_x = (given @ weight).addmm_(thin, down).view(ctx.shape).to(x_dtype)
        for_a = (thin.t() @ flat).to(a_dtype)
        for_b = (given.t() @ narrow).to(b_dtype) * ctx.scale
        return for_x, None, None, for_a, for_b, None
