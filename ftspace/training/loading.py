"""The base model and its tokenizer as a run's config asks for them. Knows models, no data and no trainer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

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


@cache
def fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 clearly faster than float32, as those with AMX or AVX512-BF16 do: measured.

    The product is of a size that a small model's layers have; the best of some tries counts, since others are at work.
    """
    rows, width = 128, 1024
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = torch.ones(rows, width, dtype=dtype), torch.ones(width, width, dtype=dtype)
        seconds[dtype] = _best_of(3, lambda left=left, right=right: torch.nn.functional.linear(left, right))
    return seconds[torch.bfloat16] < 0.7 * seconds[torch.float32]


def _best_of(times: int, work: Callable[[], object]) -> float:
    work()
    taken: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)
