"""A push's every way to fail, and to go on after it, over real HTTP with the unmodified client."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ftspace.errors import DiskError, HubCause, HubError
from ftspace.hub.push.line import Ears, Patience
from ftspace.hub.push.process import target
from ftspace.hub.push.records import PushFolder, PushRecord, PushRequest
from ftspace.hub.push.repository import Target
from ftspace.hub.push.target import why_taken
from ftspace.hub.push.upload import Progress, Pushed, push
from ftspace.workers import Stopped
from tests.loopback_hub import WRITER_TOKEN, Fault, LoopbackHub, serve

QUICK = Patience(tries=3, pause=0.01, longest=0.5, silence=0.4, word=0.1)
FULL = {"oid": "0" * 64, "size": 1, "error": {"code": 403, "message": "storage limit reached"}}
LARGE = "adapter_model.safetensors"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """An empty Hub, asked by this process with the writer's token."""
    loopback = LoopbackHub(tmp_path / "hub")
    loopback.root.mkdir()
    with serve(loopback) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", WRITER_TOKEN)
        yield loopback


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is pushed: an adapter, as far as the Hub can tell."""
    made = tmp_path / "bundle"
    (made / "data").mkdir(parents=True)
    files = {"README.md": "---\nlicense: mit\n---\n", "ftspace.yaml": "a: 1\n", "adapter_config.json": "{}"}
    for name, text in (files | {"data/a b.json": "[]"}).items():
        (made / name).write_text(text)
    (made / LARGE).write_bytes(b"weights" * 300_000)
    return made


def send(folder: Path, warned: list[str] | None = None, **how: Any) -> Pushed:
    ours: Callable[[str], bool] = how.pop("is_ours", lambda name: name == "old.json")
    where = Target(
        kind="model",
        repo_id=how.pop("repo_id", "me/tuned"),
        public=how.pop("public", False),
        message="Upload",
        refuses=lambda names: why_taken(names, whole=False),
        is_ours=ours,
        smaller="train less",
    )
    ears = how.pop("ears", Ears(warn=([] if warned is None else warned).append))
    return push(folder, where, ears, patience=QUICK, **how)


def commits(hub: LoopbackHub) -> int:
    return len([one for one in hub.requests if "/commit/" in one.path])


def there(hub: LoopbackHub) -> set[str]:
    place = hub.root / "models" / "me" / "tuned"
    return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}


def test_equal_content_is_one_commit_however_often_it_is_pushed(hub: LoopbackHub, folder: Path) -> None:
    told: list[tuple[int, int]] = []
    first = send(folder, progress=Progress(sent=lambda done, total: told.append((done, total))))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert told[0] == (0, size) and told[-1] == (size, size) and len(told) > 20 and told == sorted(told)
    assert (
        first.new
        and first.private
        and set(first.files)
        == {"data/a b.json", *(there(hub) - {"data/a b.json"})}
        - {
            ".gitattributes",
            ".private",
        }
    )
    hub.forget()
    again = send(folder)
    assert (again.commit, again.new, again.files) == (first.commit, False, first.files)
    asked = [str(one) for one in hub.requests]
    assert commits(hub) == 0 and len([one for one in asked if "/resolve/" in one]) == 5, "it is verified all the same"
    (folder / "adapter_config.json").write_text('{"r": 8}')
    (folder / "data" / "a b.json").unlink()
    hub.forget()
    assert send(folder, is_ours=lambda name: name.startswith("data/")).new
    assert commits(hub) == 1 and not any("/lfs/" in one.path for one in hub.requests), "what it has is not sent again"
    assert "data/a b.json" not in there(hub) and "README.md" in there(hub)


def test_what_others_put_there_is_left_alone(hub: LoopbackHub, folder: Path) -> None:
    place = hub.root / "models" / "me" / "tuned"
    place.mkdir(parents=True)
    (place / ".private").touch()
    (place / "config.json").write_text("{}")
    with pytest.raises(HubError, match=r"is taken: it holds config\.json") as caught:
        send(folder)
    assert caught.value.cause == "taken"
    (place / "ftspace.yaml").write_text("")
    with pytest.raises(HubError, match="is taken: it holds a whole model"):
        send(folder)
    (place / "config.json").rename(place / "notes.txt")
    (place / "old.json").touch()
    warned: list[str] = []
    send(folder, warned)
    assert {"notes.txt"} < there(hub) and "old.json" not in there(hub)
    assert "also holds notes.txt" in warned[0]
    (place / ".private").unlink()
    with pytest.raises(HubError, match="everybody can read it"):
        send(folder)


def test_a_repository_holds_one_run_whichever_was_pushed_last(hub: LoopbackHub, folder: Path, tmp_path: Path) -> None:
    request = PushRequest(repo_id="me/tuned")
    more = {"tokenizer.json": "{}", "results.json": "{}", "samples.parquet": "PAR1", "training_rows.txt": "0"}

    def pushed(run: str, others: Mapping[str, str]) -> list[str]:
        """What a push of the run told; its record is kept as a push keeps it."""
        place = PushFolder(tmp_path / run)
        shutil.copytree(folder, place.bundle, dirs_exist_ok=True)
        for name, text in {LARGE: run * 1000, **others}.items():
            (place.bundle / name).write_text(text)
        names = {str(path.relative_to(place.bundle)) for path in place.bundle.rglob("*") if path.is_file()}
        warned: list[str] = []
        left = push(place.bundle, target(request, place, names), Ears(warn=warned.append), patience=QUICK)
        assert there(hub) - {".gitattributes", ".private"} == names == set(left.files)
        record = PushRecord(what="adapter", repo_id="me/tuned", time=1.0, **{n: getattr(left, n) for n in KEPT})
        place.record.write_text(record.model_dump_json())
        return warned

    (folder / "data" / "a b.json").unlink()
    assert pushed("first", more) == []
    assert pushed("first", more | {LARGE: "trained on"}) == [], "its own push before is no other run's"
    for run, others in (("second", {}), ("first", more), ("second", {})):
        (told,) = pushed(run, others)
        assert "held another run's push" in told


KEPT = ("url", "commit", "private", "files", "new")
FAULTS: list[tuple[Fault, HubCause, str]] = [
    (Fault("status", path="whoami", status=401), "token", "refuses the token"),
    (Fault("status", path="create", status=403), "rights", "may not write me/tuned"),
    (Fault("status", path="preupload", status=404), "missing", "does not find me/tuned"),
    (Fault("status", path="/commit/", status=409), "conflict", "by somebody else"),
    (Fault("status", path="/commit/", status=412), "changed", "was changed while"),
    (Fault("status", "PUT", "/lfs/", status=413), "too_large", "train less"),
    (Fault("status", "PUT", "/lfs/", status=403, message="Private storage limit reached"), "quota", "no room left"),
    (Fault("status", path="/commit/", status=507), "quota", "no room left"),
    (Fault("status", "POST", "batch", headers={"Retry-After": "999"}, status=429), "rate", "left alone for 999 s"),
    (Fault("status", "PUT", "/lfs/", status=503), "server", "status 503"),
    (Fault("delay", path="preupload", seconds=2.0), "timeout", "does not answer"),
    (Fault("reset", "PUT", "/lfs/"), "network", "broke off"),
    (Fault("status", "POST", "batch", status=200, body={"objects": [{}]}), "refused", "broke off"),
    (Fault("status", "POST", "batch", status=200, body={"objects": [FULL]}), "quota", "no room left"),
]


@pytest.mark.parametrize(("fault", "cause", "said"), FAULTS, ids=lambda one: getattr(one, "kind", str(one)))
def test_a_fault_that_stays_is_named_and_leaves_nothing_that_looks_done(
    hub: LoopbackHub, folder: Path, fault: Fault, cause: HubCause, said: str
) -> None:
    fault.times, fault.befell, fault.fitted = None, 0, 0
    hub.faults.append(fault)
    with pytest.raises(HubError, match=said) as caught:
        send(folder)
    assert caught.value.cause == cause and "\n" not in str(caught.value)
    assert not (hub.root / "models" / "me" / "tuned").exists(), "it was made for this push, and is empty"
    hub.forget()
    assert send(folder).new


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", "PUT", "/lfs/", status=429, headers={"Retry-After": "0"}),
        Fault("status", path="/commit/", status=500),
        Fault("lost", path="/commit/"),
        Fault("lost", path="create"),
        Fault("torn", "PUT", "/lfs/", after=100_000),
        Fault("short", path="/resolve/", after=1),
        Fault(
            "status",
            path="create",
            status=409,
            message="Cannot create repo: another conflicting operation is in progress",
        ),
    ],
    ids=lambda fault: f"{fault.kind} {fault.path}",
)
def test_a_fault_that_passes_is_told_and_costs_nothing(hub: LoopbackHub, folder: Path, fault: Fault) -> None:
    hub.faults.append(fault)
    warned: list[str] = []
    assert send(folder, warned).new and fault.befell == 1
    assert "trying again in" in warned[0]


def test_an_empty_repository_that_stays_is_told_of_and_filled_by_the_next(hub: LoopbackHub, folder: Path) -> None:
    hub.faults += [Fault("status", path=path, status=503, times=None) for path in ("/commit/", "delete")]
    with pytest.raises(
        HubError, match=r"status 503.*http://\S+/me/tuned was made for it and may be there, still empty"
    ):
        send(folder)
    assert there(hub) == {".gitattributes", ".private"}
    hub.forget()
    assert send(folder).new


def test_a_commit_of_somebody_else_is_not_overwritten_unseen(hub: LoopbackHub, folder: Path) -> None:
    send(folder)
    (folder / LARGE).write_bytes(b"other" * 300_000)

    def meddle(said: str) -> None:
        (hub.root / "models" / "me" / "tuned" / "README.md").write_text("theirs")

    hub.faults.append(Fault("status", "PUT", "/lfs/", status=503))
    with pytest.raises(HubError, match="was changed while it was pushed to") as caught:
        send(folder, ears=Ears(warn=meddle))
    assert caught.value.cause == "changed"


def test_a_push_that_hangs_is_told_of_and_stops_at_once(hub: LoopbackHub, folder: Path) -> None:
    hub.faults.append(Fault("delay", path="/commit/", seconds=5.0, times=None))
    warned: list[str] = []
    stop = threading.Event()

    def hear(said: str) -> None:
        warned.append(said)
        stop.set()

    began = time.monotonic()
    with pytest.raises(Stopped):
        send(folder, ears=Ears(warn=hear, should_stop=stop.is_set))
    assert time.monotonic() - began < 3.0 and "silent" in warned[0]
    assert not (hub.root / "models" / "me" / "tuned").exists()


def test_trouble_of_this_machine_is_not_called_the_hubs(hub: LoopbackHub, folder: Path) -> None:
    def full(done: int, total: int) -> None:
        raise DiskError("no room")

    with pytest.raises(DiskError, match="no room"):
        send(folder, progress=Progress(sent=full))
    assert not (hub.root / "models" / "me" / "tuned").exists()
    (folder / LARGE).unlink()
    (folder / LARGE).symlink_to("nowhere")
    (folder / "closed").symlink_to("/proc/self/mem")
    with pytest.raises(DiskError, match="cannot be read"):
        send(folder)


def test_a_hub_that_is_not_there_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITER_TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for address in ("http://127.0.0.1:9", "http://nowhere.invalid"):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        with pytest.raises(HubError, match=r"cannot be reached.*check the network and push again") as caught:
            send(folder)
        assert caught.value.cause == "network"
