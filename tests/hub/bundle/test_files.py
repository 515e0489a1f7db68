"""What a push holds: nothing of a closed dataset, nothing of this machine, and the same bytes each time."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from evals.results import Finding, JudgeSummary, Results, read_results, write_results
from ftspace.config import load_config
from ftspace.errors import HubError, JobError
from ftspace.events import read_events
from ftspace.hub.bundle.files import Bundle, build_bundle, is_ours
from ftspace.hub.bundle.scores import read_scores, shown_results
from ftspace.hub.push.records import PushRequest
from ftspace.runs import Run, RunStore
from ftspace.settings import ASSETS, ROOT
from ftspace.state import fold
from tests.finished_run import COMMIT, DATA_COMMIT, SECRET, finished_run, keep_origins

REQUEST = PushRequest(repo_id="me/tuned")
HUB: dict[str, dict[str, Any]] = {"model": {"id": "owner/base"}, "data": {"id": "owner/rows"}}


def bundle(run: Run) -> Bundle:
    return build_bundle(run, REQUEST, run.path / "push" / "adapter" / "bundle")


def everything(made: Bundle) -> bytes:
    return b"".join((made.folder / file.path).read_bytes() for file in made.files)


def test_a_bundle_is_whole_and_twice_the_same(store: RunStore) -> None:
    run = finished_run(store, **HUB)
    keep_origins(run, restricted=None)
    made = bundle(run)
    names = [file.path for file in made.files]
    assert names == sorted(path.name for path in made.folder.iterdir())
    assert all(map(is_ours, names)) and not any(map(is_ours, ("notes.txt", "data/a.json", "other.safetensors")))
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "ftspace.yaml"} <= set(names)
    assert {"results.json", "samples.parquet", "evaluation.json", "training.jsonl", "tokenizer.json"} <= set(names)
    assert not [name for name in names if name.endswith((".bin", ".pt"))]
    (made.folder / "left.txt").write_text("of a try before")
    assert bundle(run) == made, "equal content is equal bytes"
    named = json.loads((made.folder / "adapter_config.json").read_text())
    assert (named["base_model_name_or_path"], named["revision"]) == ("owner/base", COMMIT)
    config = load_config(made.folder / "ftspace.yaml")
    assert (config.model.revision, config.data.revision) == (COMMIT, DATA_COMMIT)
    assert config.train == run.config.train and config.lora == run.config.lora


@pytest.mark.parametrize("restricted", ["private", "gated", "unknown", None])
def test_no_text_of_a_dataset_that_not_everybody_may_read_is_pushed(store: RunStore, restricted: str | None) -> None:
    run = finished_run(store, **HUB)
    keep_origins(run, restricted=restricted)
    run.chats.write_text("what its owner asked it")
    made = bundle(run)
    assert b"what its owner asked it" not in everything(made)
    assert (SECRET.encode() in everything(made)) == (restricted is None)
    if restricted:
        assert "questions and answers" in {one.what for one in made.left_out}
    logs = read_scores(made.folder)
    assert [log.which for log in logs] == ["base", "tuned"]
    assert [[one.scores for one in log.samples] for log in logs] == [
        [{"exact_match": float(not n % 8), "length": 3.0} for n in range(40)],
        [{"exact_match": float(n % 8 > 0), "length": 3.0} for n in range(40)],
    ]
    told, whole = (read_results(path) for path in (made.folder / "results.json", run.results))
    assert told.model_copy(update={"samples": whole.samples}).model_dump_json() == whole.model_dump_json()


def test_a_local_dataset_and_a_file_of_tasks_are_names_and_nothing_of_this_machine_is_told(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwxyz")
    rows, tasks = tmp_path / "my rows.jsonl", tmp_path / "my_task.jsonl"
    rows.write_text("{}\n")
    tasks.write_text("{}\n")
    run = finished_run(
        store,
        data={"id": str(rows), "system": "token hf_abcdefghijklmnopqrstuvwxyz"},
        eval={
            "tasks": ["heldout", str(tasks), "general"],
            "earlier": ["20260101-000000-0123456789ab", "checkpoint-2", "owner/other"],
            "reference": "http://10.0.0.7:8000/v1?key=abc#model",
            "judges": ["http://10.0.0.7:8000/v1#judge", "hub:owner/judge"],
        },
        lora={"start_from": str(tmp_path / "first")},
        hub={"push": "me/tuned"},
    )
    seen = f"reference: http://10.0.0.7:8000/v1 is gone; adapter {tmp_path}/x is not there; judge at gpubox fails"
    found = Finding(kind="side not asked", tone="warning", message=seen)
    judges = tuple(JudgeSummary(judge=f"judge at {at}", kind="rubric", n=1, missing=0) for at in ("gpubox", "10.0.0.7"))
    write_results(run.results, read_results(run.results).model_copy(update={"findings": (found,), "judges": judges}))
    made = bundle(run)
    said = everything(made)
    for secret in (str(tmp_path), str(ROOT), "10.0.0.7", "gpubox", "4711", SECRET, "hf_abcdefghijklmnopqrstuvwxyz"):
        assert secret.encode() not in said, secret
    config = load_config(made.folder / "ftspace.yaml")
    assert (config.model.id, config.data.id) == ("assets/base", "my rows.jsonl")
    assert config.eval.tasks == ["heldout", "my_task.jsonl", "general"]
    assert config.eval.earlier == ["checkpoint-2", "owner/other"] and config.eval.judges == ["hub:owner/judge"]
    assert config.eval.reference is None and config.hub.push is None and config.lora.start_from == "first"
    told = (made.folder / "results.json").read_text()
    assert "judge at (address 1) fails" in told and '"judge at (address 2)"' in told, "they are told apart"
    for name in ("README.md", "reproduce.py"):
        assert "the adapter first" in (made.folder / name).read_text(), name
    assert {
        "first, the adapter that it goes on from",
        "my_task.jsonl",
        "eval.reference",
        "eval.earlier",
        "eval.judges",
    } <= {one.what for one in made.left_out}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("/home/me/My Files/new rows.jsonl is gone", "(address 1) is gone"),
        ("~/runs/one/adapter, and again ~/runs/one/adapter", "(address 1), and again (address 1)"),
        (r"C:\Users\me\a b\x.json; \\box\share\x", "(address 1); (address 2)"),
        ("judge at localhost:8000 or [::1]:80 or box.lan:443 or 10.0.0.7", None),
        ("3/4 of base/tuned at 10:30, 1.2.3, scores: 0.5", "3/4 of base/tuned at 10:30, 1.2.3, scores: 0.5"),
    ],
)
def test_what_names_a_machine_is_a_number(said: str, told: str | None) -> None:
    expected = told or "judge at (address 1) or (address 2) or (address 3) or (address 4)"
    assert shown_results(Results(rows=(), verdict=said), frozenset()).verdict == expected


def test_the_curve_is_an_events_file_without_what_was_only_of_use_at_work(store: RunStore) -> None:
    run = finished_run(store, **HUB)
    keep_origins(run, restricted="private")
    events, _ = read_events(bundle(run).folder / "training.jsonl")
    state, before = fold(events), fold(read_events(run.events)[0])
    assert [one.loss for one in state.steps] == [one.loss for one in before.steps]
    assert [one.seq for one in events] == list(range(len(events)))
    assert state.prepared and state.prepared.dropped == {"left out": 1}
    assert not state.samples and not state.warnings
    end = state.end(run.jobs)
    assert end and end.status == "finished" and end.message == ""


def test_a_tokenizer_that_is_the_bases_own_is_left_out(store: RunStore) -> None:
    run = finished_run(store)
    (run.adapter / "chat_template.jinja").unlink()
    assert not {file.path for file in bundle(run).files} & {"tokenizer.json", "tokenizer_config.json"}
    config = json.loads((run.adapter / "tokenizer_config.json").read_text())
    (run.adapter / "tokenizer_config.json").write_text(json.dumps(config | {"eos_token": "<|im_end|>"}))
    assert {file.path for file in bundle(run).files} >= {"tokenizer.json", "tokenizer_config.json"}


def test_what_cannot_be_pushed_is_refused_in_words(store: RunStore) -> None:
    run = finished_run(store)
    with pytest.raises(HubError, match="no name that the Hub takes"):
        build_bundle(run, PushRequest(repo_id="me/a b`"), run.path / "b")
    (run.evals / "heldout" / "tuned.json").write_text("{")
    with pytest.raises(JobError, match=r"tuned\.json: not a EvalLog file.*; evaluate the run again"):
        bundle(run)
    shutil.rmtree(run.evals)
    assert "samples.parquet" not in {file.path for file in bundle(run).files}
    run.results.unlink()
    assert "results.json" not in {file.path for file in bundle(run).files}
    (run.adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(JobError, match="no safetensors"):
        bundle(run)
    shutil.rmtree(run.adapter)
    with pytest.raises(JobError, match="has no adapter"):
        bundle(run)
    assert not list(run.path.rglob("*.new")), "nothing half made is left"


def test_a_model_that_was_trained_whole_is_pushed_as_one(store: RunStore) -> None:
    run = finished_run(store, lora={"method": "full"})
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (run.adapter / name).rename(run.adapter / name.replace("adapter_", ""))
    shutil.copyfile(ASSETS / "base" / "config.json", run.adapter / "config.json")
    made = bundle(run)
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= {file.path for file in made.files}
    assert "library_name: transformers" in (made.folder / "README.md").read_text()
