"""The sides of one loaded pair, base and tuned: how they are switched and asked. Knows no tasks and no files.

Further adapters of the base (`evals.adapters`) are sides too, by their names.
Tuned is a base with an adapter of PEFT's, or a base with all its weights trained (`Whole`). What is loaded answers as
tuned unless it is switched.
"""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

from evals.errors import ModelError

Side = Literal["base", "tuned"]
DEFAULT = "default"
"""PEFT's name of the adapter that makes the side `tuned`."""


class Whole(nn.Module):
    """A base and the same model with every weight trained: one module, whose weights are exchanged to switch sides."""

    def __init__(self, model: PreTrainedModel, tuned: PreTrainedModel) -> None:
        """Takes the weights out of `tuned`, which is of no use afterwards. Raises ModelError when they don't fit."""
        super().__init__()
        self.model = model
        others = dict(tuned.named_parameters())
        own = dict(model.named_parameters())
        odd = sorted(own.keys() ^ others.keys()) or [name for name in own if own[name].shape != others[name].shape]
        if odd:
            raise ModelError(f"{len(odd)} of its weights have no counterpart in the base, such as {odd[0]}")
        self._weights = list(own.values())
        self._held = [others[name].data for name in own]
        self._exchange()

    def get_base_model(self) -> PreTrainedModel:
        """The module that holds the weights of the side that is on."""
        return self.model

    @contextmanager
    def disable_adapter(self) -> Generator[None]:
        """The base's weights, for as long as the context lasts."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own, with the weights of the side that is on."""
        return self.model(*args, **kwargs)

    def weights(self) -> Generator[tuple[str, torch.Tensor, torch.Tensor]]:
        """Each weight's name, as it is tuned and as it is in the base, when the tuned side is on."""
        for place, (name, tuned) in enumerate(self.model.named_parameters()):
            yield name, tuned.data, self._held[place]

    def _exchange(self) -> None:
        for place, weight in enumerate(self._weights):
            weight.data, self._held[place] = self._held[place], weight.data


def is_pair(model: nn.Module) -> bool:
    """Whether there is a tuned side."""
    return isinstance(model, PeftModel | Whole)


def plain(model: Any) -> Any:
    """The causal language model itself, without what was added to it."""
    return model.get_base_model() if is_pair(model) else model


def names(model: Any) -> list[str]:
    """The sides that there are: base, tuned, and those added by name."""
    added = [name for name in model.peft_config if name != DEFAULT] if isinstance(model, PeftModel) else []
    return ["base", *(["tuned"] if is_pair(model) else []), *added]


def switched(model: Any, which: str) -> AbstractContextManager[None]:
    """A context in which the model answers as `which`. Raises ModelError when there is no such side."""
    if which == "base":
        return model.disable_adapter() if is_pair(model) else nullcontext()
    if which not in names(model):
        what = "adapter, so there is no tuned model to ask" if which == "tuned" else f"adapter called {which} loaded"
        raise ModelError(f"there is no {what}")
    return nullcontext() if which == "tuned" else _activated(model, which)


@contextmanager
def _activated(model: PeftModel, name: str) -> Generator[None]:
    """One adapter in place of the one that is on."""
    before: Any = model.active_adapter
    model.set_adapter(name, inference_mode=True)
    try:
        yield
    finally:
        model.set_adapter(before, inference_mode=True)


def virtual_tokens(model: Any) -> int:
    """How many tokens of the context a trained prompt or prefix takes."""
    config: Any = model.active_peft_config if isinstance(model, PeftModel) else None
    return config.num_virtual_tokens if config and config.is_prompt_learning else 0


def generate(model: Any, which: str, ids: torch.Tensor, mask: torch.Tensor, **options: Any) -> torch.Tensor:
    """The tokens that the side writes after each row, padded on the left; ask within `switched(model, which)`.

    A trained prompt or prefix is put into the cache once, before the padding: PEFT's own way counts the padding in
    between as distance, so an answer would change with its neighbours in the batch.
    """
    ahead = virtual_tokens(model) if which != "base" else 0
    if ahead:
        rows = len(ids)
        ids = torch.cat([ids[:, :1].expand(rows, ahead), ids], dim=1)
        mask = torch.cat([mask.new_ones(rows, ahead), mask], dim=1)
        options["past_key_values"] = prefix(model, rows)
    asked = plain(model) if ahead or isinstance(model, Whole) else model
    return asked.generate(input_ids=ids, attention_mask=mask, **options)[:, ids.shape[1] :]


def prefix(model: Any, rows: int) -> Any:
    """The cache that a trained prompt or prefix leaves."""
    prompt = model.get_prompt(rows)
    if not isinstance(prompt, torch.Tensor):
        return prompt
    base = plain(model)
    return base(inputs_embeds=prompt.to(base.dtype), use_cache=True).past_key_values
