import math
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.tasks import SUITES
from ftspace import commands, presets
from ftspace.config import RunConfig, choices_of, default_config, field_names, help_of, parse_config, sections
from ftspace.errors import ConfigError
from ftspace.fields import CHOSEN_BEFORE, GROUPS, NAMES, NOT_IN_THE_APP, REVISION, label_of
from ftspace.preflight import HELDOUT
from ftspace.presets import BALANCED, PRESETS, balanced_epochs, nearest, preset
from ftspace.ui.tune import form
from ftspace.ui.tune.yaml_view import read, to_text

DEFAULT = default_config()
BUNDLED = (DEFAULT.model.id, DEFAULT.data.id)


def said(changes: dict[str, Any], draft: RunConfig = DEFAULT) -> list[Any]:
    return [changes.get(name, form.value_of(draft, name)) for name in NAMES]


def composed(changes: dict[str, Any], draft: RunConfig = DEFAULT) -> RunConfig:
    return form.compose(draft, said(changes, draft))


def test_every_field_of_the_config_is_in_step_2_once_or_has_a_reason() -> None:
    elsewhere = [*CHOSEN_BEFORE, *NOT_IN_THE_APP]
    assert sorted([*NAMES, *elsewhere]) == sorted(field_names())
    assert all(len(reason) > 20 for reason in (CHOSEN_BEFORE | NOT_IN_THE_APP).values())
    labels = [label_of(name) for name in NAMES]
    assert len(set(labels)) == len(labels)
    assert all(group.words.endswith(".") for group in GROUPS)


@pytest.mark.parametrize("name", NAMES)
def test_each_field_has_a_widget_with_its_label_and_its_help(name: str) -> None:
    made: Any = form.widget(name)
    assert made.label == label_of(name) and made.elem_id.startswith("set-")
    assert made.info and " ".join(help_of(name).split()).startswith(made.info[:20]) and "command line" not in made.info
    if choices_of(name) and name != form.TARGETS:
        assert [value for _, value in made.choices] == choices_of(name)
    if isinstance(made, gr.Number):  # else 2.5 epochs' worth of rows would be 2 without a word
        assert made.precision is None


def test_the_untouched_form_says_the_draft() -> None:
    assert composed({}) == DEFAULT
    assert form.changed(form.values_of(DEFAULT), BALANCED, *BUNDLED) == {}


def test_fields_are_laid_over_the_draft_and_empty_ones_are_none() -> None:
    config = composed({"train.max_steps": 30, "data.system": "Be short.", "eval.tasks": [HELDOUT]})
    assert (config.train.max_steps, config.data.system, config.eval.tasks) == (30, "Be short.", [HELDOUT])
    assert composed({"data.system": "  ", "eval.max_samples": None}).eval.max_samples is None
    assert composed({form.TARGETS: []}).lora.target_modules == "all-linear"
    assert composed({form.TARGETS: ["q_proj"]}).lora.target_modules == ["q_proj"]


def test_an_adapter_that_is_trained_on_says_how_it_starts() -> None:
    on = DEFAULT.model_copy(update={"lora": DEFAULT.lora.model_copy(update={"start_from": "owner/adapter"})})
    assert composed({"lora.init": "pissa"}, on).lora.init == "default"


@pytest.mark.parametrize(
    ("changes", "field", "words", "across"),
    [
        ({"train.epochs": 0}, "train.epochs", "has to be more than 0 (given: 0)", False),
        ({"train.max_steps": 2.5}, "train.max_steps", "has to be a whole number (given: 2.5)", False),
        ({"train.seed": None}, "train.seed", "has to be a whole number", False),
        ({"train.warmup": 1}, "train.warmup", "has to be less than 1 (given: 1)", False),
        ({"hub.push": "mine"}, "hub.push", "has to look like owner/name (given: 'mine')", False),
        ({"lora.rslora": True, "lora.method": "adalora"}, "lora.rslora", "rslora belongs to", True),
        (
            {"train.keep": "best", "data.validation_fraction": 0, "data.validation_split": "none"},
            "train.keep",
            "",
            True,
        ),
        ({"eval.tasks": ["heldout", "heldout"]}, "eval", "two tasks are called heldout", True),
    ],
)
def test_a_wrong_value_is_put_down_to_its_field(changes: dict[str, Any], field: str, words: str, across: bool) -> None:
    config, (wrong,) = form.look(DEFAULT, said(changes))
    assert config is None
    assert (wrong.field, wrong.across) == (field, across) and wrong.words.startswith(words)
    with pytest.raises(ConfigError, match=f"the settings: {field}: "):
        composed(changes)


def test_everything_wrong_is_said_at_once() -> None:
    _, wrong = form.look(DEFAULT, said({"train.epochs": -1, "lora.r": 0, "eval.shots": 99}))
    assert [one.field for one in wrong] == ["lora.r", "train.epochs", "eval.shots"]


def test_what_follows_a_choice_is_for_the_bundled_pair_only() -> None:
    bundled = [DEFAULT.eval.tasks, DEFAULT.eval.forgetting]
    assert form.suiting(DEFAULT, *BUNDLED)[:2] == bundled
    assert form.suiting(DEFAULT, "owner/model", DEFAULT.data.id)[:2] == [[HELDOUT], ["general"]]
    draft = parse_config({"model": {"id": "owner/model", "revision": "v2"}})
    by_name = [
        dict(zip(form.SUITED, form.suiting(draft, name, "rows.jsonl"), strict=True)) for name in ("owner/model", "a/b")
    ]
    assert [one[REVISION] for one in by_name] == ["v2", None]


def test_presets_set_what_the_config_takes_and_are_found_again() -> None:
    for one in PRESETS:
        config = composed(one.values(2.0))
        assert nearest({name: form.value_of(config, name) for name in NAMES}, 2.0) is one
    assert composed(BALANCED.values(balanced_epochs(*BUNDLED))) == DEFAULT
    assert preset("no such") is BALANCED and [*BALANCED.values(None)] == presets.SET


def test_a_preset_leaves_the_epochs_open_for_data_of_ones_own() -> None:
    bundled, own = balanced_epochs(*BUNDLED), balanced_epochs(DEFAULT.model.id, "owner/data")
    thorough = preset("Thorough")
    assert bundled is not None
    assert thorough.values(bundled)["train.epochs"] == 2 * bundled
    assert composed(thorough.values(own)).train.epochs is None


@pytest.mark.parametrize("one", PRESETS, ids=lambda one: one.word)
def test_a_preset_is_the_same_on_the_command_line_and_flags_win_over_it(one: presets.Preset) -> None:
    in_the_app = composed(form.plain(one, *BUNDLED))
    assert commands.configured(None, {}, one.word) == in_the_app
    more = commands.configured(None, {"lora": {"r": 3}}, one.word)
    assert more.lora.r == 3 and more.eval.max_samples == in_the_app.eval.max_samples
    own = commands.configured(None, {"data": {"id": "owner/data"}}, one.word)
    assert own.train.epochs is None, "as in the form, where the run chooses"


def test_what_differs_from_a_preset_is_told_with_the_way_back() -> None:
    values = said({"train.max_steps": 7, "data.system": "Be short.", "eval.noise": False})
    assert form.changed(values, BALANCED, *BUNDLED) == {
        "train.max_steps": None,
        "data.system": None,
        "eval.noise": True,
    }
    assert set(form.changed(said(preset("Thorough").values(4.0)), BALANCED, *BUNDLED)) == {
        "train.epochs",
        "lora.r",
        "eval.max_samples",
    }
    shown = [form.shown(*one) for one in (("train.epochs", None), ("eval.noise", True), ("train.learning_rate", 2e-5))]
    assert shown == ["auto", "on", "2e-05"]


def test_tasks_to_choose_from_hold_those_of_the_draft() -> None:
    names = [name for _, name in form.task_choices(["elsewhere/mine.jsonl"])]
    assert {*DEFAULT.eval.tasks, *DEFAULT.eval.forgetting} <= set(names)
    assert ("Mine", "elsewhere/mine.jsonl") in form.task_choices(["elsewhere/mine.jsonl"])
    assert all(name in (HELDOUT, *SUITES) or Path(name).suffix == ".jsonl" for name in names)


TEXTS = st.text(max_size=30)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3000)


def _values(name: str) -> st.SearchStrategy[Any]:
    """What a person could make of a field, rightly or not."""
    section, field = name.split(".")
    kind = sections()[section].model_fields[field].annotation
    if choices := choices_of(name):
        return st.sampled_from(choices) if name != form.TARGETS else st.lists(TEXTS, max_size=3)
    if "list" in str(kind):
        return st.lists(TEXTS, max_size=3)
    if "bool" in str(kind):
        return st.booleans()
    return NUMBERS | st.none() if "int" in str(kind) or "float" in str(kind) else TEXTS


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), st.none(), max_size=8).flatmap(
        lambda keys: st.fixed_dictionaries({name: _values(name) for name in keys})
    )
)
def test_the_form_comes_back_from_its_yaml(changes: dict[str, Any]) -> None:
    config, wrong = form.look(DEFAULT, said(changes))
    assert (config is None) == bool(wrong)
    if config and not _endless(config):
        again = read(to_text(config))
        assert again == config
        assert form.compose(again, form.values_of(again)) == config


def _endless(config: RunConfig) -> bool:
    numbers = [
        value for fields in config.model_dump().values() for value in fields.values() if isinstance(value, float)
    ]
    return not all(map(math.isfinite, numbers))
