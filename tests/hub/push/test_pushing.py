"""Pushes of finished runs by processes of their own, over real HTTP, as the app and the command line start them."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftspace import bell, queue
from ftspace.errors import HubError, JobError
from ftspace.events import Started, read_events
from ftspace.gc import Sweep
from ftspace.hub.push.after import note_push, push_finished
from ftspace.hub.push.pushing import PushState, push_state, requested, start_push, stop_push
from ftspace.hub.push.records import PushFolder, PushRequest
from ftspace.queue import Ticket
from ftspace.runs import Run, RunReader, RunStore, take_lock
from tests.finished_run import finished_run
from tests.hub.finding.test_find import run as run_command
from tests.loopback_hub import WRITER_TOKEN, Fault, LoopbackHub, serve

REQUEST = PushRequest(repo_id="me/tuned")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """An empty Hub, which the processes that are started ask; this one has no token for it."""
    loopback = LoopbackHub(tmp_path / "hub")
    loopback.root.mkdir()
    with serve(loopback) as address:
        for name, value in {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf")}.items():
            monkeypatch.setenv(name, value)
        for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield loopback


def until(run: Run, wanted: Callable[[PushState], bool]) -> PushState:
    end = time.monotonic() + 60
    while not wanted(state := push_state(run)):
        assert time.monotonic() < end, state
        time.sleep(0.05)
    return state


def over(run: Run) -> PushState:
    return until(run, lambda state: not state.is_at_work)


def test_a_run_is_pushed_verified_and_left_as_it_was(hub: LoopbackHub, store: RunStore) -> None:
    run = finished_run(store)
    before = run.events.read_bytes(), RunReader(run).status()
    assert push_state(run).status == "none"
    hub.faults.append(Fault("status", "PUT", "/lfs/", status=503))
    start_push(run, REQUEST, WRITER_TOKEN)
    with pytest.raises(JobError, match="is being pushed"):
        start_push(run, REQUEST, WRITER_TOKEN)
    with pytest.raises(JobError, match="is being pushed"):
        store.delete(run.id)
    state = over(run)
    assert state.status == "verified", state
    record = state.verified
    assert record is not None and record.new and record.private and (state.done, state.total) != (0, 0)
    assert state.warnings == ["the Hub is in trouble (status 503); trying again in 1 s"]
    there = hub.root / "models" / "me" / "tuned"
    sums = {str(path.relative_to(there)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files(there)}
    assert record.files == {name: sums[name] for name in sums if not name.startswith(".git")}
    assert (run.events.read_bytes(), RunReader(run).status()) == before
    kept = [path for path in files(run.path) if WRITER_TOKEN.encode() in path.read_bytes()]
    assert kept == [], "a token is never written"
    with pytest.raises(JobError, match="goes to me/tuned"):
        start_push(run, REQUEST.model_copy(update={"what": "merged"}))
    Sweep(store.runs_dir.parent).go()
    assert not PushFolder(run.path).bundle.exists() and push_state(run).verified == record
    store.delete(run.id)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".private"]


def test_a_push_that_is_stopped_or_killed_can_be_made_again(hub: LoopbackHub, store: RunStore) -> None:
    run = finished_run(store)
    hub.faults.append(Fault("delay", path="/commit/", seconds=60))
    start_push(run, REQUEST, WRITER_TOKEN)
    until(run, lambda state: state.status == "uploading" and any("/commit/" in one.path for one in hub.requests))
    stop_push(run)
    began = time.monotonic()
    stopped = over(run)
    assert time.monotonic() - began < 10 and stopped.status == "cancelled" and stopped.can_retry
    assert not (hub.root / "models" / "me" / "tuned").exists()
    with pytest.raises(JobError, match="nothing to stop"):
        stop_push(run)
    hub.forget()
    hub.faults.append(Fault("delay", path="/commit/", seconds=60))
    start_push(run, REQUEST, WRITER_TOKEN)
    until(run, lambda state: state.status == "uploading" and any("/commit/" in one.path for one in hub.requests))
    pid = next(event.pid for event in read_events(PushFolder(run.path).events)[0] if isinstance(event, Started))
    os.kill(pid, signal.SIGKILL)
    killed = over(run)
    assert killed.status == "interrupted" and killed.can_retry and "may be there and still be empty" in killed.message
    assert Sweep(store.runs_dir.parent).go().passed == []
    hub.forget()
    start_push(run, REQUEST, WRITER_TOKEN)
    again = over(run).verified
    assert again is not None and again.new
    assert not any("/lfs/" in one.path and one.method == "PUT" for one in hub.requests), "it is there already"


def test_a_finished_run_is_pushed_where_its_config_says_and_the_command_goes_on(
    hub: LoopbackHub, store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(store, hub={"push": "me/tuned"})
    hub.faults.append(Fault("status", "POST", "/commit/", status=403))
    monkeypatch.setenv("HF_TOKEN", WRITER_TOKEN)
    PushFolder(run.path).path.mkdir(parents=True)
    another = take_lock(PushFolder(run.path).lock)
    bell.call(store.runs_dir, {"do": "over", "run": run.id}).close()
    time.sleep(0.5)
    assert another is not None and push_state(run).status == "none", "it waits for the push that is at work"
    os.close(another)
    until(run, lambda state: state.status != "none")
    refused = over(run)
    assert refused.status == "failed" and refused.reason == "hub" and "may not write me/tuned" in refused.message
    assert RunReader(run).status() == "finished", "a push never makes a run fail"
    done = run_command(os.environ["HF_ENDPOINT"], tmp_path, "push", run.id, "--json", token=WRITER_TOKEN)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["url"] == f"{os.environ['HF_ENDPOINT']}/me/tuned" and len(record["commit"]) == 40 and record["new"]
    assert "reading back what the Hub holds" in done.stderr
    end = time.monotonic() + 20
    while bell.is_there(store.runs_dir):
        assert time.monotonic() < end, "the supervisor did not end"
        time.sleep(0.02)


def test_where_to_push_is_what_was_said_last_or_in_the_config(store: RunStore) -> None:
    run = finished_run(store)
    with pytest.raises(HubError, match="--to owner/name"):
        requested(run)
    asked = PushRequest(what="merged", repo_id="me/whole", public=True)
    assert requested(run, "merged", "me/whole", public=True) == asked
    folder = PushFolder(run.path)
    folder.path.mkdir(parents=True)
    folder.request.write_text(REQUEST.model_dump_json())
    assert requested(run) == REQUEST
    push_finished(run, os.environ)
    state = push_state(run)
    assert state.status == "interrupted", "the config asks for none, and what was asked for never began"
    assert "has not begun" in state.message
    (folder.path / "made").write_text("me/tuned")
    assert "me/tuned may be there and still be empty" in push_state(run).message


def test_a_run_that_is_at_work_waits_or_is_gone_is_not_pushed(store: RunStore) -> None:
    run = finished_run(store, hub={"push": "me/tuned"})
    held = take_lock(run.lock)
    assert held is not None
    with pytest.raises(JobError, match="is at work; push it when that is over: ftspace push"):
        start_push(run, REQUEST)
    push_finished(run, os.environ)
    failed = push_state(run)
    assert failed.status == "failed" and failed.can_retry and "is at work" in failed.message
    os.close(held)
    run.ticket.write_text("{}")
    with pytest.raises(JobError, match="waits for its turn"):
        start_push(run, REQUEST)
    run.ticket.unlink()
    store.delete(run.id)
    with pytest.raises(JobError, match="is deleted, there is nothing to push"):
        start_push(run, REQUEST)


def test_a_push_whose_starter_was_killed_or_lost_the_token_is_seen(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(store, hub={"push": "me/tuned"})
    note_push(run)
    noted = push_state(run)
    assert noted.request == REQUEST and noted.can_retry and "has not begun" in noted.message
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_machine")
    queue.write_ticket(run, Ticket(owner="ann", token=True, since=0))
    with bell.call(store.runs_dir, {"do": "look"}):
        failed = until(run, lambda state: state.status == "failed")
    assert "the Hub token that the run was started with was lost" in failed.message and failed.can_retry
