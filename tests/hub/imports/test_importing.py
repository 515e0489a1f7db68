"""Adapters of the Hub as runs, over real HTTP: what was pushed comes back, and a stranger's word is not believed."""

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from evals.log import read_log
from evals.results import read_results
from ftspace import jobs, queue
from ftspace.data.prepare import prepare, read_manifest
from ftspace.errors import DiskError, HubError, JobError, ModelError
from ftspace.events import Finished, Started
from ftspace.hub.bundle.files import build_bundle
from ftspace.hub.bundle.reproduce import row_hashes
from ftspace.hub.imports.adopted import prepare_again
from ftspace.hub.imports.importing import import_run, imported
from ftspace.hub.push.records import PushRequest
from ftspace.plan import plan_of
from ftspace.runs import Run, RunReader, RunStore, is_run_id
from ftspace.settings import ASSETS
from tests.finished_run import SECRET, finished_run, keep_origins, write_safetensors
from tests.loopback_hub import LoopbackHub, serve

LAYER = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """An empty Hub, asked by this process."""
    loopback = LoopbackHub(tmp_path / "hub")
    loopback.root.mkdir()
    with serve(loopback) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        yield loopback


def pushed(hub: LoopbackHub, run: Run, name: str = "me/tuned") -> Path:
    """The bundle of a run as a repository."""
    made = build_bundle(run, PushRequest(repo_id=name), hub.root / "models" / name)
    return made.folder


def foreign(hub: LoopbackHub, base: str, name: str = "they/lora") -> Path:
    folder = hub.root / "models" / name
    folder.mkdir(parents=True)
    named = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(named))
    write_safetensors(folder / "adapter_model.safetensors", [f"{LAYER}.lora_A.weight", f"{LAYER}.lora_B.weight"])
    return folder


def test_a_pushed_run_comes_back_with_all_that_was_pushed(hub: LoopbackHub, store: RunStore, tmp_path: Path) -> None:
    run = finished_run(store)
    pushed(hub, run)
    back = import_run("me/tuned", RunStore(tmp_path / "there" / "runs"))
    told = imported(back)
    assert told is not None and told.ours and len(told.commit) == 40 and told.missing == ()
    first, again = RunReader(run), RunReader(back)
    assert (first.status(), again.status()) == ("finished", "finished")
    assert [one.loss for one in again.state.steps] == [one.loss for one in first.state.steps]
    assert back.config.lora == run.config.lora and back.config.eval.tasks == ["heldout"]
    weights = "adapter_model.safetensors"
    assert (back.adapter / weights).read_bytes() == (run.adapter / weights).read_bytes()
    assert read_results(back.results).model_dump_json() == read_results(run.results).model_dump_json()
    for side in ("base", "tuned"):
        one, other = (read_log(path.evals / "heldout" / f"{side}.json") for path in (run, back))
        assert one.samples == other.samples
    assert imported(run) is None


def test_a_run_whose_rows_are_not_to_be_had_is_asked_other_tasks(
    hub: LoopbackHub, store: RunStore, tmp_path: Path
) -> None:
    rows = tmp_path / "mine.jsonl"
    rows.write_text("{}\n")
    run = finished_run(store, data={"id": str(rows)})
    (run.adapter / "chat_template.jinja").unlink()
    assert not (pushed(hub, run) / "tokenizer.json").exists()
    back = import_run("me/tuned", store)
    told = imported(back)
    assert told is not None and "mine.jsonl" in told.missing[0]
    assert back.config.eval.tasks == ["general", "instructions"]
    assert (back.adapter / "tokenizer.json").read_bytes() == (ASSETS / "base" / "tokenizer.json").read_bytes()
    said: list[str] = []
    plan = plan_of(back, tmp_path / "scratch", said.append)
    assert plan is not None and [task.name for task in plan.tasks] == ["general", "instructions"]
    assert plan.trained_on is None, "what it was trained on is not known"
    assert SECRET not in (back.evals / "heldout" / "tuned.json").read_text()


def test_what_is_cut_off_while_it_is_filled_is_no_run(
    hub: LoopbackHub, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(hub, finished_run(store), "they/lora")
    before = store.list()
    seen: list[str] = []

    def cut_off(run: Run, *_: object, **__: object) -> Iterator[str]:
        seen.append(run.id)
        assert store.list() == before and run.is_alive(), "kill -9 here leaves what gc takes away"
        raise KeyboardInterrupt

    monkeypatch.setattr("ftspace.hub.imports.importing.fill", cut_off)
    with pytest.raises(KeyboardInterrupt):
        import_run("they/lora", store)
    assert is_run_id(seen[0]) and [one.name for one in store.runs_dir.iterdir()] == [before[0].id]


def test_any_other_adapter_is_a_run_that_can_be_compared(hub: LoopbackHub, store: RunStore) -> None:
    shutil.copytree(ASSETS / "base", hub.root / "models" / "owner" / "base")
    (hub.root / "models" / "owner" / "base" / "spiece.model").write_bytes(b"pieces")
    foreign(hub, "owner/base")
    back = import_run("they/lora", store)
    assert (back.adapter / "spiece.model").read_bytes() == b"pieces"
    told, reader = imported(back), RunReader(back)
    assert told is not None and not told.ours and "no push of ftspace" in told.missing[0]
    assert back.config.model.id == "owner/base" and (back.adapter / "tokenizer.json").is_file()
    assert reader.status() == "cancelled" and "compare it" in (reader.state.ended["evaluate"].message)
    with pytest.raises(ModelError, match="there is no model owner/nobody"):
        import_run("they/lora", store, base="owner/nobody")
    assert len(store.list()) == 1


def as_pickle(folder: Path) -> None:
    (folder / "adapter_model.bin").write_bytes(pickle.dumps({}))
    (folder / "adapter_model.safetensors").unlink()


def as_torn(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


def as_of_nowhere(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/home/they/base"}')


def as_odd(folder: Path) -> None:
    (folder / "ftspace.yaml").write_text("model: {odd: 1}\n")


def as_bomb(folder: Path) -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    (folder / "ftspace.yaml").write_text(f"a0: &a0 [x]\n{levels}model: *a9\n")


def as_deep(folder: Path) -> None:
    (folder / "ftspace.yaml").write_text("[" * 1500)


def as_large(folder: Path) -> None:
    (folder / "ftspace.yaml").write_text("#" * 200_000)


def as_deep_weights(folder: Path) -> None:
    (folder / "adapter_model.safetensors").write_bytes((50_000).to_bytes(8, "little") + b"[" * 50_000)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (as_pickle, r"adapter_model\.bin, which is not safetensors"),
        (as_torn, "is damaged or no safetensors file"),
        (as_of_nowhere, "which is no Hub model; name the base with --base"),
        (as_odd, "unknown field model.odd"),
        (as_bomb, "is not YAML: it has aliases"),
        (as_deep, "is not YAML: maximum recursion"),
        (as_large, "too large to be one"),
        (as_deep_weights, "is damaged or no safetensors file"),
    ],
)
def test_what_cannot_be_a_run_is_refused_and_leaves_nothing(
    hub: LoopbackHub, store: RunStore, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(foreign(hub, "assets/base"))
    with pytest.raises(ModelError, match=said):
        import_run("they/lora", store)
    assert list(store.runs_dir.iterdir()) == []
    with pytest.raises(ModelError, match="there is no model they/none"):
        import_run("they/none", store)
    with pytest.raises(ModelError, match="is no Hub model"):
        import_run("me/a b", store)


def test_a_strangers_config_names_no_file_runs_no_code_and_asks_no_paid_judge(
    hub: LoopbackHub, store: RunStore, tmp_path: Path
) -> None:
    folder = pushed(hub, finished_run(store))
    private = tmp_path / "private.jsonl"
    private.write_text('{"question": "?", "answer": "!"}\n')
    given: dict[str, Any] = yaml.safe_load((folder / "ftspace.yaml").read_text())
    given["data"] |= {"id": str(private), "review": str(private)}
    given["eval"] |= {
        "tasks": [str(private), "general"], "forgetting": [str(ASSETS / "tasks" / "known_facts.jsonl")],
        "judges": ["hub:owner/judge"], "reference": "http://10.0.0.1/v1#m", "embedding_model": str(tmp_path),
        "earlier": [str(tmp_path)],
    }  # fmt: skip
    given["eval"] |= {"max_new_tokens": 10**6, "batch_tokens": 10**9, "metrics": ["semantic_similarity"]}
    given["lora"] |= {"start_from": str(tmp_path)}
    given["train"] |= {"report_to": ["wandb"], "device": "cuda", "auto_resume": True}
    (folder / "ftspace.yaml").write_text(yaml.safe_dump(given))
    heads = json.loads((folder / "evaluation.json").read_text())
    heads[0]["which"] = "../../../escaped"
    (folder / "evaluation.json").write_text(json.dumps(heads))
    back = import_run("me/tuned", store)
    config = back.config
    assert config.data.id == "private.jsonl" and config.data.review is None
    assert config.eval.tasks == ["general"] and config.eval.forgetting == [str(ASSETS / "tasks" / "known_facts.jsonl")]
    assert not config.eval.judges and not config.eval.earlier and not config.eval.reference
    assert config.lora.start_from is None and config.eval.metrics == []
    assert (config.eval.max_new_tokens, config.eval.batch_tokens) == (1024, 8192)
    assert config.eval.embedding_model is None and config.train.device == "auto" and not config.train.report_to
    told = imported(back)
    assert told is not None and "is no name of a task or a side" in " ".join(told.missing)
    assert not list(tmp_path.rglob("*escaped*")) and not back.results.exists()


def test_a_strangers_events_and_records_make_no_run_that_can_be_gone_on_with(hub: LoopbackHub, store: RunStore) -> None:
    folder = pushed(hub, finished_run(store))
    ends = [
        Finished(job="train", status="cancelled"),
        Started(job="train", pid=7),
        Finished(job="train", status="failed"),
    ]
    with (folder / "training.jsonl").open("a") as file:
        file.writelines(f"{event.model_dump_json()}\n" for event in ends)
    (folder / "evaluation.json").write_text("[" * 50_000)
    back = import_run("me/tuned", store)
    reader = RunReader(back)
    assert reader.status() == "cancelled" and reader.state.unfinished(back.jobs) == ["evaluate"]
    told = imported(back)
    assert told is not None and "its results cannot be read: they hold too much" in " ".join(told.missing)


@pytest.mark.parametrize("same", [True, False])
def test_rows_that_are_not_those_of_the_training_are_not_asked(
    hub: LoopbackHub, store: RunStore, *, same: bool
) -> None:
    folder = pushed(hub, finished_run(store))
    back = import_run("me/tuned", store)
    assert not back.data.exists() and (back.path / "training_rows.txt").read_bytes()
    prepare(back.config.data, back.data)
    if same:
        (back.path / "training_rows.txt").write_text("\n".join(row_hashes(back.data)))
    (back.data / "manifest.json").unlink()
    assert ("are not those" in prepare_again(back, lambda _: None)) is not same
    manifest = read_manifest(back.data)
    assert manifest is not None and (manifest.rows["test"] > 0) is same
    assert folder.is_dir()


def test_rows_are_known_by_a_commit_only(hub: LoopbackHub, store: RunStore) -> None:
    run = finished_run(store, data={"id": "owner/rows"})
    keep_origins(run)
    folder = pushed(hub, run)
    given: dict[str, Any] = yaml.safe_load((folder / "ftspace.yaml").read_text())
    given["model"] |= {"id": "assets/base", "revision": None}
    given["data"]["revision"] = "main"
    (folder / "ftspace.yaml").write_text(yaml.safe_dump(given))
    told = imported(import_run("me/tuned", store))
    assert told is not None and "are of a commit that it does not name" in told.missing[0]


def test_an_import_begins_only_where_there_is_room(
    hub: LoopbackHub, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign(hub, "assets/base")
    monkeypatch.setattr("ftspace.hub.imports.strangers.MIN_FREE_BYTES", 10**18)
    with pytest.raises(DiskError, match="are free at"):
        import_run("they/lora", store)
    assert not list(store.runs_dir.iterdir())


def test_an_offline_hub_is_said(hub: LoopbackHub, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="not asked while offline"):
        import_run("me/tuned", store)


def test_a_trained_run_is_compared_once_more(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished_run(store)
    queue.enqueue(run, token=False, most=5, again="evaluate")
    reader = RunReader(run)
    assert reader.status() == "queued" and reader.state.unfinished(run.jobs) == ["evaluate"]
    queue.cancel(run)
    assert RunReader(run).status() == "cancelled" and run.results.exists()
    shutil.rmtree(run.adapter)
    with pytest.raises(JobError, match="has no adapter yet"):
        jobs.evaluate(run)
