"""Makes trained token rows and TRL's fused output head work together. Knows no data and no recipe."""

from typing import Any


def complete_head(model: Any) -> None:
    """Gives the output head of a causal language model the `bias` that TRL's fused head asks it for.

    PEFT wraps a head that shares its weight with trained token rows (`trainable_token_indices`, tied embeddings). The
    wrapper hands out the merged weight, gradient included, but raises AttributeError for a bias (peft 0.21, trl 1.16).
    """
    head = model.get_output_embeddings()
    if not hasattr(head, "bias"):
        head.bias = None
