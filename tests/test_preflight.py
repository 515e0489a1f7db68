"""What is asked before a run is made: memory is a warning, never a refusal."""

import json
import re
import shutil
from pathlib import Path

import pytest

from ftspace import preflight
from ftspace.config import RunConfig, parse_config
from ftspace.errors import ConfigError, EvalError, ModelError
from ftspace.preflight import check_model, check_tasks, check_trackers
from ftspace.settings import ASSETS

HUGE = {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 400,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "dtype": "bfloat16",
}


@pytest.mark.parametrize("huge", [True, False])
def test_a_model_beyond_this_machines_memory_is_warned_of(huge: bool, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(ASSETS / "base", model)
    if huge:
        (model / "config.json").write_text(json.dumps(HUGE), encoding="utf-8")
        (model / "model.safetensors").write_bytes(b"")
    config = parse_config({"model": {"id": str(model)}, "eval": {"tasks": []}, "train": {"device": "cpu"}})
    said = [one for one in preflight.check(config, tmp_path / "runs").warnings if "of memory" in one]
    assert len(said) == huge
    if huge:
        assert "estimated to need" in said[0]
        assert "take a smaller model" in said[0]


def test_a_model_too_large_to_train_whole_is_refused_by_its_headers(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    config = RunConfig.model_validate({"model": {"id": str(tmp_path)}, "lora": {"method": "full"}})
    for rows, refused in ((1_000, False), (1_000_000, True)):
        header = json.dumps({"w": {"dtype": "BF16", "shape": [rows, 3_000], "data_offsets": [0, 0]}}).encode()
        (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        if refused:
            with pytest.raises(ModelError, match=r"3\.0 billion weights, in 48 GB"):
                check_model(config)
        else:
            check_model(config)
    check_model(RunConfig.model_validate({"model": {"id": str(tmp_path)}}))


@pytest.mark.parametrize(("dtype", "method"), [("float16", "lora"), ("float16", "full"), ("bfloat16", "lora")])
def test_an_adapter_in_float16_is_refused(tmp_path: Path, dtype: str, method: str) -> None:
    config = parse_config({"model": {"dtype": dtype}, "lora": {"method": method}, "eval": {"tasks": []}})
    if (dtype, method) == ("float16", "lora"):
        with pytest.raises(ConfigError, match="set it to bfloat16, float32 or auto"):
            preflight.check(config, tmp_path / "runs")
    else:
        preflight.check(config, tmp_path / "runs")


def test_a_tracker_that_is_not_installed_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspace.preflight.asking.find_spec", lambda name: None if name == "wandb" else object())
    with pytest.raises(ConfigError, match="wandb is not installed; pip install wandb"):
        check_trackers(RunConfig.model_validate({"train": {"report_to": ["tensorboard", "wandb"]}}))
    check_trackers(RunConfig.model_validate({"train": {"report_to": ["tensorboard"]}}))


@pytest.mark.parametrize(
    ("tasks", "forgetting", "refused"),
    [
        (["gsm8k", "gsm8k|0"], [], "eval.tasks: gsm8k and gsm8k|0 are one task"),
        (["gsm8k|5"], ["lighteval|gsm8k|5|0"], "eval.forgetting: gsm8k|5 and lighteval|gsm8k|5|0 are one task"),
        (["gsm8k|5"], ["gsm8k"], ""),
        (["mmlu_redux_2:x.a|0", "mmlu_redux_2:x.b|0"], ["general", "heldout"], ""),
    ],
)
def test_a_task_is_named_once_however_it_is_written(tasks: list[str], forgetting: list[str], refused: str) -> None:
    config = parse_config({"eval": {"tasks": tasks, "forgetting": forgetting}})
    if refused:
        with pytest.raises(EvalError, match=re.escape(refused)):
            check_tasks(config)
    else:
        check_tasks(config)
