import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from starlette.requests import Request

from ftspace.config import parse_config
from ftspace.errands import Deploy, Errand, Import, Merge, State
from ftspace.events import EventLog, Finished
from ftspace.hub.push.pushing import PushState, push_state
from ftspace.hub.push.records import PushFolder, PushRecord, PushRequest, What
from ftspace.runs import RunStore
from ftspace.settings import read_settings
from ftspace.ui.app import Page, build_app
from ftspace.ui.publish.publish_view import good_name, push_view, repo_id_of, size
from tests.finished_run import finished_run
from tests.loopback_hub import WRITER_TOKEN, LoopbackHub, serve

ASKED = PushRequest(repo_id="me/tuned")
RECORD = PushRecord(
    what="adapter", repo_id="me/tuned", url="https://hub/me/tuned", commit="c0ffee" * 6, private=True,
    files={"README.md": "0"}, new=True, time=1.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("state", "headline", "detail", "tone", "fraction"),
    [
        (PushState("building", ASKED), "Making the files", "card", "busy", None),
        (PushState("uploading", ASKED, 5, 20), "Uploading to me/tuned", "5 B of 20 B", "busy", 0.25),
        (PushState("verifying", ASKED, 10, 20), "Reading back", "10 B of 20 B", "busy", 0.5),
        (PushState("stopping", ASKED, 10, 20), "Stopping", "not changed", "busy", None),
        (PushState("verified", ASKED, record=RECORD), "Pushed and verified", "1 files at commit c0ffee", "good", None),
        (PushState("failed", ASKED, message="taken."), "Not pushed to me/tuned", "taken.", "bad", None),
        (
            PushState("interrupted", ASKED, message="gone.", record=RECORD),
            "Not pushed",
            "gone. 1 files at",
            "bad",
            None,
        ),
        (PushState("cancelled", ASKED, message="stopped"), "Push stopped", "stopped", "idle", None),
    ],
)
def test_a_push_in_words(state: PushState, headline: str, detail: str, tone: str, fraction: float | None) -> None:
    view = push_view(state)
    assert view is not None and headline in view.headline and detail in view.detail
    assert (view.tone, view.fraction, view.at_work) == (tone, fraction, state.is_at_work)
    assert view.url == (RECORD.url if state.record else "")
    assert push_view(PushState()) is None


@pytest.mark.parametrize(
    ("model", "dataset", "what", "name"),
    [
        ("assets/base", "assets/datasets/people.jsonl", "adapter", "base-people-lora"),
        ("Owner/Model-1.5B", "squad", "merged", "Model-1.5B-squad-merged"),
        ("/home/x/ma modèle", "../.rows..jsonl", "merged", "ma-mod-le.rows-merged"),
        ("o/" + "m" * 80, "o/" + "d" * 80, "adapter", "m" * 80 + "-dddd-lora"),
    ],
)
def test_a_repository_gets_a_name_that_the_hub_takes(model: str, dataset: str, what: What, name: str) -> None:
    assert good_name(parse_config({"model": {"id": model}, "data": {"id": dataset}}), what) == name


@pytest.mark.parametrize(
    ("typed", "repo_id"),
    [
        (" me/tuned ", "me/tuned"),
        ("https://huggingface.co/me/tuned/", "me/tuned"),
        ("tuned", None),
        ("me/tuned/main", None),
        ("../tuned/x", None),
        ("me/ü", None),
        ("", None),
    ],
)
def test_only_a_repository_is_taken_for_one(typed: str, repo_id: str | None) -> None:
    assert repo_id_of(typed) == repo_id


def test_sizes() -> None:
    assert [size(count) for count in (0, 999, 1500, 2_500_000, 3_000_000_000)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "2.5 MB",
        "3.0 GB",
    ]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """An empty Hub, which the processes that are started ask with this machine's token."""
    loopback = LoopbackHub(tmp_path / "hub")
    loopback.root.mkdir()
    with serve(loopback) as address:
        given = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": WRITER_TOKEN, "FTSPACE_WARM": "0"}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(constants, "ENDPOINT", address)  # read when it was imported
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield loopback


class Browser:
    """The page's own handlers, called as its widgets call them; what they answer, by the widget's elem_id."""

    def __init__(self, page: Page) -> None:
        self._blocks = page.blocks
        self.shown: dict[str, Any] = {}

    def click(self, elem_id: str, *sent: Any, event: str = "click") -> None:
        widget = next(at for at, one in self._blocks.blocks.items() if getattr(one, "elem_id", None) == elem_id)
        (call,) = (one for one in self._blocks.fns.values() if (widget, event) in one.targets)
        assert call.fn is not None
        self.take(call.fn(Request({"type": "http", "headers": []}), *sent))

    def take(self, updates: dict[Any, Any]) -> None:
        for widget, update in updates.items():
            if elem_id := getattr(widget, "elem_id", None):
                self.shown.setdefault(elem_id, {}).update(update if isinstance(update, dict) else {"value": update})

    def value(self, elem_id: str) -> Any:
        return self.shown[elem_id]["value"]


async def _built(data_dir: Path) -> Page:  # where no loop is running Gradio makes one, and leaves it open
    return build_app(read_settings(data_dir))


def test_a_push_is_looked_at_made_named_when_it_fails_and_made_again(hub: LoopbackHub, store: RunStore) -> None:
    run = finished_run(store)
    page = asyncio.run(_built(store.runs_dir.parent))
    browser = Browser(page)

    def opened() -> None:
        query = {"type": "http", "headers": [], "query_string": f"run={run.id}".encode()}
        browser.shown.clear()
        browser.take(page._open(Request(query)))  # pyright: ignore

    opened()
    assert browser.value("push-repo") == "base-people-lora" and browser.shown["push-form"]["visible"]
    assert f'href="report/{run.id}?download=1"' in browser.value("reports")
    browser.click("publish-step", run.id, "adapter", "base-people-lora", event="select")
    assert browser.value("push-repo") == "me/base-people-lora", browser.value("push-ahead")
    assert not browser.value("push-ahead")
    taken = hub.root / "models" / "me" / "work" / "notes.txt"
    taken.parent.mkdir(parents=True)
    taken.write_text("mine")
    for name, said in (
        ("me/work", "The name me/work is taken: it holds notes.txt"),
        ("towns/new", "towns is neither me"),
    ):
        browser.click("publish-step", run.id, "adapter", name, event="select")
        assert said in browser.value("push-ahead") and not browser.value("push-told")
    browser.click("push-look", run.id, "adapter", "me/tuned", False)
    for said in ("adapter_model.safetensors", "library_name: peft", "checkpoints, optimizer states"):
        assert said in browser.value("push-bundle"), said
    assert [path.name for path in (run.path / "push").iterdir()] == ["origins.json"]
    browser.click("push", run.id, "adapter", "tuned", False)
    assert "owner/name" in browser.value("push-told") and not browser.value("push-state")

    folder = PushFolder(run.path)
    folder.path.mkdir(parents=True)
    folder.request.write_text(ASKED.model_dump_json())
    log = EventLog(folder.events)
    log.append(Finished(job="push", status="failed", reason="hub", message="the token can only read; get another"))
    log.close()
    opened()
    assert "the token can only read" in browser.value("push-state") and browser.value("push") == "Try again"
    assert (browser.value("push-repo"), browser.value("push-public")) == ("me/tuned", False)
    browser.click("push", run.id, "adapter", "https://hub.example/me/tuned", False)
    assert "Making the files" in browser.value("push-state") and browser.shown["push-stop"]["visible"]
    opened()
    assert browser.value("push-state"), "a reload shows it"
    until = time.monotonic() + 60
    while push_state(run).is_at_work:
        assert time.monotonic() < until, push_state(run)
        time.sleep(0.2)
    opened()
    assert "Pushed and verified" in browser.value("push-state")
    assert browser.value("push") == "Push again" and not browser.shown["push-stop"]["visible"]
    assert f'{os.environ["HF_ENDPOINT"]}/me/tuned"' in browser.value("push-state")
    assert (hub.root / "models" / "me" / "tuned" / "README.md").is_file()


def test_what_goes_on_without_the_page_is_read_from_its_folder(store: RunStore) -> None:
    """The page of a run, and that of none, as they are opened while an errand stands so."""
    run = finished_run(store)
    data_dir = store.runs_dir.parent
    browser = Browser(page := asyncio.run(_built(data_dir)))

    def opened(run_id: str = "") -> None:
        query = {"type": "http", "headers": [], "query_string": f"run={run_id}".encode()}
        browser.take(page._open(Request(query)))  # pyright: ignore

    def stands(kind: str, request: Deploy | Import | Merge, state: State) -> None:
        errand = Errand(data_dir / "errands" / kind)
        errand.folder.mkdir(parents=True, exist_ok=True)
        errand.request_path.write_text(request.model_dump_json())
        errand.write(state)

    opened(run.id)
    assert f'href="export/{run.id}/adapter"' in browser.value("export-files")
    assert "GGUF is not offered" in browser.value("export-words") and browser.shown["export-make"]["visible"]
    assert not browser.shown["import"]["visible"] and not browser.shown["deploy"]["visible"]
    browser.click("deploy-look", run.id, "demo", "me/demo", "As it is", False, 30, False)
    assert "not on the Hub yet; push it first" in browser.value("deploy-told")
    browser.click("deploy-look", run.id, "app", "me/a b", "As it is", False, 30, False)
    assert "name a Space as owner/name" in browser.value("deploy-told")
    browser.click("deploy", run.id)
    assert "look first" in browser.value("deploy-told")

    look = Deploy(repo_id="me/lab", runs_dir="/runs", hardware="t4-small")
    plan = {"space": "me/lab", "new": True, "steps": ["make it"], "costs": True, "dollars_an_hour": 0.4}
    stands("deploy/@local", look, State(status="done", result=plan | {"doubts": ["no; --storage keeps them"]}))
    stands(f"merge/{run.id}", Merge(run="r", out="o"), State(status="failed", said="no room; make some"))
    opened(run.id)
    assert "<li>make it</li>" in browser.value("deploy-state") and "--storage" not in browser.value("deploy-state")
    assert browser.shown["deploy"] == {
        **browser.shown["deploy"],
        "visible": True,
        "value": "Put it there, for $0.40 an hour",
    }
    assert "No room; make some." in browser.value("export-state")
    run.merged.mkdir(parents=True)
    (run.merged / "merge.json").write_text(json.dumps({"adapter": run.adapter_stamp}))
    (run.merged / "model.safetensors").write_bytes(b"x" * 1500)
    stands("deploy/@local", look.model_copy(update={"demo": "another run"}), State(status="done", result=plan))
    opened(run.id)
    assert "zip, 1.5 kB" in browser.value("export-files") and not browser.shown["export-make"]["visible"]
    assert not browser.value("deploy-state"), "what was asked for another run"
    browser.click("export-forget", run.id)
    assert not run.merged.exists() and browser.shown["export-make"]["visible"]

    stands("import/@local", Import(repo_id="me/x", runs_dir="/runs"), State(status="done", result={"run": run.id}))
    opened()
    assert browser.shown["import"]["visible"] and f'href="?run={run.id}"' in browser.value("import-state")
    browser.click("import-begin", "x", "")
    assert "name an adapter as owner/name" in browser.value("import-told")
    assert not list(data_dir.glob("errands/*/*/lock")), "nothing was begun"
