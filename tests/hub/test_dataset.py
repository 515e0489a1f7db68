"""Pushing over real HTTP: the unmodified client against a Hub on this machine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftspace.data.messages import Conversation
from ftspace.data.prepare import Manifest, Split, prepare, read_split
from ftspace.errors import DatasetError, HubError
from ftspace.hub.card import Source, card
from ftspace.hub.dataset import Pushed, check_target, push, source_of
from ftspace.hub.push.line import Patience
from ftspace.sections import DataConfig
from tests.data.test_export import WHOLE, call, talk
from tests.hub.finding.test_find import run
from tests.loopback_hub import LIMITED_TOKEN, READER_TOKEN, WRITER_TOKEN, Fault, LoopbackHub, serve

HERE = Source("rows.jsonl")
QUICK = Patience(tries=2, pause=0.01)
# huggingface_hub 2.4 hands large files to httpx2 under a name that httpx2 is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """An empty Hub, asked by this process with the writer's token."""
    loopback = LoopbackHub(tmp_path / "hub")
    loopback.root.mkdir()
    with serve(loopback) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", WRITER_TOKEN)
        yield loopback


def folder_of(tmp_path: Path, **files: str) -> Path:
    folder = tmp_path / "prepared"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, text in ({"README_md": "---\nlicense: unknown\n---\n", "manifest_json": "{}"} | files).items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def repo(hub: LoopbackHub, name: str, *marks: str, **files: str) -> Path:
    folder = hub.root / "datasets" / name
    folder.mkdir(parents=True)
    for mark in marks:
        (folder / mark).touch()
    for file, text in files.items():
        (folder / file.replace("_", ".")).write_text(text)
    return folder


def upload(folder: Path, *, public: bool = False) -> Pushed:
    return push(folder, check_target("me/talks", HERE, public=public, patience=QUICK), patience=QUICK)


def test_a_dataset_is_prepared_pushed_and_read_back_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = [call(n) if n % 3 == 0 else talk(n) for n in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    hub, out, back = LoopbackHub(tmp_path / "hub"), tmp_path / "out", tmp_path / "back"
    hub.root.mkdir()
    with serve(hub) as address:
        words = ["prepare", str(tmp_path / "rows.jsonl"), "--out", str(out), "--format", "parquet"]
        done = run(address, tmp_path, *words, "--push", "me/talks", "--json", token=WRITER_TOKEN)
        assert done.returncode == 0, done.stderr
        whole = [word for name, value in WHOLE.items() for word in (f"--data.{name}", str(value))]
        words = ["prepare", "me/talks", "--out", str(back), *whole, "--json"]
        again = run(address, tmp_path, *words, token=WRITER_TOKEN)
        assert again.returncode == 0, again.stderr
    said = json.loads(done.stdout)
    assert said["pushed"]["private"] is True and said["pushed"]["url"] == f"{address}/datasets/me/talks"
    assert json.loads(again.stdout)["revision"] == said["pushed"]["commit"]
    assert [str(one) for one in hub.requests if "/commit/" in one.path] == ["POST /api/datasets/me/talks/commit/main"]
    assert len(list((hub.root / "lfs").iterdir())) == 3, "parquet goes through LFS"
    prepare(DataConfig(id=str(tmp_path / "rows.jsonl")), tmp_path / "local")
    given = [_columns(turns) for turns in read_split(tmp_path / "local", "train")]
    assert [json.loads(line) for line in (back / "train.jsonl").read_text().split("\n")[:-1]] == given
    assert len(given) == said["rows"]["train"] and sum(said["rows"].values()) == 60
    assert not any(WRITER_TOKEN.encode() in path.read_bytes() for path in out.iterdir())


def _columns(turns: Conversation) -> dict[str, Any]:
    first: dict[str, Any] = {**turns[0]}
    tools = first.pop("tools", None)
    return {"messages": [first, *turns[1:]], "tools": json.dumps(tools) if tools else None}


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/whoami-v2", 401, "refuses the token"),
        ("/whoami-v2", 503, "in trouble (status 503)"),
        ("/repos/create", 403, "may not write me/talks"),
        ("/commit/", 409, "being changed by somebody else"),
        ("/commit/", 412, "was changed while"),
        ("/preupload/", 413, "too large"),
        ("/lfs/", 413, "too large"),
        ("/commit/", 429, "too many requests"),
        ("/commit/", 500, "in trouble (status 500)"),
        ("/commit/", 418, "refuses me/talks (status 418)"),
    ],
)
def test_a_refusal_is_said_with_what_to_do_and_nothing_local_is_lost(
    hub: LoopbackHub, tmp_path: Path, path: str, status: int, said: str
) -> None:
    folder = folder_of(tmp_path, train_parquet="rows")
    hub.faults.append(Fault("status", path=path, status=status, times=None))
    with pytest.raises(HubError) as caught:
        upload(folder)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert len(list(folder.iterdir())) == 3
    hub.forget()
    assert upload(folder).private, "what a refusal left on the Hub is no hindrance"


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (None, "there is no token"),
        ("hf_nobodys", "refuses the token"),
        (READER_TOKEN, "can only read"),
        (LIMITED_TOKEN, "has no permission to make repositories of me"),
    ],
)
def test_a_token_that_cannot_push_is_named(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str | None, said: str
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match=said) as caught:
        upload(folder_of(tmp_path))
    assert not token or token not in str(caught.value)
    assert not (hub.root / "datasets").exists()


def test_a_hub_out_of_reach_and_a_name_that_is_none_are_named(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, said in (("talks", "names no repository"), ("me/a b", "no name that the Hub takes")):
        with pytest.raises(HubError, match=said):
            check_target(name, HERE, public=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="while offline"):
        check_target("me/talks", HERE, public=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="cannot be reached"):
        check_target("me/talks", HERE, public=False, patience=QUICK)


def test_a_second_push_replaces_the_first(hub: LoopbackHub, tmp_path: Path) -> None:
    first = upload(folder_of(tmp_path, train_jsonl="{}\n", test_jsonl="{}\n"))
    second = upload(folder_of(tmp_path, train_parquet="rows"))
    there = {path.name for path in (hub.root / "datasets" / "me" / "talks").iterdir()}
    assert there == {".gitattributes", ".private", "README.md", "manifest.json", "train.parquet"}
    assert first.commit != second.commit
    assert upload(folder_of(tmp_path, train_parquet="rows")).commit == second.commit, "the same files are no new commit"


def test_a_repository_of_other_files_is_left_alone(hub: LoopbackHub, tmp_path: Path) -> None:
    theirs = repo(hub, "me/talks", ".private", README_md="mine", train_jsonl="{}\n")
    with pytest.raises(HubError, match=r"is taken: it holds README\.md"):
        upload(folder_of(tmp_path))
    (theirs / "manifest.json").write_text("{}")
    (theirs / "notes.txt").write_text("mine")
    with pytest.raises(HubError, match=r"is taken: it holds notes\.txt"):
        upload(folder_of(tmp_path))
    assert (theirs / "README.md").read_text() == "mine"


def test_nothing_becomes_public_by_accident(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo(hub, "me/talks", manifest_json="{}")
    with pytest.raises(HubError, match="everybody can read it; say --public"):
        upload(folder_of(tmp_path))
    assert upload(folder_of(tmp_path), public=True).private is False
    for mark, word in ((".private", "private"), (".gated", "gated")):
        repo(hub, f"me/{word}", mark, train_jsonl="{}\n")
        source = source_of(DataConfig(id=f"me/{word}"))
        with pytest.raises(HubError, match=f"me/{word} is a {word} dataset.*leave --public out"):
            check_target("me/copy", source, public=True)
        assert check_target("me/copy", source, public=False).public is False
    monkeypatch.setenv("HF_TOKEN", READER_TOKEN)
    with pytest.raises(DatasetError, match="there is no dataset me/private"):
        source_of(DataConfig(id="me/private"))


def test_files_that_do_not_arrive_are_noticed(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("status", path="/resolve/", status=200, body=[], times=None))
    with pytest.raises(HubError, match=r"does not hold what was pushed: README\.md, manifest\.json differ"):
        upload(folder_of(tmp_path))


def test_a_source_is_known_by_its_own_words(hub: LoopbackHub, tmp_path: Path) -> None:
    repo(hub, "towns/sums", README_md="---\nlicense: other\nlicense_name: ours\n---\n", train_jsonl="{}\n")
    found = source_of(DataConfig(id="towns/sums"))
    assert found.terms == {"license": "other", "license_name": "ours"} and found.restricted is None
    assert found.url and found.url.endswith("/datasets/towns/sums") and len(found.revision or "") == 40
    with pytest.raises(DatasetError, match="there is no dataset towns/none"):
        source_of(DataConfig(id="towns/none"))
    local = folder_of(tmp_path, README_md="---\nlicense: mit\n---\n")
    assert source_of(DataConfig(id=str(local))) == Source("prepared", terms={"license": "mit"})
    assert source_of(DataConfig(id=str(folder_of(tmp_path, README_md="---\n{:\n---\n")))) == Source("prepared")


def test_a_card_tells_what_is_known_and_invents_no_license() -> None:
    config = DataConfig(id="/home/somebody/secret/rows.jsonl", review="/home/somebody/secret/review.jsonl", seed=3)
    manifest = Manifest(
        format="prompt/completion",
        mapping={"prompt": "{a|b} `x`"},
        warnings=("read as <b>",),
        rows={"train": 1500, "validation": 0, "test": 10},
        dropped={"unknown role `*x*`": 2},
        revision=None,
        content_hash="abc",
    )
    files: dict[Split, str] = {"train": "train.jsonl", "test": "test.jsonl"}
    text = card(config, HERE, manifest, files)
    front = yaml.safe_load(text.split("---\n")[1])
    assert (front["license"], front["size_categories"]) == ("unknown", ["1K<n<10K"])
    assert front["configs"][0]["data_files"] == [{"split": name, "path": path} for name, path in files.items()]
    assert "source_datasets" not in front and "somebody" not in text
    assert r"2: unknown role \`\*x\*\`" in text and r"read as \<b\>" in text and "seed: 3" in text
    source = Source("towns/sums", "c0ffee", "https://hub/datasets/towns/sums", {"license": "mit"}, "gated")
    text = card(config, source, manifest, {"train": "train.jsonl"}, repo_id="me/talks")
    front = yaml.safe_load(text.split("---\n")[1])
    assert (front["license"], front["source_datasets"]) == ("mit", ["towns/sums"])
    assert "https://hub/datasets/towns/sums/tree/c0ffee" in text and "The source is gated" in text
    assert 'load_dataset("me/talks", split="train")' in text
