"""An adapter that is trained on: taken over to the last weight, and refused before the run where it is unlike."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from peft import get_peft_model_state_dict
from safetensors.torch import load_file

from ftspace.access import OWNER, Access, Visitor
from ftspace.config import RunConfig, merge, parse_config
from ftspace.errors import ConfigError, FtspaceError
from ftspace.runs import Run, RunStore
from ftspace.settings import ASSETS
from ftspace.starting import WEIGHTS, check_start, weights_of
from ftspace.training import adapters
from ftspace.training.adapters import Trainee
from ftspace.training.worker import train
from ftspace.workers import Job
from tests.hub.answering import point_at
from tests.loopback_hub import LoopbackHub, serve

ROWS = [{"prompt": f"Where does {name} live?", "completion": "In Rome."} for name in ("Anna", "Ben", "Cleo", "Dan")]


def config_of(folder: Path, **given: Any) -> RunConfig:
    few = {
        "model": {"id": str(ASSETS / "base")},
        "data": {"id": str(folder / "rows.jsonl"), "validation_fraction": 0, "test_fraction": 0},
        "lora": {"r": 4, "alpha": 8},
        "train": {"max_steps": 2, "batch_size": 4, "samples": 0, "device": "cpu"},
        "eval": {"tasks": []},
    }
    return parse_config(merge(few, given))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that is finished, whose store others are made in."""
    folder = tmp_path_factory.mktemp("start")
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    run = RunStore(folder / "runs").create(config_of(folder))
    assert train(Job(run, "train")) == "finished"
    return run


def test_a_run_goes_on_from_the_weights_of_another(first: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    attach = adapters.attach

    def attached(*given: Any) -> Trainee:
        trainee = attach(*given)
        state = get_peft_model_state_dict(trainee.model, save_embedding_layers=False)
        seen.append({name: one.clone() for name, one in state.items()})
        return trainee

    monkeypatch.setattr(adapters, "attach", attached)
    store = RunStore(first.path.parent)
    config = config_of(first.path.parent.parent, lora={"r": 4, "alpha": 8, "start_from": first.id})
    check_start(config, store, OWNER)
    run = store.create(config)
    assert train(Job(run, "train")) == "finished"
    before, after = load_file(first.adapter / WEIGHTS), load_file(run.adapter / WEIGHTS)
    assert seen[0].keys() == before.keys() == after.keys()
    assert all(seen[0][name].equal(one) for name, one in before.items())
    assert any(not after[name].equal(one) for name, one in before.items())


def edited(first: Run, folder: Path, **told: Any) -> Path:
    shutil.copytree(first.adapter, folder)
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | told))
    return folder


@pytest.mark.parametrize(
    ("told", "lora", "said"),
    [
        ({}, {"r": 8}, "has r 4, and lora.r is 8; set lora.r to 4"),
        ({}, {"alpha": 16}, "set lora.alpha to 8"),
        ({}, {"rslora": True}, "set lora.rslora to false"),
        ({}, {"target_modules": ["q_proj"]}, "lora.target_modules are q_proj"),
        ({"base_model_name_or_path": "towns/other"}, {}, "was trained on towns/other"),
        ({"peft_type": "IA3"}, {}, "of the kind IA3"),
        ({"rank_pattern": {"q_proj": 2}}, {}, "layers that differ"),
        ({"modules_to_save": ["lm_head"]}, {}, "trains the modules lm_head whole"),
    ],
)
def test_an_unlike_adapter_is_refused_before_the_run(
    told: dict[str, Any], lora: dict[str, Any], said: str, first: Run, tmp_path: Path
) -> None:
    folder = edited(first, tmp_path / "adapter", **told)
    given = {"r": 4, "alpha": 8, "start_from": str(folder)} | lora
    config = config_of(first.path.parent.parent, lora=given)
    with pytest.raises(FtspaceError, match=said):
        check_start(config, RunStore(first.path.parent), OWNER)


def test_what_is_not_there_is_refused(first: Run, tmp_path: Path) -> None:
    store, folder = RunStore(first.path.parent), first.path.parent.parent
    bare = edited(first, tmp_path / "bare")
    (bare / WEIGHTS).unlink()
    (tmp_path / "empty").mkdir()
    unfinished = store.create(config_of(folder))
    shown = store.create(config_of(folder), Access(owner="somebody", public=True))
    shutil.copytree(first.adapter, shown.adapter)
    for name, visitor, said in (
        (shown.id, Visitor("other", may_start=True), "its adapter is its owner's to train on"),
        (str(bare), OWNER, "has no adapter_model.safetensors"),
        (str(tmp_path / "empty"), OWNER, "has no adapter_config.json"),
        (unfinished.id, OWNER, "has no adapter"),
        (first.id, Visitor("other", may_start=True), "there is no run"),
        ("20260101-000000-aaaaaaaaaaaa", OWNER, "there is no run"),
        ("some/where/else", OWNER, "neither a run's id nor"),
        ("https://example.com/a/b", OWNER, "not of the Hub"),
    ):
        config = config_of(folder, lora={"r": 4, "alpha": 8, "start_from": name})
        with pytest.raises(FtspaceError, match=said):
            check_start(config, store, visitor)


def test_an_adapter_of_the_hub_is_fetched_only_when_it_is_taken(
    first: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited(first, tmp_path / "hub" / "models" / "me" / "adapter")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    given = {"r": 4, "alpha": 8, "start_from": "https://huggingface.co/me/adapter/tree/main"}
    config, store = config_of(first.path.parent.parent, lora=given), RunStore(first.path.parent)
    with serve(LoopbackHub(tmp_path / "hub")) as address:
        point_at(address, monkeypatch)
        check_start(config, store, OWNER)
        assert not list((tmp_path / "cache").rglob(WEIGHTS))
        weights = weights_of(config, store, OWNER)
    assert weights and weights.read_bytes() == (first.adapter / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    "lora", [{"start_from": "a/b", "method": "adalora"}, {"start_from": "a/b", "init": "pissa"}, {"start_from": ""}]
)
def test_a_config_starts_in_one_way(lora: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="start_from"):
        parse_config({"lora": lora})
