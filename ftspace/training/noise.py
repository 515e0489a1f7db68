"""NEFTune's noise on the embeddings while a model trains (Jain et al., 2023). Knows tensors, no trainer.

Each conversation's noise is uniform up to alpha / sqrt(L d), L being its own length: whether it is padded, or lies
among others in one row, makes no difference. (transformers' own takes the width of the batch for L.)
"""

from typing import Any

import torch

from ftspace.training.documents import LENGTHS


def add_noise(model: Any, embedding: torch.nn.Module, alpha: float) -> None:
    """Adds noise to what `embedding` gives, whenever `model`, the outermost module, is called in training mode."""
    lengths: list[torch.Tensor] = []

    def look(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        lengths[:] = [_lengths(kwargs)]

    def shake(module: torch.nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        if not module.training:
            return output
        (own,) = lengths
        most = alpha / (own.to(output.device).clamp(min=1) * output.shape[-1]).sqrt()
        noise = torch.empty_like(output).uniform_(-1, 1) * most[..., None].to(output.dtype)
        return output + noise

    model.register_forward_pre_hook(look, with_kwargs=True)
    embedding.register_forward_hook(shake)


def _lengths(kwargs: dict[str, Any]) -> torch.Tensor:
    """The length of the conversation that each token belongs to, in the shape of the tokens or for whole rows."""
    if (documents := kwargs.get(LENGTHS)) is not None:
        each = torch.tensor(documents)
        return each.repeat_interleave(each)[None].float()
    mask = kwargs.get("attention_mask")
    if mask is None:
        return torch.full((1, 1), float(kwargs["input_ids"].shape[1]))
    return mask.sum(dim=1, keepdim=True).float()
