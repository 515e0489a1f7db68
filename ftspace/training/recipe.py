"""What a run chooses where its config leaves it open: pure functions of the config and of what is known of the work.

Knows no torch. Each choice names its source.
"""

from dataclasses import dataclass

from ftspace.config import RunConfig


@dataclass(frozen=True)
class Work:
    """What is known of a run before its first step."""

    parameters: int
    """Of the base."""
    rows: int
    """Training rows."""
    mean_tokens: float
    """Of a training row, after the cut."""
    device: str
    """cpu, cuda or mps."""


@dataclass(frozen=True)
class Recipe:
    """The choices of `TrainConfig` that may be left open, made."""

    epochs: float
    learning_rate: float
    batch_size: int
    micro_batch_tokens: int
    gradient_checkpointing: bool


def choose(config: RunConfig, work: Work) -> Recipe:
    """The recipe of a run: what the config says, and the choice for this work where it says nothing."""
    train = config.train
    return Recipe(
        epochs=train.epochs or 3.0,
        learning_rate=train.learning_rate or 2e-4,
        batch_size=train.batch_size or 16,
        micro_batch_tokens=train.micro_batch_tokens or (1024 if work.device == "cpu" else 8192),
        gradient_checkpointing=bool(train.gradient_checkpointing),
    )
