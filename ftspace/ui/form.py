"""The form of the Tune step: its fields made from the config, its presets, and the config made from its values.

Widgets come from a field's type, their help from its docstring; nothing is said here twice.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import gradio as gr
from gradio.components import Component

from evals.tasks import SUITES
from ftspace.config import RunConfig, choices_of, default_config, help_of, merge, parse_config, sections
from ftspace.preflight import HELDOUT
from ftspace.settings import ASSETS, ROOT

MAIN = ["train.epochs", "train.max_steps", "train.learning_rate", "train.batch_size", "lora.r", "eval.max_samples"]
MORE = [
    "train.micro_batch_tokens",
    "train.max_length",
    "train.truncation_side",
    "train.scheduler",
    "train.seed",
    "lora.alpha",
    "lora.method",
    "model.quantization",
    "data.max_samples",
    "data.test_fraction",
    "eval.max_new_tokens",
    "data.system",
    "train.gradient_checkpointing",
    "eval.shots",
    "eval.noise",
]
TASKS, FORGETTING = "eval.tasks", "eval.forgetting"
GENERAL, INSTRUCTIONS = SUITES
CHOSEN = [TASKS, FORGETTING]
"""The fields that are lists of tasks."""
NAMES = [*MAIN, TASKS, *MORE, FORGETTING]
"""All fields, in the order of their values."""
_LABELS = {
    "lora.r": "LoRA rank",
    "lora.alpha": "LoRA alpha",
    "eval.max_samples": "Questions a task",
    "data.max_samples": "Rows of the dataset",
    "data.system": "System prompt",
    "data.test_fraction": "Share kept for the test",
    "train.seed": "Seed",
    "eval.shots": "Also ask the base with examples",
    "eval.noise": "Also ask the base twice",
    TASKS: "Ask both models",
    FORGETTING: "Must not be lost",
}


@dataclass(frozen=True)
class Preset:
    """A named choice of settings, relative to the balanced one."""

    name: str
    words: str
    max_steps: int | None = None
    times: int = 1
    """So many times the balanced epochs and rank."""
    max_samples: int | None = None

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
        "40 steps and 60 questions a task. Shows whether everything fits together and which way it goes; too short to "
        "judge a model by.",
        max_steps=40,
        max_samples=60,
    ),
    Preset(
        "Balanced",
        "As long as such an adapter usually needs, and up to 300 questions a task: enough to see a real difference. "
        "Start here.",
        max_samples=300,
    ),
    Preset(
        "Thorough",
        "An adapter twice the size, every question there is, and for the bundled example twice the training; with your "
        "own data set Epochs to twice what Balanced took. For when Balanced looked good.",
        times=2,
    ),
]
BALANCED = PRESETS[1]


SET = list(BALANCED.values(None))
"""The fields that a preset sets."""


def preset(name: str | None) -> Preset:
    """The preset of a name, Balanced for none."""
    return next((one for one in PRESETS if one.name == name), BALANCED)


def label_of(name: str) -> str:
    """What a config field is called on the page."""
    return _LABELS.get(name, name.rpartition(".")[2].replace("_", " ").capitalize())


def widget(name: str) -> Component:
    """The input for a config field, with its label and its help; its value is set when the page loads."""
    section, field = name.split(".")
    kind = sections()[section].model_fields[field].annotation
    kinds = get_args(kind) or (kind,)
    label = label_of(name)
    common: dict[str, Any] = {"label": label, "info": help_of(name), "value": value_of(default_config(), name)}
    if name in CHOSEN:
        return gr.CheckboxGroup(choices=task_choices([]), **common)
    if choices := choices_of(name):
        return gr.Dropdown(choices=choices, **common)
    if bool in kinds and type(None) in kinds:
        return gr.Dropdown(choices=[("auto", ""), ("yes", True), ("no", False)], **common)
    if bool in kinds:
        return gr.Checkbox(**common)
    if int in kinds or float in kinds:
        return gr.Number(precision=None if float in kinds else 0, **common)
    return gr.Textbox(lines=2, **common)


def value_of(config: RunConfig, name: str) -> Any:
    """The value of a field by its dotted name, as its widget has it."""
    section, field = name.split(".")
    value = getattr(getattr(config, section), field)
    open_choice = bool in get_args(sections()[section].model_fields[field].annotation)
    return "" if value is None and open_choice else value


def values_of(config: RunConfig) -> list[Any]:
    """The form's values that say this config."""
    return [value_of(config, name) for name in NAMES]


def compose(chosen: RunConfig, values: list[Any]) -> RunConfig:
    """The config of step 1's choice with the form's values laid over it. Raises ConfigError."""
    over: dict[str, Any] = {}
    for name, value in zip(NAMES, values, strict=True):
        section, field = name.split(".")
        blank = isinstance(value, str) and not value.strip()
        over = merge(over, {section: {field: None if blank else value}})
    return parse_config(merge(chosen.model_dump(), over), where="the settings")


SUITED = [TASKS, FORGETTING, "eval.max_new_tokens", "train.epochs", "train.learning_rate"]
"""The fields that follow the choice of model and dataset."""


def suiting(draft: RunConfig, model: str, dataset: str) -> list[Any]:
    """The values of SUITED for a choice: the bundled tasks and recipe are for the bundled pair only.

    Of any other pair it is asked whether it lost what every base model can do.
    """
    if (model, dataset) == (draft.model.id, draft.data.id):
        return [value_of(draft, name) for name in SUITED]
    return [[GENERAL] if name == FORGETTING else value_of(RunConfig(), name) for name in SUITED]


def balanced_epochs(model: str, dataset: str) -> float | None:
    """The epochs of the bundled pair; None for any other choice, where the run chooses them by its rows."""
    default = default_config()
    return default.train.epochs if (model, dataset) == (default.model.id, default.data.id) else None


def task_choices(also: list[str]) -> list[tuple[str, str]]:
    """The tasks to choose from, each with its name for people: the held-out rows, the bundled ones, and `also`."""
    bundled = [str(path.relative_to(ROOT)) for path in sorted((ASSETS / "tasks").glob("*.jsonl"))]
    names = dict.fromkeys([HELDOUT, *bundled, *SUITES, *also])
    words = {
        HELDOUT: "rows kept back from training",
        GENERAL: "what any base model knows",
        INSTRUCTIONS: "following instructions",
    }
    return [(words.get(name, Path(name).stem.replace("_", " ")), name) for name in names]
