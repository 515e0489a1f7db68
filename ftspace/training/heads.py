"""The output head: which token rows are trained, and the loss straight from the hidden states. Knows no data.

Logits of a whole part (tokens x vocabulary in float32, several copies of it in a backward pass) are most of a small
model's memory. `HeadLoss` goes through them in pieces that stay in the cache and keeps the gradient only.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from peft.utils.other import TrainableTokensWrapper
from torch import nn
from torch.nn import functional

from ftspace.training.shapes import filled, multiple_of

PIECE_BYTES = 2**26
"""Of a piece of logits in float32."""


def complete_head(model: Any) -> None:
    """Gives the output head of a causal language model the `bias` that TRL's fused head asks it for.

    PEFT wraps a head that shares its weight with trained token rows (`trainable_token_indices`, tied embeddings). The
    wrapper hands out the merged weight, gradient included, but raises AttributeError for a bias (peft 0.21, trl 1.16).
    """
    head = model.get_output_embeddings()
    if not hasattr(head, "bias"):
        head.bias = None


def token_rows(model: Any, tokens: list[int]) -> list[int] | dict[str, list[int]] | None:
    """What PEFT's `trainable_token_indices` must be so that rows of new tokens can be both read and written.

    PEFT trains the input embedding's rows, and the output head's with them where the two share their weight. A head of
    its own must be named: else all new tokens keep the same row, the mean, and none could be told from the others.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if not tokens or embedding.weight is head.weight:
        return tokens or None
    return {name: tokens for name, module in model.named_modules() if module is embedding or module is head}


def summed_loss(model: Any, given: dict[str, Any], targets: torch.Tensor, *, fused: bool) -> tuple[torch.Tensor, int]:
    """The summed cross entropy of a forward pass, in nats, and at how many positions the model would choose the target.

    Args:
        model: a causal language model.
        given: the arguments of its forward, which keep as many logits as there are targets.
        targets: (tokens,)
        fused: whether `fuses(model)` said that the loss may be taken from the hidden states.
    """
    if not len(targets):
        return model(**given | {"logits_to_keep": 1}).logits.sum() * 0, 0
    if not fused:
        logits = model(**given).logits[0].float()
        return functional.cross_entropy(logits, targets, reduction="sum"), int((logits.argmax(-1) == targets).sum())
    head = model.get_output_embeddings()
    with _left_out(head):
        hidden = model(**given).logits[0]
    weight = head.weight
    loss, hits = _HeadLoss.apply(hidden.to(weight.dtype), weight, targets, torch.is_grad_enabled())  # pyright: ignore[reportGeneralTypeIssues]
    return loss, int(hits)


def fuses(model: Any, given: dict[str, Any], targets: torch.Tensor) -> bool:
    """Whether the loss from the hidden states is the model's: its head a plain product, nothing changed behind it.

    Tried on a forward pass, in evaluation mode: a model may cap or scale its logits after the head.
    """
    head = model.get_output_embeddings()
    if type(head) not in (nn.Linear, TrainableTokensWrapper) or getattr(head, "bias", None) is not None:
        return False
    training = model.training
    model.eval()
    with torch.no_grad():
        (plain, _), (fused, _) = (summed_loss(model, given, targets, fused=way) for way in (False, True))
    model.train(training)
    return bool((plain - fused).abs() <= 1e-3 * plain.abs())


@contextmanager
def _left_out(head: nn.Module) -> Generator[None]:
    """The head hands its input through, so a model's logits are its hidden states."""
    head.forward = _same
    try:
        yield
    finally:
        del head.forward


def _same(hidden: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
    return hidden


class _HeadLoss(torch.autograd.Function):
    """Loss and gradient of a product and its cross entropy, piece by piece, as in Cut Cross-Entropy (Wijmans, 2024)."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, trained: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        wants_hidden, wants_weight = (trained and one.requires_grad for one in (hidden, weight))
        for_hidden = torch.empty_like(hidden) if wants_hidden else None
        for_weight = torch.zeros_like(weight, dtype=torch.float32) if wants_weight else None
        loss = torch.zeros((), device=hidden.device)
        hits = torch.zeros((), dtype=torch.long, device=hidden.device)
        rows = multiple_of(weight.dtype, weight.device)
        size = max(1, PIECE_BYTES // (4 * weight.shape[0]) // rows) * rows
        for start in range(0, len(targets), size):
            piece = slice(start, start + size)
            states, wanted = hidden[piece], targets[piece, None]
            logits = functional.linear(filled(states, rows), weight)[: len(states)].float()
            top, chosen = logits.max(-1, keepdim=True)
            hits += (chosen == wanted).sum()
            target = logits.gather(1, wanted)
            odds = logits.sub_(top).exp_()
            total = odds.sum(-1, keepdim=True)
            loss += (top + total.log() - target).sum()
            if for_hidden is None and for_weight is None:
                continue
            odds.div_(total).scatter_add_(1, wanted, torch.full_like(total, -1))
            odds = filled(odds.to(weight.dtype), rows)
            if for_hidden is not None:
                for_hidden[piece] = (odds @ weight)[: len(states)]
            if for_weight is not None:
                for_weight += odds.t() @ filled(states, rows)
        ctx.save_for_backward(for_hidden, for_weight)
        ctx.dtype = weight.dtype
        ctx.mark_non_differentiable(hits)
        return loss, hits

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        for_hidden, for_weight = ctx.saved_tensors
        return (
            None if for_hidden is None else for_hidden * gradients[0].to(for_hidden.dtype),
            None if for_weight is None else (for_weight * gradients[0]).to(ctx.dtype),
            None,
            None,
        )
