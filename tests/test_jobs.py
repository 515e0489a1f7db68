"""Runs queued, followed and stopped, with the real supervisor; most jobs fail, wait or die before a model is loaded."""

import fcntl
import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ftspace import bell, jobs, queue
from ftspace.config import RunConfig, default_config, merge, parse_config
from ftspace.errors import DiskError, JobError
from ftspace.events import Event, EventLog, Finished, Started, Step, Warned, read_events
from ftspace.queue import tickets
from ftspace.runs import Run, RunReader, RunStore, take_lock
from ftspace.state import Status

REFUSED: dict[str, Any] = {"data": {"id": "assets/datasets/people_text.jsonl"}}
"""Ends within a second, for the rows are no conversations."""


def make(store: RunStore, **changes: Any) -> Run:
    return store.create(parse_config(merge(default_config().model_dump(), changes)))


def finish(run: Run) -> tuple[Status, Finished | None]:
    reader = RunReader(run)
    for _ in jobs.follow(reader, 0.05):
        pass
    return reader.status(), reader.state.end(run.jobs)


def tell(run: Run, *events: Event) -> None:
    log = EventLog(run.events)
    for event in events:
        log.append(event)
    log.close()


def begun(run: Run, pids: int = 1) -> int:
    """The process that is at work on a run, once so many have begun."""
    for _ in range(2400):
        found = [event.pid for event in read_events(run.events)[0] if isinstance(event, Started)]
        if len(found) >= pids:
            return found[-1]
        time.sleep(0.025)
    raise AssertionError(run.log.read_text() if run.log.exists() else "nothing began")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


@contextmanager
def held(store: RunStore) -> Generator[None]:
    """As if a command that measures had the machine."""
    store.runs_dir.mkdir(parents=True, exist_ok=True)
    with (store.runs_dir / ".slot").open("w") as slot:
        fcntl.flock(slot, fcntl.LOCK_EX)
        yield


@pytest.fixture(autouse=True)
def nothing_left(store: RunStore) -> Generator[None]:
    """Whatever a test did, no supervisor and no ticket may be left soon after it."""
    yield
    end = time.monotonic() + 20
    while bell.is_there(store.runs_dir):
        assert time.monotonic() < end, "the supervisor did not end"
        time.sleep(0.02)
    assert tickets(store.runs_dir) == []


def test_runs_are_done_in_their_order_and_say_why_they_fail(store: RunStore) -> None:
    runs = [make(store, **REFUSED) for _ in range(3)]
    with held(store):
        for run in runs:
            jobs.start(run)
        with pytest.raises(JobError, match="in the queue"):
            jobs.start(runs[0])
        assert [RunReader(run).status() for run in runs] == ["queued"] * 3
        assert [one.run for one in queue.waiting(store)] == runs
        with pytest.raises(JobError, match="waiting for its turn"):
            store.delete(runs[0].id)
        queue.move(runs[2], -1)
    ends = [finish(run) for run in runs]
    assert [status for status, _ in ends] == ["failed"] * 3
    assert all(end and end.reason == "dataset" and "plain text" in end.message for _, end in ends)
    began = [RunReader(run).status() and read_events(run.events)[0][0].time for run in runs]
    assert began[0] < began[2] < began[1]
    assert not any(run.is_alive() or run.adapter.exists() for run in runs)


def test_a_run_that_waits_is_stopped_at_once(store: RunStore) -> None:
    with held(store):
        run = make(store)
        jobs.start(run)
        jobs.stop(run)
        assert not run.ticket.exists()
        status, end = finish(run)
        assert status == "cancelled" and end is not None and "waiting" in end.message
        with pytest.raises(JobError, match="nothing to stop"):
            jobs.stop(run)


def test_so_many_runs_of_an_owner_may_wait(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTSPACE_MAX_WAITING", "1")
    with held(store):
        first, second = make(store), make(store)
        jobs.start(first)
        with pytest.raises(JobError, match="1 of your runs wait"):
            jobs.start(second)
        assert not second.ticket.exists()
        jobs.stop(first)


def test_a_job_whose_process_is_killed_is_said_to_be_lost(store: RunStore) -> None:
    run = make(store)
    jobs.start(run)
    os.kill(begun(run), signal.SIGKILL)
    status, end = finish(run)
    assert status == "failed"
    assert end is not None and end.reason == "lost_process" and "SIGKILL" in end.message
    assert not run.adapter.exists()


def test_a_stopped_training_keeps_its_adapter(store: RunStore) -> None:
    run = make(store, train={"max_steps": 2000})
    jobs.start(run)
    reader = RunReader(run)
    next(event for event in jobs.follow(reader) if isinstance(event, Step))
    jobs.stop(run)
    assert reader.status() in ("stopping", "cancelled")
    status, end = finish(run)
    assert status == "cancelled"
    assert end is not None and "saved" in end.message
    assert (run.adapter / "adapter_model.safetensors").exists()


def test_a_resumed_run_does_the_jobs_that_are_not_finished(store: RunStore) -> None:
    run = make(store)
    tell(run, Started(job="train", pid=1), Finished(job="train", status="finished"))
    tell(run, Started(job="evaluate", pid=1), Finished(job="evaluate", status="failed", message="the first time"))
    run.stop_flag.touch()
    with held(store):
        jobs.resume(run)
        assert RunReader(run).status() == "queued" and not run.stop_flag.exists()
    status, end = finish(run)
    begun = [event.job for event in read_events(run.events)[0] if isinstance(event, Started)]
    assert begun == ["train", "evaluate", "evaluate", "evaluate"], "one says that the first end is void"
    assert status == "failed" and end is not None and end.message != "the first time"


def test_only_a_run_that_is_not_at_work_and_not_finished_is_resumed(store: RunStore) -> None:
    run = make(store, eval={"tasks": []})
    lock = take_lock(run.lock)
    assert lock is not None
    with pytest.raises(JobError, match="already at work"):
        jobs.resume(run)
    os.close(lock)
    tell(run, Started(job="train", pid=1), Finished(job="train", status="finished"))
    with pytest.raises(JobError, match="nothing to go on with"):
        jobs.resume(run)


def test_a_full_disk_is_refused_before_anything_is_made(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MIN_FREE_BYTES", 10**18)
    with pytest.raises(DiskError, match="a run needs"):
        jobs.require_space(store.runs_dir)


def test_a_failed_start_leaves_the_run_free(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.create(RunConfig())
    monkeypatch.setattr(bell.sys, "executable", "/nowhere/python")
    with pytest.raises(JobError, match="cannot be started"):
        jobs.start(run)
    assert not run.is_alive() and not run.ticket.exists()


def test_a_run_for_which_there_is_no_time_says_so(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTSPACE_MAX_MINUTES", "0.0001")
    run = make(store)
    jobs.start(run)
    status, end = finish(run)
    assert status == "failed" and end is not None and end.reason == "time_limit"
    assert "FTSPACE_MAX_MINUTES" in end.message and "resume" in end.message


def test_a_token_is_in_the_job_s_environment_and_in_no_file(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    token = "hf_" + "Canary0" * 4
    run = make(store)
    with held(store):
        jobs.start(run, token)
    worker = begun(run)
    assert f"HF_TOKEN={token}".encode() in Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
    files = [path for path in store.runs_dir.rglob("*") if path.is_file()]
    assert run.ticket in files
    assert not any(token.encode() in path.read_bytes() for path in files)
    kill(parent(worker), worker)
    assert finish(run)[0] == "interrupted"


def test_a_token_that_is_lost_is_said_to_be(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with held(store):
        first, run = make(store), make(store, **REFUSED)
        jobs.start(first)
        jobs.start(run, "hf_" + "Canary0" * 4)
    worker = begun(first)
    kill(parent(worker))
    jobs.stop(first)
    assert finish(first)[0] == "cancelled"
    assert finish(run)[0] == "failed"
    assert any("token" in event.message for event in read_events(run.events)[0] if isinstance(event, Warned))
