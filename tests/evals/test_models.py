import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModelForCausalLM
from transformers import LlamaForCausalLM

import evals.models as models
from evals.errors import ModelError
from tests.evals.conftest import make_adapter, make_model, make_tokenizer

IDS = torch.tensor([[2, 40, 50, 3, 60], [1, 41, 2, 61, 3]])


@pytest.mark.parametrize("name", ["tied", "untied"])
def test_base_without_the_adapter_is_exactly_the_plain_base(
    name: str, bases: dict[str, Path], adapters: dict[str, Path]
) -> None:
    plain = LlamaForCausalLM.from_pretrained(bases[name]).eval()
    plain.requires_grad_(False)  # pyright: ignore[reportArgumentType]
    models.flatten_head(plain)
    tuned: Any = models.load_comparison(bases[name], adapters[name])[0]
    with torch.inference_mode():
        wanted, with_adapter = plain(IDS).logits, tuned(IDS).logits
        with tuned.disable_adapter():
            without = tuned(IDS).logits
        again = tuned(IDS).logits
    assert torch.equal(without, wanted)
    assert torch.equal(again, with_adapter)
    assert (with_adapter - wanted).abs().max() > 0.1


@pytest.mark.parametrize("name", ["tied", "untied"])
def test_the_retrained_token_rows_are_loaded(name: str, bases: dict[str, Path], adapters: dict[str, Path]) -> None:
    tuned: Any = models.load_comparison(bases[name], adapters[name])[0]
    plain = LlamaForCausalLM.from_pretrained(bases[name])
    embedding = tuned.get_input_embeddings()
    with torch.inference_mode():
        rows = embedding(torch.arange(6))
    old = plain.get_input_embeddings().weight[:6]  # pyright: ignore[reportIndexIssue]
    same = (rows == old).all(dim=1).tolist()
    assert same == [True, True, False, False, True, True]


@pytest.mark.parametrize("name", ["tied", "untied"])
@pytest.mark.parametrize("keep", [1, 3])
def test_a_flat_head_changes_no_logits(name: str, keep: int, bases: dict[str, Path], adapters: dict[str, Path]) -> None:
    plain: Any = LlamaForCausalLM.from_pretrained(bases[name]).eval()
    with torch.no_grad():
        wanted = plain(IDS).logits[:, -keep:]
        models.flatten_head(plain)
        assert torch.allclose(plain(IDS, logits_to_keep=keep).logits, wanted, rtol=0, atol=1e-5)
    model: Any = models.load_base(bases[name], tokenizer=make_tokenizer())
    with models.peft_quiet():
        unflat = PeftModelForCausalLM.from_pretrained(model, str(adapters[name])).eval()
    flat: Any = models.load_comparison(bases[name], adapters[name])[0]
    with torch.no_grad():
        tuned = unflat(IDS).logits[:, -keep:]
        assert torch.allclose(flat(IDS, logits_to_keep=keep).logits, tuned, rtol=0, atol=1e-5)


def test_new_tokens_get_the_mean_row_every_time(bases: dict[str, Path]) -> None:
    tokenizer = make_tokenizer()
    old = len(tokenizer)
    tokenizer.add_tokens(["<new1>", "<new2>"])
    for name in ("tied", "untied"):
        torch.manual_seed(0)
        first: Any = models.load_base(bases[name], tokenizer=tokenizer)
        torch.manual_seed(1)
        second: Any = models.load_base(bases[name], tokenizer=tokenizer)
        for get in ("get_input_embeddings", "get_output_embeddings"):
            a, b = getattr(first, get)().weight, getattr(second, get)().weight
            assert a.shape[0] == old + 2
            assert torch.equal(a, b)
            assert torch.allclose(a[old:], a[:old].mean(0).expand(2, -1), atol=1e-6)
        assert first.config.vocab_size == old + 2
        assert (first.get_input_embeddings().weight is first.get_output_embeddings().weight) == (name == "tied")


def test_tokenizer_comes_from_the_adapter_if_it_has_one(
    tmp_path: Path, bases: dict[str, Path], adapters: dict[str, Path]
) -> None:
    assert models.load_comparison(bases["tied"], adapters["tied"])[1].chat_template is not None
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(adapters["tied"] / name, bare)
    assert models.load_comparison(bases["tied"], bare)[1].chat_template is None


def test_precision_and_device(bases: dict[str, Path]) -> None:
    tokenizer = make_tokenizer()
    assert models.load_base(bases["tied"], tokenizer=tokenizer, device="cpu").dtype == torch.float32
    assert models.load_base(bases["tied"], tokenizer=tokenizer, dtype="bfloat16").dtype == torch.bfloat16
    wrong: tuple[dict[str, Any], ...] = ({"dtype": "int3"}, {"device": "abacus"})
    for options in wrong:
        with pytest.raises(ModelError, match="use auto"):
            models.load_base(bases["tied"], tokenizer=tokenizer, **options)


def test_mistakes_are_one_line(tmp_path: Path, bases: dict[str, Path], adapters: dict[str, Path]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    damaged = tmp_path / "damaged"
    shutil.copytree(bases["tied"], damaged)
    (damaged / "model.safetensors").write_bytes(b"not safetensors")
    pickled = tmp_path / "pickled"
    shutil.copytree(bases["tied"], pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    custom = tmp_path / "custom"
    shutil.copytree(bases["tied"], custom)
    config = json.loads((custom / "config.json").read_text())
    config.update(model_type="mine", auto_map={"AutoModelForCausalLM": "mine.Model", "AutoConfig": "mine.Config"})
    (custom / "config.json").write_text(json.dumps(config))
    deeper = make_adapter(make_model(False, len(make_tokenizer()), layers=3), tmp_path / "deeper", make_tokenizer())
    cases: list[tuple[Any, Any, str]] = [
        ("/nowhere/model", None, "no such folder"),
        ("./model", None, "no such folder"),
        ("nobody/no-such-model", None, "the Hub can't be reached"),
        ("no-such-model", None, "no such folder here"),
        ("a b c", None, "not a Hub id"),
        (empty, None, "no config.json"),
        (damaged, None, "damaged"),
        (pickled, None, "safetensors"),
        (custom, None, "code of its own"),
        (bases["untied"], empty, "no config.json"),
        (bases["untied"], bases["tied"], "does not fit the base"),
        (bases["untied"], "/nowhere/adapter", "no such folder"),
        (bases["untied"], "nobody/no-such-adapter", "the Hub can't be reached"),
        (bases["untied"], deeper, "does not fit"),
    ]
    for base, adapter, words in cases:
        with pytest.raises(ModelError, match=words) as caught:
            models.load_comparison(base, adapter)
        assert "\n" not in str(caught.value), base
        assert str(adapter or base) in str(caught.value)
