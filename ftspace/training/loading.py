"""The base model and its tokenizer as a run's config asks for them. Knows models, no data and no trainer."""

from dataclasses import dataclass
from typing import Any

from evals.errors import EvalError
from evals.models import load_base, load_tokenizer
from ftspace.chat import install_template
from ftspace.config import RunConfig
from ftspace.errors import ModelError
from ftspace.settings import resolve_local


@dataclass(frozen=True)
class Loaded:
    """A base ready to be given an adapter."""

    model: Any
    tokenizer: Any
    """With the run's chat template, and a pad token."""
    untrained: list[int]
    """Ids of tokens that the base was never trained on: their rows must be."""

    @property
    def device(self) -> str:
        """cpu, cuda or mps."""
        return self.model.device.type


def load(config: RunConfig) -> Loaded:
    """Loads what `config.model` names, for training. Raises ModelError in one line."""
    base = str(resolve_local(config.model.id) or config.model.id)
    try:
        tokenizer = load_tokenizer(base, config.model.revision)
        untrained = install_template(tokenizer, config.model.chat_template)
        model = load_base(
            base,
            revision=config.model.revision,
            dtype=config.model.dtype,
            device=config.train.device,
            quantization=config.model.quantization,
            tokenizer=tokenizer,
        )
    except EvalError as error:
        raise ModelError(str(error)) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Loaded(model, tokenizer, untrained)
