"""Which token rows are trained, and how they work with TRL's fused output head. Knows no data and no recipe."""

from typing import Any


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
