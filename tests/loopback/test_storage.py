"""Repositories, files and commits of the loopback Hub, as the unmodified client sees them."""

import threading
from pathlib import Path

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

from tests.loopback.conftest import BY_WRITER, folder_of, names
from tests.loopback_hub import READER_TOKEN, LoopbackHub

# huggingface_hub 2.4 hands large files to httpx2 under a name that httpx2 is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


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
