"""What is pushed must load with public packages alone and answer as the run's own model does."""

import json
from pathlib import Path
from typing import Any

import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from evals.executor import Executor
from evals.models import load_comparison, peft_quiet
from ftspace.errors import ModelError
from ftspace.hub.bundle.files import build_bundle
from ftspace.hub.push.records import PushRequest
from ftspace.runs import Run
from ftspace.training import merge as module
from tests.training.test_merge import TALK, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("weights"))


def answer(model: Any, tokenizer: Any) -> str:
    """The tuned answer as a card says that it is had."""
    options = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}
    rows = tokenizer.apply_chat_template(TALK, **options)
    written = model.generate(**rows, max_new_tokens=16, do_sample=False, eos_token_id=[0, 3])
    return tokenizer.decode(written[0, rows["input_ids"].shape[1] :], skip_special_tokens=True)


@pytest.fixture(scope="module")
def wanted(run: Run) -> str:
    executor = Executor(*load_comparison(run.config.model.id, run.adapter, device="cpu"))
    (found,) = executor.generate([executor.prompter.render(TALK)], 16, "tuned")
    return found.text


def test_peft_loads_what_was_pushed_and_it_gives_the_same_answer(run: Run, wanted: str, tmp_path: Path) -> None:
    folder = build_bundle(run, PushRequest(repo_id="me/tuned"), tmp_path / "bundle").folder
    base: Any = AutoModelForCausalLM.from_pretrained(run.config.model.id)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    if len(tokenizer) > base.get_input_embeddings().num_embeddings:
        base.resize_token_embeddings(len(tokenizer))
    with peft_quiet():
        model = PeftModel.from_pretrained(base, str(folder)).eval()
    assert answer(model, tokenizer) == wanted


def test_a_merged_model_is_pushed_with_its_proof(run: Run, wanted: str, tmp_path: Path) -> None:
    request = PushRequest(what="merged", repo_id="me/whole")
    made = build_bundle(run, request, tmp_path / "bundle")
    assert build_bundle(run, request, tmp_path / "bundle") == made, "equal content is equal bytes"
    names = {file.path for file in made.files}
    assert {"model.safetensors", "config.json", "tokenizer.json", "parity.json", "README.md"} <= names
    assert not names & {"adapter_model.safetensors", "merge.json", "reproduce.py"}
    told = json.loads((made.folder / "parity.json").read_text())
    assert told["ok"] and told["parity"]["kl"] <= told["tolerance"] and told["base"] == "base"
    card = (made.folder / "README.md").read_text()
    assert "library_name: transformers" in card and "Against base plus adapter: mean KL" in card
    assert not any(str(tmp_path).encode() in (made.folder / name).read_bytes() for name in names)
    model: Any = AutoModelForCausalLM.from_pretrained(made.folder)
    assert answer(model, AutoTokenizer.from_pretrained(made.folder)) == wanted


def test_what_is_not_proved_is_never_pushed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "allowed", lambda *_: -1.0)
    with pytest.raises(ModelError, match="does not answer as base plus adapter"):
        build_bundle(run, PushRequest(what="merged", repo_id="me/whole"), tmp_path / "bundle")
    assert not list(tmp_path.iterdir()), "nothing is left"
