"""Whether a model can be trained on a device, by the estimate that a run is checked with. Knows no Hub and no torch."""

from dataclasses import dataclass
from typing import Literal

from ftspace.config import RunConfig
from ftspace.devices import Device
from ftspace.sections import ModelConfig, Quantization
from ftspace.training.facts import Facts
from ftspace.training.forecast import estimated
from ftspace.training.shape import Shape, shape_of

TOKENS = 1024
"""Of each conversation that is reckoned with: as long as the recipe lets one be."""
_ROWS, _QUESTIONS = 1000, 300
_VOCABULARY = 65_536
_HEAD = 64


@dataclass(frozen=True)
class Fit:
    """What a training with the recipe's defaults would need, and what there is."""

    verdict: Literal["yes", "4 bits", "no"]
    needs: int
    """Peak bytes; those in 4 bits where only that fits."""
    has: int
    rough: bool
    """Whether the model's shape is not known, and one of its size was taken."""


def fit_of(shape: Shape, device: Device, *, rough: bool = False) -> Fit:
    """Whether LoRA on a model of this shape fits, as it is stored or with its weights held in 4 bits."""
    needs = _peak(shape, device, "none")
    if needs <= device.memory:
        return Fit("yes", needs, device.memory, rough)
    held = _peak(shape, device, "nf4")
    if held <= device.memory:
        return Fit("4 bits", held, device.memory, rough)
    return Fit("no", held, device.memory, rough)


def shape_like(parameters: int, dtype: str | None) -> Shape:
    """The shape of a usual model with so many parameters, where nothing else is known."""

    def config(hidden: int) -> dict[str, object]:
        return {
            "hidden_size": hidden,
            "num_hidden_layers": max(2, round(hidden / 100)),
            "intermediate_size": hidden * 8 // 3,
            "num_attention_heads": hidden // _HEAD,
            "vocab_size": min(_VOCABULARY, max(1, parameters // (2 * hidden))),
            "tie_word_embeddings": True,
            "dtype": dtype or "bfloat16",
        }

    low, high = 1, 1024
    while low < high:
        middle = (low + high) // 2
        if shape_of(config(middle * _HEAD), None).parameters < parameters:
            low = middle + 1
        else:
            high = middle
    return shape_of(config(low * _HEAD), None)


def _peak(shape: Shape, device: Device, quantization: Quantization) -> int:
    config = RunConfig(model=ModelConfig(quantization=quantization))
    lengths = [(TOKENS, TOKENS)] * 8
    facts = Facts(shape, lengths, {"train": _ROWS, "validation": _ROWS // 20, "test": _QUESTIONS}, _QUESTIONS)
    return estimated(config, facts, device).peak
