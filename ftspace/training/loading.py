"""The base model and its tokenizer as a run's config asks for them. Knows models, no data and no trainer."""

from dataclasses import dataclass
from typing import Any

import torch

from evals.errors import EvalError
from evals.models import load_base, load_tokenizer, pick_device
from ftspace.chat import install_template
from ftspace.config import RunConfig
from ftspace.devices import processor_name
from ftspace.errors import FtspaceError, ModelError
from ftspace.preflight import check_precision
from ftspace.settings import resolve_local
from ftspace.training.forecast import training_dtype
from ftspace.training.shape import read_shape


@dataclass(frozen=True)
class Loaded:
    """A base ready to be given an adapter."""

    model: Any
    tokenizer: Any
    """With the run's chat template, and a pad token."""
    untrained: list[int]
    """Ids of tokens that the base was never trained on: their rows must be."""
    place: torch.device | None = None
    """Where it is to be, if it is not there yet."""

    def settle(self) -> None:
        """Puts the base where it is to be."""
        if self.place is not None:
            self.model.to(self.place)

    @property
    def device(self) -> str:
        """cpu, cuda or mps."""
        return self._end.type

    @property
    def hardware(self) -> str:
        """The name of the GPU or processor."""
        return torch.cuda.get_device_name(self._end) if self.device == "cuda" else processor_name()

    @property
    def memory(self) -> int | None:
        """Bytes of the GPU; None on any other device."""
        return torch.cuda.get_device_properties(self._end).total_memory if self.device == "cuda" else None

    @property
    def _end(self) -> torch.device:
        return self.place or self.model.device


def load(config: RunConfig, *, later: bool = False) -> Loaded:
    """Loads what `config.model` names, for training; `later` leaves it in the processor's memory until `settle`.

    Raises ModelError or ConfigError in one line.
    """
    check_precision(config)
    tokenizer, untrained = tokenizer_of(config)
    try:
        model = load_base(
            str(resolve_local(config.model.id) or config.model.id),
            revision=config.model.revision,
            dtype=_dtype(config),
            device=config.train.device,
            quantization=config.model.quantization,
            trust_code=config.model.trust_code,
            tokenizer=tokenizer,
            moved=not later,
        )
        place = pick_device(config.train.device) if later else None  # who is there, packed weights too, stays
    except EvalError as error:
        raise ModelError(str(error)) from error
    if model.dtype == torch.float16 and config.lora.method != "full":
        raise ModelError(f"{config.model.id} is stored in float16, which does not train; set model.dtype to bfloat16")
    return Loaded(model, tokenizer, untrained, place)


def tokenizer_of(config: RunConfig) -> tuple[Any, list[int]]:
    """The base's tokenizer as training has it, with a pad token, and the ids that the base was never trained on.

    Raises ModelError.
    """
    base = str(resolve_local(config.model.id) or config.model.id)
    try:
        tokenizer = load_tokenizer(base, config.model.revision, config.model.trust_code)
    except EvalError as error:
        raise ModelError(str(error)) from error
    untrained = install_template(tokenizer, config.model.chat_template)
    if untrained and getattr(tokenizer, "_auto_class", None):
        raise ModelError(
            "model.chat_template brings tokens that the model lacks, and a tokenizer with code of its own is not "
            "given any; choose a template whose tokens it has"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, untrained


def _dtype(config: RunConfig) -> str:
    """The weights' number format; auto where nothing but loading the model can tell."""
    try:
        shape = read_shape(config.model)
    except FtspaceError:
        return config.model.dtype
    kind = pick_device(config.train.device).type
    found = training_dtype(shape, config, kind)
    return found if kind == "cpu" or found != shape.dtype else config.model.dtype
