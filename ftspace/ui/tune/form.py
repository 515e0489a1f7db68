"""The form of the Tune step: its fields made from the config, and the config made from its values.

Widgets come from a field's type, their help from its docstring; nothing is said here twice. Which fields there are, in
which groups and under which labels, is fields.py's; what a preset sets is presets.py's.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import gradio as gr
from gradio.components import Component

from evals.metrics import METRICS
from evals.tasks import SUITES
from evals.titles import task_title
from ftspace.config import RunConfig, choices_of, default_config, help_of, merge, sections
from ftspace.errors import ConfigError
from ftspace.fields import FORGETTING, NAMES, REVISION, TASKS, id_of, label_of
from ftspace.preflight import HELDOUT
from ftspace.presets import Preset, balanced_epochs
from ftspace.sections import Tracker
from ftspace.settings import ASSETS, ROOT
from ftspace.ui.tune.complaints import Wrong, found_in

GENERAL, INSTRUCTIONS = SUITES
CHOSEN = [TASKS, FORGETTING]
"""The fields that are lists of tasks."""
TARGETS = "lora.target_modules"
_LISTED = {TARGETS: ["all-linear"], "train.report_to": [*get_args(Tracker)], "eval.metrics": [*METRICS]}
"""What lists are offered; anything else can be typed, too."""
_COMMAND_LINE = re.compile(r"; on the command line, between commas")
_LONG = ("data.system",)
_STEPS = {"train.learning_rate": 1e-4, "train.epochs": 1}
"""How far an arrow key changes a number that need not be whole, where it is not a hundredth."""


def widget(name: str) -> Component:
    """The input for a config field, with its label and its help; its value is set when the page loads."""
    kind = _kind_of(name)
    kinds = get_args(kind) or (kind,)
    common: dict[str, Any] = {
        "label": label_of(name),
        "info": help_on_page(name),
        "value": value_of(default_config(), name),
        "elem_id": id_of(name),
        "elem_classes": "ft-setting",
    }
    if name in CHOSEN:
        return gr.Dropdown(choices=task_choices([]), multiselect=True, allow_custom_value=True, **common)
    if _is_list(name):
        return gr.Dropdown(choices=_LISTED.get(name, []), multiselect=True, allow_custom_value=True, **common)
    if choices := choices_of(name):
        return gr.Dropdown(choices=choices, **common)
    if bool in kinds and type(None) in kinds:
        return gr.Dropdown(choices=[("auto", ""), ("yes", True), ("no", False)], **common)
    if bool in kinds:
        return gr.Checkbox(**common)
    if int in kinds or float in kinds:
        return gr.Number(step=1 if int in kinds else _STEPS.get(name, 0.01), **common)
    return gr.Textbox(lines=3 if name in _LONG else 1, max_lines=12 if name in _LONG else 1, **common)


def typed(made: Any) -> Any:
    """The event of a widget whose value somebody changed; gradio's text fields tell of a paste by `change` only."""
    return made.change if isinstance(made, gr.Textbox) else made.input


def help_on_page(name: str) -> str:
    """A field's help without what is only true of the command line."""
    return _COMMAND_LINE.sub("", " ".join(help_of(name).split()))


def value_of(config: RunConfig, name: str) -> Any:
    """The value of a field by its dotted name, as its widget has it."""
    section, field = name.split(".")
    value = getattr(getattr(config, section), field)
    if _is_list(name):
        return [value] if isinstance(value, str) else list(value)
    return "" if value is None and bool in get_args(_kind_of(name)) else value


def values_of(config: RunConfig) -> list[Any]:
    """The form's values that say this config."""
    return [value_of(config, name) for name in NAMES]


def look(chosen: RunConfig, values: Sequence[Any]) -> tuple[RunConfig | None, list[Wrong]]:
    """The config of step 1's choice with the form's values laid over it, or what is wrong with them."""
    over: dict[str, Any] = {}
    for name, value in zip(NAMES, values, strict=True):
        section, field = name.split(".")
        if name == "lora.init" and chosen.lora.start_from:
            value = "default"  # the adapter that is trained on says how it starts
        over = merge(over, {section: {field: _said(name, value)}})
    return found_in(merge(chosen.model_dump(), over))


def compose(chosen: RunConfig, values: Sequence[Any]) -> RunConfig:
    """The config that `look` finds. Raises ConfigError."""
    config, wrong = look(chosen, values)
    if config is None:
        raise ConfigError("the settings: " + "; ".join(f"{one.field}: {one.words}" for one in wrong))
    return config


def plain(preset: Preset, model: str, dataset: str) -> dict[str, Any]:
    """What the form says where nothing was changed: a preset for a choice of model and dataset."""
    default = default_config()
    values = {name: value_of(default, name) for name in NAMES}
    values |= dict(zip(SUITED, suiting(default, model, dataset), strict=True))
    return values | preset.values(balanced_epochs(model, dataset))


def changed(values: Sequence[Any], preset: Preset, model: str, dataset: str) -> dict[str, Any]:
    """The fields that say otherwise than the preset, each with what the preset says."""
    before = plain(preset, model, dataset)
    now = dict(zip(NAMES, values, strict=True))
    return {name: before[name] for name in NAMES if _said(name, now[name]) != _said(name, before[name])}


def shown(name: str, value: Any) -> str:
    """A value in a few words."""
    said = _said(name, value)
    if said is None:
        return "auto" if "not given" in help_of(name) else "none"
    if isinstance(said, bool):
        return "on" if said else "off"
    if isinstance(said, list):
        return ", ".join(map(str, said)) or "none"
    text = f"{said:g}" if isinstance(said, float) else str(said)
    return text if len(text) <= 60 else f"{text[:59]}…"


SUITED = [TASKS, FORGETTING, "eval.max_new_tokens", "train.epochs", "train.learning_rate", REVISION]
"""The fields that follow the choice of model and dataset."""


def suiting(draft: RunConfig, model: str, dataset: str) -> list[Any]:
    """The values of SUITED for a choice: the bundled tasks and recipe are for the bundled pair only.

    Of any other pair it is asked whether it lost what every base model can do. A revision is one model's.
    """
    if (model, dataset) == (draft.model.id, draft.data.id):
        return [value_of(draft, name) for name in SUITED]
    own = {FORGETTING: [GENERAL], REVISION: draft.model.revision if model == draft.model.id else None}
    return [own[name] if name in own else value_of(RunConfig(), name) for name in SUITED]


_ABOUT = {HELDOUT: ", kept back from training", GENERAL: ", what any base model has"}
"""What a task's title leaves open."""


def task_choices(also: list[str]) -> list[tuple[str, str]]:
    """The tasks to choose from, each with its name for people: the held-out rows, the bundled ones, and `also`."""
    bundled = [str(path.relative_to(ROOT)) for path in sorted((ASSETS / "tasks").glob("*.jsonl"))]
    names = dict.fromkeys([HELDOUT, *bundled, *SUITES, *also])
    return [(f"{task_title(Path(name).stem)}{_ABOUT.get(name, '')}", name) for name in names]


def _said(name: str, value: Any) -> Any:
    """What a widget's value says in a config."""
    if isinstance(value, str) and not value.strip():
        return None
    if _is_list(name):
        found = value if isinstance(value, list) else [] if value is None else [value]
        return "all-linear" if name == TARGETS and found in ([], ["all-linear"]) else found
    return value


def _kind_of(name: str) -> Any:
    section, field = name.split(".")
    return sections()[section].model_fields[field].annotation


def _is_list(name: str) -> bool:
    return name == TARGETS or get_origin(_kind_of(name)) is list


def digest(sent: Sequence[Any]) -> str:
    """What tells one content of the page's widgets from another."""
    return hashlib.sha256(json.dumps(list(sent), default=str).encode()).hexdigest()[:16]
