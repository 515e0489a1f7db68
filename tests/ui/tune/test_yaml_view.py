from typing import Any

import pytest
import yaml

from ftspace.config import RunConfig, default_config, load_config, parse_config
from ftspace.errors import ConfigError
from ftspace.redact import keep_secret
from ftspace.ui.choose.choice import Choice
from ftspace.ui.tune import form
from ftspace.ui.tune.yaml_view import MOST, read, to_text

MAPPED: list[dict[str, Any]] = [
    {},
    {"data": {"mapping": {"prompt": "q+c", "completion": "a", "system": "s"}, "split": "test", "config": "b"}},
    {"data": {"mapping": {"messages": "turns", "tools": "functions"}, "revision": "v1"}},
    {"data": {"prompt_template": "Q: {q}\n", "completion_template": " {a}", "mapping": {"system": "s"}}},
    {"data": {"filters": ["duplicate", "secret"], "system": " Be: short. #1\n"}},
    {"model": {"id": "owner/model", "revision": "v2", "chat_template": "chatml", "quantization": "nf4"}},
    {"lora": {"start_from": "owner/adapter", "target_modules": ["q_proj", "v_proj"]}},
    {"eval": {"tasks": ["gsm8k|4"], "judges": ["hub:a/b"], "reference": "http://h:1/v1#m"}, "train": {"epochs": 1e-5}},
]


@pytest.mark.parametrize("values", MAPPED)
def test_form_and_choice_come_back_from_the_yaml(values: dict[str, Any]) -> None:
    config = parse_config(values)
    again = read(to_text(config))
    assert again == config
    chosen = Choice.of_config(again, "", "").config_over(default_config())
    assert form.compose(chosen, form.values_of(again)) == config


def test_it_is_what_the_command_line_reads(tmp_path: Any) -> None:
    (tmp_path / "run.yaml").write_text(to_text(default_config()), encoding="utf-8")
    assert load_config(tmp_path / "run.yaml") == default_config()
    assert read("") == RunConfig() == load_config(None, {})


def test_what_differs_stands_first_and_everything_is_there() -> None:
    lines = to_text(parse_config({"lora": {"alpha": 8}, "data": {"id": "owner/rows"}})).splitlines()
    assert lines[:3] == ["data:", "  id: owner/rows", "  # as always:"]
    place = lines.index("lora:")
    assert lines[place + 1 : place + 3] == ["  alpha: 8", "  # as always:"]
    assert place < lines.index("model:")
    there = {f"{name}.{field}" for name, fields in yaml.safe_load("\n".join(lines)).items() for field in fields}
    assert there == {f"{name}.{field}" for name, fields in RunConfig().model_dump().items() for field in fields}


def test_no_secret_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspace.redact._kept", {})
    keep_secret("a typed secret")
    text = to_text(parse_config({"data": {"system": "say a typed secret, hf_abcdefghijklmnopqrst"}}))
    assert "typed secret" not in text and "hf_abc" not in text and text.count("[redacted]") == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train:\n  epochs: 0\n  seed: x\n", ["line 2: train.epochs: has to be more than 0 (given: 0)",
                                             "line 3: train.seed: has to be a whole number (given: 'x')"]),
        ("train:\n\n  epocs: 1", ["line 3: train.epocs: is no setting; did you mean train.epochs?"]),
        ("trian: {}", ["line 1: trian: is no setting; did you mean train?"]),
        ("model: {}\nlora:\n  rslora: yes\n  method: adalora", ["line 3: lora.rslora: rslora belongs to the method"]),
        ("data: {}\nmodel:\n  quantization: nf4\nlora:\n  method: full", ["line 5: lora.method: lora.method full"]),
        ("train:\n  epochs: 1\n  epochs: 2", ["line 3: train.epochs is given twice; keep one of them"]),
        ("train:\n  max_cost: .inf", ["line 2: train.max_cost: has to be a finite number"]),
        ("data:\n  id: [a", ["line 2: this is not YAML: "]),
        ("data:\n\tid: a", ["line 2: this is not YAML: found character"]),
        ("x: !!python/object/apply:os.system [ls]", ["line 1: this is not YAML: could not determine a constructor"]),
        ("train: 3", ["line 1: train: has to hold fields"]),
        ("- a", ["line 1: a list is no config"]),
        ("train: {epochs: 2001-13-45}", ["this is not YAML: month must be in 1..12"]),
        ("{" * 3000, ["line 1: this is nested too deeply to be a config"]),
        ("a" * (MOST + 1), ["the YAML has more than 50,000 characters"]),
        ("\n".join(f"a{number}: 1" for number in range(20)), ["line 1: a0"] + [""] * 11 + ["and 8 more"]),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_line_and_its_field(text: str, said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(said)
    assert all(line.startswith(one) for line, one in zip(lines, said, strict=True)), lines
