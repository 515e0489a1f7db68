from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftspace.config import RunConfig, default_config, merge, parse_config
from ftspace.errors import ConfigError
from ftspace.ui.choose.choice import COLUMNS, MESSAGES, NAMES, RECOGNIZED, TEMPLATES, Choice

DEFAULT = default_config()


def config(**data: Any) -> RunConfig:
    return parse_config(merge(DEFAULT.model_dump(), {"data": data}))


def choice(**said: Any) -> Choice:
    return replace(Choice.of_config(DEFAULT, "", ""), **said)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"mapping": {"prompt": "a", "completion": "b", "system": "c"}},
        {"mapping": {"messages": "a", "tools": "b"}},
        {"prompt_template": "Q: {a}\n", "completion_template": "{b}", "mapping": {"system": "c"}},
        {"config": "small", "split": "test", "revision": "v1", "system": "Be dry.", "filters": ["echo", "secret"]},
    ],
)
def test_a_config_is_said_and_made_again(data: dict[str, Any]) -> None:
    given = config(**data)
    said = Choice.of_config(given, "", "")
    sent = Choice.of([said.values[name] for name in NAMES])
    assert sent == said
    made = sent.config_over(given)
    assert made.model_dump() == merge(given.model_dump(), {"data": {"filters": made.data.filters}})
    assert set(made.data.filters) == set(given.data.filters)


def test_a_template_beside_a_column_says_the_same_in_templates() -> None:
    said = Choice.of_config(config(prompt_template="Q: {a}", mapping={"completion": "b"}), "", "")
    assert (said.way, said.prompt_template, said.completion_template) == (TEMPLATES, "Q: {a}", "{b}")


def test_another_dataset_forgets_what_was_said_about_the_first() -> None:
    said = choice(dataset="other/rows", way=COLUMNS, prompt="a", completion="b", split="dev", filters=("echo",))
    assert said.settled() == choice(dataset="other/rows", about="other/rows")
    assert said.settled().config_over(DEFAULT).data.mapping is None
    same = choice(split="dev")
    assert same.settled() is same


def test_another_model_forgets_the_revision_of_the_first() -> None:
    draft = parse_config(merge(DEFAULT.model_dump(), {"model": {"id": "a/b", "revision": "v1"}}))
    said = Choice.of_config(draft, "", "")
    assert said.config_over(draft).model.revision == "v1"
    assert replace(said, model="a/c").config_over(draft).model.revision is None


def test_the_file_of_decisions_is_named_by_the_app() -> None:
    assert choice(review="/etc/passwd").config_over(DEFAULT).data.review is None
    assert choice().config_over(DEFAULT, Path("/data/reviews/x.jsonl")).data.review == "/data/reviews/x.jsonl"


def test_what_is_no_text_counts_as_nothing_said() -> None:
    values: list[Any] = [{"a": 1}] * len(NAMES)
    assert Choice.of(values) == Choice.of([""] * len(NAMES))
    with pytest.raises(ConfigError, match=r"model\.id"):
        Choice.of(values).config_over(DEFAULT)


def test_an_unfinished_mapping_says_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="the completion is not given"):
        choice(way=COLUMNS, prompt="a").config_over(DEFAULT)
    with pytest.raises(ConfigError, match="mapping names no column"):
        choice(way=MESSAGES).config_over(DEFAULT)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (RECOGNIZED, {}),
        (COLUMNS, {"prompt": "x+y", "completion": "z", "system": "s"}),
        (MESSAGES, {"messages": "x"}),
        (TEMPLATES, {"prompt_template": "{x}\n\n{y}", "completion_template": "{z}"}),
    ],
)
def test_a_way_begins_with_what_was_recognized(way: str, expected: dict[str, str]) -> None:
    filled = choice(way=way).prefilled(["x", "y", "z"], {"prompt": "x+y", "completion": "z", "system": "s"})
    assert filled == choice(way=way, **expected)
    assert filled.prefilled([], {}) == filled


def test_a_reading_is_said_as_columns_and_taken_back() -> None:
    said = choice().read_as({"prompt": "x", "completion": "y"})
    assert (said.way, said.prompt, said.completion) == (COLUMNS, "x", "y")
    assert choice().read_as({"messages": "m"}).way == MESSAGES
    assert said.recognized().config_over(DEFAULT) == DEFAULT


def test_an_adapter_that_is_trained_on_is_part_of_the_choice() -> None:
    draft = parse_config({"lora": {"init": "pissa"}})
    started = replace(Choice.of_config(draft, "", "run"), start_from="me/adapter")
    config = started.config_over(draft)
    assert (config.lora.start_from, config.lora.init) == ("me/adapter", "default")
    assert Choice.of_config(config, "", "run") == started
    assert Choice.of_config(draft, "", "run").config_over(config).lora.start_from is None
