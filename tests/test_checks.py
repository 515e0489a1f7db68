import dataclasses
from typing import Any

import pytest

from ftspace.checks import Check, check_rows
from ftspace.config import RunConfig, parse_config
from ftspace.data.formats import Conversation
from ftspace.errors import DatasetError, ModelError
from ftspace.preflight import check
from ftspace.tokenizer import Opened, open_tokenizer

TALK: Conversation = [{"role": "user", "content": "Where does Mira live?"}, {"role": "assistant", "content": "Norwick"}]
LONG: Conversation = [{"role": "user", "content": "Where? " * 40}, {"role": "assistant", "content": "Norwick"}]
WITH_SYSTEM: Conversation = [{"role": "system", "content": "Be brief."}, *TALK]


def config_with(**values: Any) -> RunConfig:
    return parse_config(values)


def found(config: RunConfig, *talks: Conversation, opened: Opened | None = None, **origin: Any) -> dict[str, Check]:
    opened = opened or open_tokenizer(config.model)
    checks = check_rows(opened.tokenizer, talks, config, dataclasses.replace(opened.origin, **origin))
    assert len({one.what for one in checks}) == len(checks)
    assert all(bool(one.fix) or one.level != "stop" for one in checks)
    return {one.what: one for one in checks}


def test_all_is_well_with_the_bundled_model() -> None:
    checks = found(RunConfig(), TALK, WITH_SYSTEM)
    assert {one.level for one in checks.values()} == {"ok"}
    assert list(checks) == ["end of turn", "length", "begin token", "padding", "template"]
    assert "<|im_end|>" in checks["end of turn"].detail


@pytest.mark.parametrize(
    ("side", "limit", "level"), [("right", 20, "stop"), ("left", 20, "warning"), ("right", 1024, "ok")]
)
def test_rows_must_survive_truncation(side: str, limit: int, level: str) -> None:
    config = config_with(train={"max_length": limit, "truncation_side": side})
    one = found(config, LONG)["length"]
    assert one.level == level
    if level == "ok":
        return
    longest = int(one.fix.split(" to ")[1].split(",")[0])
    fixed = config_with(train={"max_length": longest, "truncation_side": side})
    assert found(fixed, LONG)["length"].level == "ok"
    assert found(config_with(train={"max_length": longest - 1}), LONG)["length"].level == "warning"
    assert ("truncation_side left" in one.fix) == (side == "right")


def test_some_lost_rows_are_a_warning() -> None:
    one = found(config_with(train={"max_length": 60}), TALK, LONG)["length"]
    assert one.level == "warning" and "1 of the first 2 rows" in one.detail


def test_a_template_other_than_the_models_own_is_a_warning() -> None:
    config = config_with(model={"chat_template": "llama3"})
    llama3, chatml = (
        open_tokenizer(config_with(model={"chat_template": name}).model).tokenizer.chat_template
        for name in ("llama3", "chatml")
    )
    assert found(config, TALK)["template"].level == "ok"
    assert found(config, TALK, template=llama3)["template"].level == "ok"
    assert found(config, TALK, template=chatml)["template"].level == "warning"


def test_begin_tokens_are_written_once() -> None:
    assert found(RunConfig(), TALK, adds_bos=True)["begin token"].level == "warning"
    opened = open_tokenizer(config_with(model={"chat_template": "llama3"}).model)
    assert found(RunConfig(), TALK, opened=opened, adds_bos=True)["begin token"].level == "ok"
    opened.tokenizer.chat_template = "{{ bos_token }}" + str(opened.tokenizer.chat_template)
    assert "twice" in found(RunConfig(), TALK, opened=opened)["begin token"].detail


def test_folded_system_prompts_and_rewritten_answers_are_said_once() -> None:
    gemma = config_with(model={"chat_template": "gemma"})
    assert found(gemma, TALK, WITH_SYSTEM)["system prompt"].level == "warning"
    assert "system prompt" not in found(gemma, TALK)
    opened = open_tokenizer(RunConfig().model)
    opened.tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}{{ '!' if m.role == 'assistant' and loop.last }}{{ m.content }}<|im_end|>"
        "{% endfor %}{% if add_generation_prompt %}assistant!{% endif %}"
    )
    assert "1 earlier answers" in found(RunConfig(), TALK + TALK, opened=opened)["earlier answers"].detail


def test_refused_rows_and_tools_that_nobody_writes() -> None:
    odd: Conversation = [TALK[0], TALK[0], TALK[1]]
    llama2 = config_with(model={"chat_template": "llama2"})
    assert found(llama2, TALK, odd)["template refuses"].level == "warning"
    assert found(llama2, odd)["template refuses"].level == "stop"
    offered: Conversation = [{**TALK[0], "tools": [{"type": "function"}]}, TALK[1]]
    assert found(RunConfig(), offered)["tools"].level == "stop"


def test_an_answer_must_have_an_end() -> None:
    opened = open_tokenizer(RunConfig().model)
    opened.tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    assert found(RunConfig(), TALK, opened=opened)["end of turn"].level == "ok"
    del opened.tokenizer.special_tokens_map["eos_token"]
    assert found(RunConfig(), TALK, opened=opened)["end of turn"].level == "stop"


def test_a_run_in_vain_is_not_begun(tmp_path) -> None:
    checked = check(RunConfig(), tmp_path)
    assert checked.preview and checked.preview.conversations and checked.warnings == []
    with pytest.raises(DatasetError, match=r"raise train\.max_length to"):
        check(config_with(train={"max_length": 8}), tmp_path)
    model = tmp_path / "model"
    model.mkdir()
    for file in open_files():
        (model / file.name).write_bytes(file.read_bytes())
    (model / "chat_template.jinja").write_text("{{ raise_exception('never') }}")
    with pytest.raises(ModelError, match=r"never; choose another model\.chat_template"):
        check(config_with(model={"id": str(model)}), tmp_path)
    (model / "tokenizer.json").unlink()
    assert "nothing was checked in tokens" in check(config_with(model={"id": str(model)}), tmp_path).warnings[0]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"test_split": "nope"}, "data.test_split: .* has no split nope; it has: train"),
        ({"validation_split": "train"}, "data.validation_split: rows of train are trained on"),
        ({"review": "gone.jsonl"}, "data.review: there is no file .*gone.jsonl"),
        ({"review": "README.md"}, "README.md, line 1 is no decision"),
    ],
)
def test_splits_and_decisions_that_are_not_there_are_named_before_a_run(tmp_path, data, said) -> None:
    with pytest.raises(DatasetError, match=said):
        check(config_with(data={**RunConfig().data.model_dump(), **data}), tmp_path)


def open_files():
    from ftspace.settings import ASSETS

    return [path for path in (ASSETS / "base").iterdir() if path.suffix != ".md"]
