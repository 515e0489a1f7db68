"""Causal attention of short documents on a CPU, by matrix products. Knows tensors only.

torch's flash attention for CPUs goes through keys in blocks, which is made for long documents: its backward pass in
bfloat16 was two to five times slower than these products up to some 800 tokens (benchmarks/training.py). The weights
are kept for the backward pass, so memory grows with the square of a document's length: hence the limits.
"""

from typing import Any

import torch
from torch.nn import functional

from ftspace.training.shapes import LENGTH, multiple_of

LONGEST = {torch.bfloat16: 640, torch.float32: 128}
"""Up to so many tokens the products are the faster way."""


def suits(query: torch.Tensor, dropout: float) -> bool:
    """Whether documents of this length, on this device and in this dtype, are attended to faster by `causal`."""
    return query.device.type == "cpu" and not dropout and query.shape[2] <= LONGEST.get(query.dtype, 0)


def causal(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float) -> torch.Tensor:
    """Causal attention.

    Args:
        query: (documents, heads, length, width).
        key: (documents, fewer or as many heads, length, width), each head shared by as many queries as it takes.
        value: as `key`.
        scaling: of the products.

    Returns:
        As `query`.
    """
    length = query.shape[2]
    room = -length % (LENGTH if multiple_of(query.dtype, query.device) > 1 else 1)
    if room:  # behind the document, where no token of it looks
        query, key, value = (functional.pad(one, (0, 0, 0, room)) for one in (query, key, value))
    out: torch.Tensor = _Causal.apply(query, key, value, scaling)  # pyright: ignore[reportAssignmentType]
    return out[:, :, :length]


class _Causal(torch.autograd.Function):
    """The weights in float32 for the softmax, in the inputs' dtype for the products."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float) -> torch.Tensor:
        count, heads, length, width = query.shape
        groups, shared = count * key.shape[1], heads // key.shape[1]
        q = query.reshape(groups, shared * length, width)
        k, v = key.reshape(groups, length, width), value.reshape(groups, length, width)
        ahead = torch.full((length, length), float("-inf")).triu_(1)
        scores = torch.bmm(q, k.transpose(1, 2)).float().view(groups, shared, length, length)
        weights = torch.softmax(torch.add(ahead, scores, alpha=scaling), -1)
        weights = weights.to(query.dtype).view(groups, shared * length, length)
        ctx.save_for_backward(q, k, v, weights)
        ctx.scaling, ctx.shapes = scaling, (query.shape, key.shape)
        return torch.bmm(weights, v).view(query.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, weights = ctx.saved_tensors
        given = gradients[0].reshape(q.shape)
        for_value = torch.bmm(weights.transpose(1, 2), given)
        by_weight = torch.bmm(given, v.transpose(1, 2)).float()
        scores = torch.ops.aten._softmax_backward_data(by_weight, weights.float(), -1, torch.float32)
        scores = scores.mul_(ctx.scaling).to(q.dtype)
        for_query, for_key = torch.bmm(scores, k), torch.bmm(scores.transpose(1, 2), q)
        query_shape, key_shape = ctx.shapes
        return for_query.view(query_shape), for_key.view(key_shape), for_value.view(key_shape), None
