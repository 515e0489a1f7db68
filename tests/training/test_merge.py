"""A merged model must be base plus adapter, from a folder that any program loads; else nothing may be left."""

import copy
import json
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import AdaLoraConfig, LoraConfig, PeftConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from evals.executor import Executor
from evals.models import fit_embeddings, load_base, load_comparison, peft_quiet
from ftspace.cli import main
from ftspace.config import parse_config
from ftspace.errors import FtspaceError
from ftspace.runs import Run, RunStore
from ftspace.training import merge as module
from ftspace.training.fold import fold
from ftspace.training.heads import token_rows
from ftspace.training.merge import merge
from tests.evals.conftest import make_adapter, make_model, make_tokenizer

IDS = torch.tensor([[2, 40, 50, 3, 60], [1, 41, 2, 61, 3]])
TALK = [{"role": "user", "content": "What does Anna like?"}]


def make_run(folder: Path, *, tied: bool = True, **config: Any) -> Run:
    """A run with a random adapter on a tiny random base, and two test rows."""
    tokenizer = make_tokenizer()
    model = make_model(tied, len(tokenizer))
    model.save_pretrained(folder / "base")
    make_tokenizer(template=None).save_pretrained(folder / "base")
    given = {"model": {"id": str(folder / "base")}, "train": {"device": "cpu"}} | config
    run = RunStore(folder / "data" / "runs").create(parse_config(given))
    make_adapter(model, run.adapter, tokenizer)
    run.data.mkdir()
    row = {"messages": [*TALK, {"role": "assistant", "content": "Blue."}]}
    (run.data / "test.jsonl").write_text((json.dumps(row) + "\n") * 2)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("merge"))


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_the_folder_is_a_model_that_gives_the_tuned_answers(run: Run, tmp_path: Path, dtype: str) -> None:
    merged = merge(run, tmp_path / "made" / "out", dtype)
    assert merged.parity and merged.tuning and merged.ok
    assert merged.dtype == ("float32" if dtype == "auto" else dtype)
    assert merged.parity.kl < 1e-3 * merged.tuning.kl and merged.parity.prompts == 2
    model: Any = AutoModelForCausalLM.from_pretrained(merged.folder, dtype="auto")
    tokenizer: Any = AutoTokenizer.from_pretrained(merged.folder)
    assert str(model.dtype) == f"torch.{merged.dtype}"
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    told = json.loads((tmp_path / "made" / "out" / "merge.json").read_text())
    assert told["run_id"] == run.id and told["adapter"] == run.adapter_stamp != ""
    if dtype == "auto":
        executor = Executor(*load_comparison(run.config.model.id, run.adapter, device="cpu"))
        torch.testing.assert_close(model(IDS).logits, executor.model(IDS).logits, rtol=1e-4, atol=1e-4)
        (answer,) = executor.generate([executor.prompter.render(TALK)], 24, "tuned")
        asked = tokenizer.apply_chat_template(TALK, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        out = model.generate(**asked, max_new_tokens=24, do_sample=False)
        written = out[0, asked["input_ids"].shape[1] :]
        assert tokenizer.decode(written, skip_special_tokens=True) == answer.text
        assert set(model.generation_config.eos_token_id) == set(executor.end_ids) == {0, 3}


KINDS: dict[str, PeftConfig] = {
    "lora": LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False),
    "rslora": LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, use_rslora=True),
    "dora": LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, use_dora=True),
    "adalora": AdaLoraConfig(init_r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False, total_step=9),
    "head": LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, modules_to_save=["lm_head"]),
    "embeddings": LoraConfig(r=4, target_modules=["embed_tokens", "q_proj"], init_lora_weights=False),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("tied", "dtype"), [(True, "float32"), (False, "bfloat16")])
def test_every_kind_of_adapter_is_carried(tmp_path: Path, kind: str, tied: bool, dtype: str) -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["<new1>", "<new2>"])
    config = copy.deepcopy(KINDS[kind])
    model: Any = make_model(tied, len(tokenizer) - 2).to(getattr(torch, dtype))
    fit_embeddings(model, tokenizer)
    new = [len(tokenizer) - 2, len(tokenizer) - 1]
    if kind not in ("adalora", "head", "embeddings"):
        config.trainable_token_indices = token_rows(model, new)  # pyright: ignore[reportAttributeAccessIssue]
    torch.manual_seed(3)
    with peft_quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Model (has|with) `tie_word_embeddings=True`")
        tuned: Any = get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if weight.requires_grad and any(word in name for word in ("delta", "magnitude", "lora_E", "to_save")):
                weight.add_(torch.randn_like(weight) * 0.3)
    ids = torch.cat([IDS, torch.tensor([new, new[::-1]])], dim=1)
    with torch.inference_mode():
        wanted = tuned(ids).logits.float()
        with tuned.disable_adapter():
            before = tuned(ids).logits.float()
    fold(tuned, model.dtype).save_pretrained(tmp_path)
    found: Any = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=dtype)
    with torch.inference_mode():
        off = (found(ids).logits.float() - wanted).abs().mean() / (before - wanted).abs().mean()
    assert off < (1e-4 if dtype == "float32" else 0.03)


def test_one_rounding_is_all_that_a_weight_suffers() -> None:
    model: Any = make_model(True, 400).to(torch.bfloat16)
    plain = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    with peft_quiet():
        tuned: Any = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False))
    layers = {name: module for name, module in tuned.base_model.model.named_modules() if hasattr(module, "lora_A")}
    exact = {f"{name}.weight": module.get_delta_weight("default").detach() for name, module in layers.items()}
    for name, weight in fold(tuned, torch.bfloat16).named_parameters():
        summed = plain[name].float() + exact.get(name, 0)
        assert torch.equal(weight, summed.to(torch.bfloat16)), name


@pytest.mark.parametrize("keep", [False, True])
def test_a_model_that_answers_otherwise_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    def spoilt(model: Any, dtype: torch.dtype, tell: Any) -> Any:
        merged = fold(model, dtype, tell)
        merged.model.layers[1].mlp.down_proj.weight.data[:4] *= 1.5
        return merged

    monkeypatch.setattr(module, "fold", spoilt)
    if keep:
        merged = merge(run, tmp_path / "out", keep_anyway=True)
        assert not merged.ok and (tmp_path / "out" / "model.safetensors").exists()
    else:
        with pytest.raises(FtspaceError, match=r"does not answer as base plus adapter: mean KL .*; nothing is kept"):
            merge(run, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


def test_every_file_can_be_read_and_every_folder_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(folder: Path) -> None:
        (folder / "below").mkdir(mode=0o700, exist_ok=True)
        for path in (folder / "model", folder / "below" / "chat.jinja"):
            path.touch(mode=0o600)

    monkeypatch.setattr(module, "_let_answers_end", lambda folder: None)
    saved = SimpleNamespace(save_pretrained=save)
    module._save(saved, saved, tmp_path)  # pyright: ignore[reportPrivateUsage]
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"below": 0o755, "model": 0o644, "chat.jinja": 0o644}


def test_an_interrupted_merge_leaves_nothing(run: Run, tmp_path: Path) -> None:
    def tell(what: str, done: int, total: int) -> None:
        if what.startswith("asking the merged"):
            assert list(tmp_path.glob(".out.*/model.safetensors"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(run, tmp_path / "out", tell=tell)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_merged_is_said(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    bare = RunStore(tmp_path / "runs").create(run.config)
    learnt = RunStore(tmp_path / "runs").create(parse_config({"lora": {"method": "prompt_tuning"}}))
    learnt.adapter.mkdir()
    cases: list[tuple[Run, str, str, str]] = [
        (run, "full", "auto", "is there already"),
        (bare, "out", "auto", "no adapter yet"),
        (learnt, "out", "auto", "cannot be merged into them; use the adapter with its base"),
        (run, "out", "int3", "use auto, float32"),
    ]
    for which, out, dtype, words in cases:
        with pytest.raises(FtspaceError, match=words):
            merge(which, tmp_path / out, dtype)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    with pytest.raises(FtspaceError, match="on another disk"):
        merge(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_that_trained_every_weight_is_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path, lora={"method": "full"})
    shutil.rmtree(run.adapter)
    make_model(False, len(make_tokenizer())).save_pretrained(run.adapter)
    make_tokenizer().save_pretrained(run.adapter)
    words = ["merge", run.id, "--out", str(tmp_path / "out"), "--data-dir", str(tmp_path / "data"), "--json"]
    assert main([*words, "--dtype", "float16"]) == 2
    assert "leave --dtype out" in capsys.readouterr().err
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["parity"], found["dtype"]) == (True, None, "float32")
    copied: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    whole: Any = load_base(run.adapter, tokenizer=make_tokenizer(), device="cpu")
    assert torch.equal(copied(IDS).logits, whole(IDS).logits) and copied.generation_config.eos_token_id == [0, 3]


def test_the_command_shows_the_figures(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["merge", run.id, "--out", str(tmp_path / "out"), "--data-dir", str(run.path.parent.parent)]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "mean KL" in shown.out and "from the base alone" in shown.out and "merging …" in shown.err
    assert main(words) == 2
    assert "is there already" in capsys.readouterr().err
