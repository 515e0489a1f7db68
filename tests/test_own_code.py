"""Code from a model's repository, with the unmodified client against a Hub on this machine."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.errors import ModelError as LoadError
from evals.models import load_base, load_comparison, load_tokenizer
from ftspace.config import RunConfig, parse_config
from ftspace.errors import ConfigError, FtspaceError, ModelError
from ftspace.hub.finding.find import look_up
from ftspace.preflight import check_model
from ftspace.settings import ASSETS
from ftspace.training.loading import load
from tests.loopback_hub import LoopbackHub, serve

MINE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

Path({mark!r}).touch()

class Config(LlamaConfig):
    model_type = "mine"

class Model(LlamaForCausalLM):
    config_class = Config
"""
OWN = {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that is there once the model's code has run."""
    return tmp_path / "it-ran"


@pytest.fixture
def hub(tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the Hub's models: `towns/own` needs code of its own."""
    root = tmp_path / "hub"
    own = root / "models" / "towns" / "own"
    shutil.copytree(ASSETS / "base", own)
    say(own, model_type="mine", auto_map=OWN)
    (own / "mine.py").write_text(MINE.format(mark=str(mark)))
    with serve(LoopbackHub(root)) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        files = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
        yield root / "models" / "towns"


def say(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def config_of(name: str, **model: object) -> RunConfig:
    return parse_config({"model": {"id": name, **model}, "eval": {"tasks": []}, "train": {"device": "cpu"}})


def commit() -> str:
    found = look_up("model", "towns/own")
    assert found is not None and found.commit is not None
    return found.commit


def test_code_is_run_at_the_commit_that_is_named_and_not_else(hub: Path, mark: Path) -> None:
    with pytest.raises(
        ModelError, match=rf"needs Python code of its own \(mine\.py\).*/towns/own/tree/{commit()}, and"
    ):
        check_model(config_of("towns/own"))
    for untrusted in ({}, {"revision": commit()}):
        with pytest.raises(FtspaceError, match="code of its own"):
            load(config_of("towns/own", **untrusted))
    with pytest.raises(LoadError, match="code of its own"):
        load_comparison("towns/own", None, device="cpu")
    for wrong in ("main", "0" * 39, commit()[:8]):
        with pytest.raises(LoadError, match="40 digits of the commit"):
            load_tokenizer("towns/own", trust_code=wrong)
    with pytest.raises(LoadError, match="40 digits of the commit"):
        load_tokenizer("towns/own", "main", commit())
    assert not mark.exists()
    trusted = config_of("towns/own", trust_code=commit())
    assert trusted.model.revision == commit(), "weights and tokenizer are of the same commit as the code"
    check_model(trusted)
    assert not mark.exists()
    assert type(load(trusted).model).__name__ == "Model" and mark.exists()
    model, _ = load_comparison("towns/own", None, device="cpu", trust_code=commit())
    assert type(model).__name__ == "Model"


def test_code_that_changed_since_is_not_run(hub: Path, mark: Path) -> None:
    read = commit()
    (hub / "own" / "mine.py").write_text("raise SystemExit('other code')")
    with pytest.raises(ModelError, match=f"no revision {read}"):
        check_model(config_of("towns/own", trust_code=read))
    with pytest.raises(FtspaceError, match="no such revision"):
        load(config_of("towns/own", trust_code=read))
    assert not mark.exists()


def test_what_no_commit_can_name_is_refused(hub: Path, mark: Path) -> None:
    folder, trust = str(hub / "own"), "a" * 40
    with pytest.raises(ModelError, match="code from a folder is never run"):
        check_model(config_of(folder))
    with pytest.raises(ConfigError, match="which has none: its code is never run"):
        check_model(config_of(folder, trust_code=trust))
    with pytest.raises(LoadError, match="is a folder, which has no commit"):
        load_tokenizer(folder, trust_code=trust)
    say(hub / "own", auto_map={name: f"evil/code--{one}" for name, one in OWN.items()})
    with pytest.raises(ModelError, match=r"lies in another repository \(evil/code\)"):
        check_model(config_of("towns/own", trust_code=commit()))
    say(hub / "own", auto_map=OWN)
    full = parse_config({"model": {"id": "towns/own", "trust_code": commit()}, "lora": {"method": "full"}})
    with pytest.raises(ConfigError, match="which no commit names then"):
        check_model(full)
    with pytest.raises(ConfigError, match="leave revision out, or give the same"):
        config_of("towns/own", trust_code=trust, revision="main")
    assert not mark.exists()


def test_only_safetensors_and_no_adapter_is_taken_for_a_model(hub: Path) -> None:
    known = hub / "known"
    shutil.copytree(ASSETS / "base", known)
    say(known, auto_map=OWN)
    check_model(config_of("towns/known"))  # transformers has that model itself, and runs its own code
    (known / "model.safetensors").rename(known / "pytorch_model.bin")
    for name in ("towns/known", str(known)):
        with pytest.raises(ModelError, match=r"its weights only as pytorch_model\.bin; other formats can run code"):
            check_model(config_of(name))
    (known / "pytorch_model.bin").rename(known / "model.safetensors")
    (known / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "towns/own"}))
    for name in ("towns/known", str(known)):
        with pytest.raises(ModelError, match="holds an adapter, not a model"):
            check_model(config_of(name))
        with pytest.raises(LoadError, match="it is an adapter"):
            load_base(name, device="cpu", tokenizer=load_tokenizer(ASSETS / "base"))
