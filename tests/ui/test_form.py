from pathlib import Path
from typing import Any

import pytest

from evals.tasks import SUITES
from ftspace.config import default_config, field_names
from ftspace.errors import ConfigError
from ftspace.preflight import HELDOUT
from ftspace.ui import form

DEFAULT = default_config()


def composed(changes: dict[str, Any]) -> Any:
    return form.compose(DEFAULT, [changes.get(name, form.value_of(DEFAULT, name)) for name in form.NAMES])


def test_the_untouched_form_says_the_draft() -> None:
    assert composed({}) == DEFAULT


def test_fields_are_laid_over_the_draft() -> None:
    config = composed({"train.max_steps": 30, "data.system": "Be short.", "eval.tasks": [HELDOUT]})
    assert (config.train.max_steps, config.data.system, config.eval.tasks) == (30, "Be short.", [HELDOUT])


def test_an_empty_field_is_none() -> None:
    assert composed({"data.system": "  ", "eval.max_samples": None}).eval.max_samples is None


def test_a_wrong_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"the settings: train\.epochs: "):
        composed({"train.epochs": 0})


def test_the_bundled_tasks_are_asked_of_the_bundled_pair_only() -> None:
    bundled = [DEFAULT.eval.tasks, DEFAULT.eval.forgetting]
    assert form.suiting(DEFAULT, DEFAULT.model.id, DEFAULT.data.id)[:2] == bundled
    assert form.suiting(DEFAULT, "owner/model", DEFAULT.data.id)[:2] == [[HELDOUT], ["general"]]


def test_every_field_and_preset_names_what_the_config_has() -> None:
    assert set(form.NAMES) <= set(field_names())
    for preset in form.PRESETS:
        composed(preset.values(2.0))
    assert composed(form.BALANCED.values(form.balanced_epochs(DEFAULT.model.id, DEFAULT.data.id))) == DEFAULT


def test_a_preset_leaves_the_epochs_open_for_data_of_ones_own() -> None:
    bundled = form.balanced_epochs(DEFAULT.model.id, DEFAULT.data.id)
    own = form.balanced_epochs(DEFAULT.model.id, "owner/data")
    thorough = form.preset("Thorough")
    assert bundled is not None
    assert thorough.values(bundled)["train.epochs"] == 2 * bundled
    assert composed(thorough.values(own)).train.epochs is None


def test_tasks_to_choose_from_hold_those_of_the_draft() -> None:
    names = [name for _, name in form.task_choices(["elsewhere/mine.jsonl"])]
    assert {*DEFAULT.eval.tasks, *DEFAULT.eval.forgetting} <= set(names)
    assert ("mine", "elsewhere/mine.jsonl") in form.task_choices(["elsewhere/mine.jsonl"])
    assert all(name in (HELDOUT, *SUITES) or Path(name).suffix == ".jsonl" for name in names)
