"""The loopback Hub as the unmodified client sees it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from tests.loopback_hub import READER_TOKEN, WRITER_TOKEN, Fault, LoopbackHub, serve

# huggingface_hub 2.4 hands large files to httpx2 under a name that httpx2 is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")

BY_WRITER = {"authorization": f"Bearer {WRITER_TOKEN}"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """An empty Hub, asked by this process with the writer's token."""
    loopback = LoopbackHub(tmp_path / "hub")
    with serve(loopback) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setenv("HF_TOKEN", WRITER_TOKEN)
        yield loopback


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client would have waited between its tries; it waits for nothing."""
    waited: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=waited.append, time=time.time))
    return waited


def folder_of(path: Path, **files: str | bytes) -> Path:
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        text = content.encode() if isinstance(content, str) else content
        (path / name.replace("_", ".")).write_bytes(text)
    return path


def names(api: HfApi, repo_id: str, revision: str | None = None) -> set[str]:
    return {one.path for one in api.list_repo_tree(repo_id, revision=revision, recursive=True)}


def test_every_commit_is_kept_and_main_moves(hub: LoopbackHub, tmp_path: Path) -> None:
    api = HfApi()
    api.create_repo("me/model", private=True)
    first = api.upload_folder(repo_id="me/model", folder_path=folder_of(tmp_path / "a", a_txt="one", w_bin=b"\0" * 9))
    (tmp_path / "a" / "a.txt").write_text("two")
    second = api.upload_folder(
        repo_id="me/model", folder_path=tmp_path / "a", commit_message="Two", commit_description="Why"
    )
    third = api.create_commit(
        "me/model", [CommitOperationDelete("a.txt"), CommitOperationAdd("x/b.txt", b"b")], commit_message="Three"
    )
    commits = api.list_repo_commits("me/model")
    assert [one.title for one in commits[:2]] == ["Three", "Two"] and commits[1].message == "Why"
    assert [one.commit_id for one in commits[:3]] == [third.oid, second.oid, first.oid]
    assert (len(commits), commits[0].authors) == (4, ["me"])
    assert commits[3].commit_id not in {first.oid, second.oid} and commits[3].title == "initial commit"
    assert names(api, "me/model") == {".gitattributes", "w.bin", "x", "x/b.txt"}
    for commit, text in ((first, "one"), (second, "two")):
        assert Path(api.hf_hub_download("me/model", "a.txt", revision=commit.oid)).read_text() == text
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download("me/model", "a.txt")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("me/model", revision="0" * 40)
    (entry,) = api.get_paths_info("me/model", "w.bin", expand=True)
    assert isinstance(entry, RepoFile) and entry.last_commit and entry.last_commit.oid == first.oid
    assert api.list_repo_refs("me/model").branches[0].target_commit == third.oid


def test_a_commit_is_whole_or_not_made(hub: LoopbackHub, tmp_path: Path) -> None:
    api = HfApi()
    api.create_repo("me/model")
    folder = folder_of(tmp_path / "a", a_txt="one", w_bin=b"1", empty_bin=b"")
    first = api.upload_folder(repo_id="me/model", folder_path=folder)
    hub.forget()
    again = api.upload_folder(repo_id="me/model", folder_path=folder)
    assert again.oid == first.oid and not any("/commit/" in one.path for one in hub.requests)
    url = f"{api.endpoint}/api/models/me/model/commit/main"
    header = '{"key": "header", "value": {"summary": "Broken"}}\n'
    for line, status in (
        ('{"key": "lfsFile", "value": {"path": "l.bin", "oid": "' + "0" * 64 + '", "size": 3}}', 400),
        ('{"key": "file", "value": {"path": "../up.txt", "content": "aGk="}}', 400),
        ('{"key": "deletedFile", "value": {"path": "nobody.txt"}}', 404),
        ('{"key": "file"', 400),
    ):
        whole = '{"key": "file", "value": {"path": "new.txt", "content": "aGk="}}\n'
        sent = httpx2.post(url, content=header + whole + line, headers=BY_WRITER)
        assert sent.status_code == status, line
    assert api.model_info("me/model").sha == first.oid and "new.txt" not in names(api, "me/model")
    with pytest.raises(HfHubHTTPError, match="A commit has happened since"):
        api.upload_file(
            repo_id="me/model",
            path_in_repo="b",
            path_or_fileobj=b"b",
            parent_commit=api.list_repo_commits("me/model")[1].commit_id,
        )
    (hub.root / "models" / "me" / "model" / "a.txt").write_text("by hand")
    laid = api.list_repo_commits("me/model")
    assert len(laid) == 1 and laid[0].commit_id != first.oid
    onto = api.upload_file(repo_id="me/model", path_in_repo="b", path_or_fileobj=b"b")
    assert [one.commit_id for one in api.list_repo_commits("me/model")] == [onto.oid, laid[0].commit_id]
    assert Path(api.hf_hub_download("me/model", "a.txt", revision=laid[0].commit_id)).read_text() == "by hand"


def test_repositories_are_made_changed_and_removed(hub: LoopbackHub) -> None:
    api = HfApi()
    for kind in ("model", "dataset"):
        made = api.create_repo("me/one", repo_type=kind)
        with pytest.raises(HfHubHTTPError, match="already created this"):
            api.create_repo("me/one", repo_type=kind)
        assert api.create_repo("me/one", repo_type=kind, exist_ok=True) == made
        api.update_repo_settings("me/one", repo_type=kind, private=True, gated="manual")
        info = api.repo_info("me/one", repo_type=kind)
        assert (info.private, info.gated) == (True, "manual")
        with pytest.raises(RepositoryNotFoundError):
            HfApi(token=READER_TOKEN).repo_info("me/one", repo_type=kind)
        with pytest.raises(RepositoryNotFoundError):
            HfApi(token=READER_TOKEN).delete_repo("me/one", repo_type=kind)
        api.delete_repo("me/one", repo_type=kind)
        with pytest.raises(RepositoryNotFoundError):
            api.repo_info("me/one", repo_type=kind)
        api.delete_repo("me/one", repo_type=kind, missing_ok=True)
        assert len(api.list_repo_commits(api.create_repo("me/one", repo_type=kind).repo_id, repo_type=kind)) == 1
    told = {"name": "a--b", "organization": None, "type": "model"}  # the client itself would not ask for it
    answer = httpx2.post(f"{api.endpoint}/api/repos/create", json=told, headers=BY_WRITER)
    assert answer.status_code == 400 and "Invalid repo name" in answer.json()["error"]
    for path in ("/nowhere", "/api/models/../x", "/api/models/me", "/datasets/me/one/resolve/main/none", "/api/x/y/z"):
        assert httpx2.get(f"{api.endpoint}{path}").status_code == 404, path


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        (Fault("status", "PUT", "^/lfs/", status=503), 2),
        (Fault("status", "PUT", "^/lfs/", status=429, headers={"Retry-After": "7"}), 2),
        (Fault("cut", "POST", "/preupload/"), 2),
        (Fault("lost", "PUT", "^/lfs/"), 2),
        (Fault("short", "POST", "/batch", after=5), 2),
        (Fault("torn", "PUT", "^/lfs/", after=100_000), 2),
        (Fault("reset", "POST", "/batch", times=2), 3),
        (Fault("delay", "POST", "/preupload/", seconds=0.05), 1),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else str(value),
)
def test_a_fault_befalls_what_it_fits_and_the_client_tries_again(
    hub: LoopbackHub, tmp_path: Path, waits: list[float], fault: Fault, tries: int
) -> None:
    api = HfApi()
    api.create_repo("me/model")
    hub.faults.append(fault)
    content = b"\1" * 400_000
    done = api.upload_file(repo_id="me/model", path_in_repo="w.bin", path_or_fileobj=content)
    assert api.model_info("me/model").sha == done.oid and (hub.root / "models/me/model/w.bin").read_bytes() == content
    befallen = [one for one in hub.requests if one.fault]
    assert [one.fault for one in befallen] == [fault.kind] * (fault.times or 0) and fault.befell == fault.times
    like = [one for one in hub.requests if str(one) == str(befallen[0])]
    assert [one.key.split("#")[1] for one in like] == [str(n + 1) for n in range(tries)] and like[-1].status == 200
    assert waits[:1] == ([8.0] if fault.headers else [1] if tries > 1 else [])
    assert not list(hub.root.glob("*.part"))


def test_a_recorded_push_is_replayed_with_each_request_failing(
    hub: LoopbackHub, tmp_path: Path, waits: list[float]
) -> None:
    api = HfApi()
    folder = folder_of(tmp_path / "a", a_txt="one", w_bin=b"1", v_bin=b"2", README_md="---\nlicense: mit\n---\n")

    def push() -> str:
        api.create_repo("me/model", exist_ok=True)
        return api.upload_folder(repo_id="me/model", folder_path=folder).oid

    def fresh() -> None:
        api.delete_repo("me/model", missing_ok=True)
        for path in (hub.root / "lfs").glob("*"):
            path.unlink()
        hub.forget()

    def recorded() -> set[str]:
        fresh()
        push()
        return {one.key for one in hub.requests}

    keys = recorded()
    assert keys == recorded() and len(keys) == 10
    for key in sorted(keys):
        fresh()
        hub.faults = [Fault.at(key, "status", status=418)]
        with pytest.raises((HfHubHTTPError, RuntimeError)):
            push()
        assert [one.key for one in hub.requests if one.fault] == [key]
        assert push() == api.model_info("me/model").sha
        assert names(api, "me/model") == {".gitattributes", *(path.name for path in folder.iterdir())}


def test_many_clients_at_once_make_one_history(hub: LoopbackHub) -> None:
    api = HfApi()
    api.create_repo("me/model")
    writers = [
        threading.Thread(
            target=lambda n=n: api.upload_file(
                repo_id="me/model", path_in_repo=f"{n}.bin", path_or_fileobj=bytes([n]) * 1000
            )
        )
        for n in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    commits = api.list_repo_commits("me/model")
    assert len(commits) == 9 and names(api, "me/model") == {".gitattributes", *(f"{n}.bin" for n in range(8))}
    assert [len(names(api, "me/model", one.commit_id)) for one in commits] == list(range(9, 0, -1))
