"""An adapter folded into the weights of its base: each computed in float32 and rounded once. Knows PEFT, no files."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from evals.errors import one_line
from ftspace.errors import ModelError

Tell = Callable[[str, int, int], None]
"""Told what is done now, and how far it is: done of all."""


def fold(model: Any, dtype: torch.dtype, tell: Tell = lambda *_: None) -> Any:
    """The plain model with a PEFT model's active adapter in its weights, each computed in float32 and rounded once."""
    _untie(model.get_base_model())
    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="All adapters are already merged")
            warnings.filterwarnings("ignore", message="Input and output embeddings are no longer tied")
            for done, layer in enumerate(layers):
                tell("merging", done, len(layers))
                weight: Any = layer.get_base_layer().weight
                weight.data = weight.data.float()
                layer.merge(safe_merge=True)
                weight = layer.get_base_layer().weight
                weight.data = weight.data.to(dtype)
            plain = model.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise ModelError(f"the adapter cannot be merged: {one_line(error)}") from error
    for weight in plain.parameters():
        if weight.is_floating_point():
            weight.data = weight.data.to(dtype)
    return plain


def _untie(model: Any) -> None:
    """Parts an embedding from the head that shares its weight, where an adapter changes one of them only."""
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    wrapped = [isinstance(end, BaseTunerLayer) for end in ends]
    embedding, head = (end.get_base_layer() if inside else end for end, inside in zip(ends, wrapped, strict=True))
    if any(wrapped) and embedding.weight is head.weight:
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False
