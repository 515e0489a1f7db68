import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspace.config import (
    RunConfig,
    default_config,
    field_names,
    help_of,
    load_config,
    merge,
    parse_config,
    read_yaml,
)
from ftspace.errors import ConfigError


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.fixed_dictionaries({}, optional={"id": st.text(min_size=1), "revision": st.none() | st.text()}),
            "data": st.fixed_dictionaries({"system": st.none() | st.text()}),
            "lora": st.fixed_dictionaries({"target_modules": st.just("all-linear") | st.lists(st.text(), max_size=3)}),
            "train": st.fixed_dictionaries({"epochs": st.floats(0.01, 1e6), "seed": st.integers(0, 2**31)}),
        },
    )
)
def test_yaml_gives_an_equal_config_back(tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]) -> None:
    config = parse_config(values)
    path = tmp_path_factory.mktemp("yaml") / "config.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8")
    assert load_config(path) == config


def test_every_field_has_help() -> None:
    assert all(len(help_of(name)) > 10 for name in field_names())


def test_the_embedded_default_is_the_plain_default_but_for_its_recipe_and_tasks() -> None:
    config = default_config()
    assert config.model == RunConfig().model
    assert config.data == RunConfig().data
    assert len(config.eval.tasks) == 3
    assert config.eval.forgetting == ["assets/tasks/known_facts.jsonl"]
    assert config.eval.sides == 4


def test_flags_win_over_yaml(tmp_path: pytest.TempPathFactory) -> None:
    assert merge({"train": {"seed": 1, "epochs": 2}}, {"train": {"seed": 3}}) == {"train": {"seed": 3, "epochs": 2}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"train": {"learning_rat": 1}}, ["train.learning_rat", "did you mean train.learning_rate"]),
        ({"modle": {}}, ["modle", "did you mean model"]),
        ({"train": {"zzzz": 1}}, ["train.zzzz", "train.epochs"]),
        ({"train": {"epochs": -1}}, ["train.epochs", "greater than 0", "-1"]),
        ({"train": {"epochs": "many"}}, ["train.epochs", "valid number", "many"]),
        ({"data": {"test_fraction": 0.6, "validation_fraction": 0.5}}, ["no row to train on"]),
        ({"data": {"test_fraction": 1.0}}, ["data.test_fraction", "less than 1"]),
        ({"lora": {"method": "full", "dora": True}}, ["dora belongs to the method lora"]),
        ({"lora": {"method": "prefix_tuning", "modules_to_save": ["lm_head"]}}, ["modules_to_save", "lora or adalora"]),
        ({"lora": {"method": "full", "r": 8}}, ["r belongs to the method lora or adalora, not to full"]),
        ({"lora": {"method": "prompt_tuning", "dropout": 0.1}}, ["dropout belongs to"]),
        ({"lora": {"virtual_tokens": 9}}, ["virtual_tokens belongs to the method prompt_tuning or prefix_tuning"]),
        (
            {"lora": {"method": "prefix_tuning"}, "train": {"gradient_checkpointing": True}},
            ["prefix_tuning needs the cache"],
        ),
        ({"lora": {"dora": True, "init": "pissa"}}, ["dora keeps the base's weights"]),
        ({"lora": {"method": "full"}, "model": {"quantization": "nf4"}}, ["lora.method full", "choose one"]),
        ({"lora": {"init": "olora"}, "model": {"quantization": "int8"}}, ["lora.init olora", "int8 holds rounded"]),
        ({"lora": {"init": "loftq"}}, ["set model.quantization to nf4"]),
        ({"train": {"device": "mps"}, "model": {"quantization": "nf4"}}, ["does not run on mps"]),
        ({"train": {"best_by": "score", "samples": 0}}, ["raise train.samples"]),
        (
            {"train": {"keep": "best"}, "data": {"validation_fraction": 0, "validation_split": "none"}},
            ["validation rows"],
        ),
        ({"eval": {"tasks": ["a/x.jsonl", "b/x.jsonl"]}}, ["two tasks are called x"]),
        ({"eval": {"tasks": ["a/x.jsonl"], "forgetting": ["b/x.jsonl"]}}, ["two tasks are called x"]),
        ({"eval": {"reference": "http://host/v1"}}, ["reference is an address", "REFERENCE_TOKEN"]),
        ({"model": {"id": ""}}, ["model.id"]),
        ({"data": {"mapping": {"promt": "q"}}}, ["data.mapping", "prompt"]),
        ({"data": {"mapping": {}}}, ["data", "names no column"]),
        ({"data": {"mapping": {"prompt": "q"}}}, ["the completion is not given"]),
        ({"data": {"mapping": {"system": "s"}}}, ["the prompt and the completion is not given"]),
        ({"data": {"completion_template": "{a}"}}, ["the prompt is not given"]),
        ({"data": {"mapping": {"messages": "m", "prompt": "q"}}}, ["messages is the whole conversation"]),
        ({"data": {"mapping": {"prompt": "q", "completion": "a", "tools": "t"}}}, ["tools go with messages"]),
        ({"data": {"mapping": {"prompt": "q", "completion": "a"}, "prompt_template": "{q}"}}, ["both give the prompt"]),
        ({"data": {"prompt_template": "Q: {q", "completion_template": "{a}"}}, ["prompt_template", "expected '}'"]),
        ({"data": {"prompt_template": "{q!r}", "completion_template": "{a}"}}, ["a column's name and nothing else"]),
        ({"data": {"prompt_template": "Q", "completion_template": "{a}"}}, ["names no column in braces"]),
        ({"model": {"dtype": "int3"}}, ["model.dtype", "bfloat16"]),
    ],
)
def test_a_wrong_value_is_named_with_its_field(values: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(values)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("text", ["- a list", "a: [", "\x00", "just words", "[" * 1500])
def test_what_is_no_config_is_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("yaml") / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_a_value_that_holds_itself_many_times_over_is_not_written_out() -> None:
    bomb: list[object] = ["x"]
    for _ in range(9):
        bomb = [bomb] * 10
    with pytest.raises(ConfigError) as caught:
        parse_config({"model": bomb, "data": {"id": bomb}})
    assert len(str(caught.value)) < 20_000
