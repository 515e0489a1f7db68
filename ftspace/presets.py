"""The three presets of step 2 and of `--preset`: what each sets, relative to the balanced one. Pure.

A preset sets few fields. What it leaves alone is the config's, or what suits the choice of model and dataset.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftspace.config import RunConfig, default_config


@dataclass(frozen=True)
class Preset:
    """A named choice of settings, relative to the balanced one."""

    name: str
    words: str
    """What it is for."""
    max_steps: int | None = None
    times: int = 1
    """So many times the balanced epochs and rank."""
    max_samples: int | None = None

    @property
    def word(self) -> str:
        """Its name as it is typed."""
        return self.name.split()[0].lower()

    def values(self, epochs: float | None) -> dict[str, Any]:
        """What it sets, by dotted field name; `epochs` are the balanced ones, None where the run chooses them."""
        return {
            "train.max_steps": self.max_steps,
            "train.epochs": epochs and epochs * self.times,
            "lora.r": default_config().lora.r * self.times,
            "eval.max_samples": self.max_samples,
        }


PRESETS = [
    Preset(
        "Quick look",
        "Shows whether everything fits together and which way it goes. Too short to judge a model by.",
        max_steps=40,
        max_samples=60,
    ),
    Preset(
        "Balanced",
        "As long as such an adapter usually needs, and enough questions to see a real difference. Start here.",
        max_samples=300,
    ),
    Preset(
        "Thorough",
        "An adapter of twice the rank, and every question there is. For when Balanced looked good.",
        times=2,
    ),
]
BALANCED = PRESETS[1]
SET = list(BALANCED.values(None))
"""The fields that a preset sets."""


def preset(name: object) -> Preset:
    """The preset of a name, Balanced for none."""
    return next((one for one in PRESETS if one.name == name), BALANCED)


def balanced_epochs(model: str, dataset: str) -> float | None:
    """The epochs of the bundled pair; None for any other choice, where the run chooses them by its rows."""
    default = default_config()
    return default.train.epochs if (model, dataset) == (default.model.id, default.data.id) else None


def nearest(values: Mapping[str, Any], epochs: float | None) -> Preset:
    """The preset that these values are those of; Balanced where they are no preset's."""
    return next(
        (one for one in PRESETS if all(values[name] == set_ for name, set_ in one.values(epochs).items())), BALANCED
    )


def add_preset(parser: argparse.ArgumentParser) -> None:
    """Adds `--preset`; `laid_over` gives what it sets."""
    words = [one.word for one in PRESETS]
    parser.add_argument(
        "--preset",
        choices=words,
        metavar="|".join(words),
        help="how thoroughly, as in the app: wins over the YAML, and flags win over it (default: the config as it is)",
    )


def laid_over(word: str, config: RunConfig) -> dict[str, dict[str, Any]]:
    """What a preset, as it is typed, sets for a config's model and dataset, by section."""
    chosen = next(one for one in PRESETS if one.word == word)
    found: dict[str, dict[str, Any]] = {}
    for name, value in chosen.values(balanced_epochs(config.model.id, config.data.id)).items():
        section, field = name.split(".")
        found.setdefault(section, {})[field] = value
    return found
