"""The light tokenizer gives the ids of transformers' own, from the same files."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, LlamaTokenizer, Qwen2Tokenizer

from ftspace.chat import install_template, template_of
from ftspace.data.formats import Conversation
from ftspace.errors import ModelError
from ftspace.sections import ModelConfig
from ftspace.settings import ASSETS, ROOT
from ftspace.supervision import supervise
from ftspace.tokenizer import NoTokenizerFile, open_tokenizer, template_of_model

TEXTS = ["Hi 🐟 there,  you!\n\n", "<|im_start|>user\nnaïve <|endoftext|>x<|im_end|>", "", " <tool>  a<|new|>b", "日本"]


def opened(folder: Path, choice: str = "auto"):
    return open_tokenizer(ModelConfig.model_validate({"id": str(folder), "chat_template": choice}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The bundled model's small files, to be changed."""
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json"):
        shutil.copy(ASSETS / "base" / name, tmp_path / name)
    return tmp_path


def change(folder: Path, **values) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def same(folder: Path, choice: str = "auto") -> None:
    light, full = opened(folder, choice).tokenizer, AutoTokenizer.from_pretrained(folder)
    install_template(full, choice)
    for special in (True, False):
        one = light(TEXTS, add_special_tokens=special, return_offsets_mapping=True)
        other = full(TEXTS, add_special_tokens=special, return_offsets_mapping=True)
        assert one["input_ids"] == other["input_ids"]
        assert one["offset_mapping"] == other["offset_mapping"]
    assert set(light.all_special_ids) == set(full.all_special_ids)
    assert light.special_tokens_map == full.special_tokens_map
    assert (light.bos_token_id, light.eos_token_id, light.pad_token_id, len(light)) == (
        full.bos_token_id,
        full.eos_token_id,
        full.pad_token_id,
        len(full),
    )
    assert {i: t.content for i, t in light.added_tokens_decoder.items()} == {
        i: t.content for i, t in full.added_tokens_decoder.items()
    }
    talk: Conversation = [{"role": "user", "content": TEXTS[0]}, {"role": "assistant", "content": TEXTS[4]}]
    assert list(supervise(light, [talk], 99)) == list(supervise(full, [talk], 99))
    (row,) = supervise(light, [talk], 99)
    assert light.decode(row.input_ids) == full.decode(row.input_ids)


@pytest.mark.parametrize("choice", ["auto", "llama3", "alpaca"])
def test_its_ids_are_those_of_transformers(folder: Path, choice: str) -> None:
    same(folder, choice)


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_so_they_are_for_tokenizers_that_transformers_builds_anew(tmp_path: Path, kind: str) -> None:
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"Hithero", "th", "▁th"]
    vocab = {word: place for place, word in enumerate(dict.fromkeys(words))}
    if kind == "qwen2":
        model = json.loads((ASSETS / "base" / "tokenizer.json").read_text())["model"]
        merges: Any = [tuple(pair) for pair in model["merges"]]
        made = Qwen2Tokenizer(vocab=model["vocab"], merges=merges)
    else:
        merges = [("t", "h"), ("▁", "th")]
        made = LlamaTokenizer(vocab=vocab, merges=merges)
    made.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "eos_token_id": 2}))
    same(tmp_path, "phi")
    assert opened(tmp_path).origin.end_ids == (2,)


def test_tokens_and_templates_are_read_from_wherever_a_model_keeps_them(folder: Path) -> None:
    new = {"content": "<|new|>", "lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
    change(folder, added_tokens_decoder={"1289": {**new, "special": True}}, pad_token="[PAD]", tokenizer_class=None)
    same(folder)
    change(folder, chat_template=[{"name": "default", "template": "{{ messages[0].content }}"}])
    assert opened(folder).origin.template == "{{ messages[0].content }}"
    (folder / "chat_template.jinja").write_text("{{ bos_token }}{{ messages }}")
    assert opened(folder).origin.template == "{{ bos_token }}{{ messages }}"
    template, own = template_of_model(ModelConfig(id=str(folder)))
    assert own and template.special_tokens["bos_token"] == "<|endoftext|>"


def test_old_models_keep_their_special_tokens_in_a_file_of_their_own(folder: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    kept = {key: {"content": config.pop(key), "lstrip": False} for key in ("bos_token", "eos_token", "pad_token")}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "special_tokens_map.json").write_text(json.dumps(kept))
    assert opened(folder).tokenizer.eos_token == "<|endoftext|>"
    same(folder)


def test_what_a_model_came_with(folder: Path) -> None:
    origin = opened(folder, "llama3").origin
    assert (origin.template, origin.end_ids, origin.adds_bos) == (None, (0,), False)
    backend = json.loads((folder / "tokenizer.json").read_text())
    backend["post_processor"]["single"].insert(0, {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}})
    backend["post_processor"]["special_tokens"] = {
        "<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}
    }
    (folder / "tokenizer.json").write_text(json.dumps(backend))
    (folder / "generation_config.json").write_text('{"eos_token_id": [3, 0]}')
    origin = opened(folder).origin
    assert (origin.end_ids, origin.adds_bos) == ((0, 3), True)


def test_the_template_without_the_tokenizer_is_the_one_with_it(folder: Path) -> None:
    for choice in ("auto", "gemma"):
        config = ModelConfig.model_validate({"id": str(folder), "chat_template": choice})
        assert template_of_model(config)[0] == template_of(open_tokenizer(config).tokenizer)


def test_what_cannot_be_read_is_said(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer\.json of .* cannot be read"):
        opened(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(NoTokenizerFile, match=r"has no tokenizer\.json"):
        opened(folder)
    (folder / "tokenizer_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json that cannot be read"):
        template_of_model(ModelConfig(id=str(folder)))


def test_it_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from ftspace.preflight import check_tokens; from ftspace.config import RunConfig\n"
        "talk = [{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'}]\n"
        "assert check_tokens(RunConfig(), [talk])\n"
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
