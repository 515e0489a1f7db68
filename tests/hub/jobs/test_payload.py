import io
import tarfile
from pathlib import Path

import pytest

from ftspace.config import parse_config
from ftspace.errors import JobError
from ftspace.hub.jobs.inside import working_minutes
from ftspace.hub.jobs.payload import config_there, payload, program
from ftspace.hub.jobs.submit import IMAGE, image
from ftspace.runs import RunStore
from ftspace.settings import ASSETS, resolve_local


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def test_what_the_config_names_here_goes_along_under_its_own_name(store: RunStore, tmp_path: Path) -> None:
    model, rows = lay(tmp_path / "model", "config.json", "parts/weights"), lay(tmp_path, "rows.jsonl") / "rows.jsonl"
    other = store.create(parse_config({"model": {"id": "assets/base"}, "data": {"id": str(rows)}}))
    named = {"model": {"id": str(model)}, "data": {"id": str(rows)}, "lora": {"start_from": other.id}}
    config = parse_config({**named, "eval": {"tasks": ["heldout", "assets/tasks/general.jsonl"]}})
    run = store.create(config)
    lay(run.path, "data/manifest.json", "checkpoints/step-000003/state", "chats.jsonl", "lock")
    with pytest.raises(JobError, match=f"run {other.id} has no adapter"):
        payload(run, config)
    lay(other.adapter, "adapter_model.safetensors")
    found = payload(run, config)
    place = str(tmp_path).lstrip("/")
    assert {name for name in found if name.startswith("inputs/")} == {
        f"inputs/{place}/model/config.json",
        f"inputs/{place}/model/parts/weights",
        f"inputs/{place}/rows.jsonl",
    }
    assert {name for name in found if name.startswith("others/")} == {
        f"others/{other.id}/{name}" for name in ("config.json", "access.json", "adapter/adapter_model.safetensors")
    }
    state = {"run/data/manifest.json", "run/checkpoints/step-000003/state", "run/files.json"}
    assert {name for name in found if name.startswith("run/")} == state, "no chats, no lock"


def test_such_a_name_means_what_went_along_and_what_is_here_comes_first(tmp_path: Path) -> None:
    there = {"FTSPACE_INPUTS": str(lay(tmp_path / "inputs", "home/ann/rows.jsonl"))}
    assert resolve_local("/home/ann/rows.jsonl", there) == tmp_path / "inputs/home/ann/rows.jsonl"
    assert resolve_local("/home/ann/rows.jsonl", {}) is None
    assert resolve_local("assets/base", there) == ASSETS / "base"


def test_there_it_is_a_local_run_that_pushes_nothing() -> None:
    launch = {"launcher": "hf-jobs", "flavor": "l4x4", "processes": 4}
    found = config_there(
        parse_config({"model": {"id": "a/b"}, "data": {"id": "a/c"}, "launch": launch, "hub": {"push": "me/x"}})
    )
    assert (found.launch.launcher, found.launch.processes, found.launch.flavor) == ("local", 4, None)
    assert found.hub.push is None


def test_the_program_goes_along_whole_and_as_the_same_bytes() -> None:
    packed = program()
    assert packed == program()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        names = set(archive.getnames())
    assert {"ftspace/hub/jobs/inside.py", "evals/run.py", "requirements.lock", "assets/base/config.json"} < names
    assert not [name for name in names if "__pycache__" in name or "screenshots" in name or name.startswith("tests")]


def test_a_space_lends_its_own_image_in_which_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    own, lines = image()
    assert own == IMAGE and any("pip install" in line and "requirements.lock" in line for line in lines)
    monkeypatch.setenv("SPACE_ID", "me/ftspace")
    own, lines = image()
    assert own == "hf.co/spaces/me/ftspace" and not any("pip" in line for line in lines)


@pytest.mark.parametrize(("minutes", "spent", "left"), [(60, 4, 51), (10, 1, 7), (1, 5, 0.1)])
def test_some_of_a_jobs_time_is_kept_for_saving(minutes: float, spent: float, left: float) -> None:
    assert working_minutes(minutes, spent) == pytest.approx(left)
