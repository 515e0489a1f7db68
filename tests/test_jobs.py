"""The supervisor and its children, as real processes; most are made to fail, wait or die before a model is loaded."""

import fcntl
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ftspace import jobs
from ftspace.config import RunConfig, default_config, merge, parse_config
from ftspace.errors import DiskError, JobError
from ftspace.events import Finished, Started, Step
from ftspace.runs import Run, RunReader, RunStore, Status


def make(store: RunStore, **changes: Any) -> Run:
    return store.create(parse_config(merge(default_config().model_dump(), changes)))


def finish(run: Run) -> tuple[Status, Finished | None]:
    reader = RunReader(run)
    for _ in jobs.follow(reader):
        pass
    return reader.status(), reader.state.end(run.jobs)


def test_a_job_that_fails_says_why_and_nothing_is_left_running(store: RunStore) -> None:
    run = make(store, data={"id": "assets/datasets/people_text.jsonl"})
    jobs.start(run)
    status, end = finish(run)
    assert status == "failed"
    assert end is not None and end.reason == "dataset" and "plain text" in end.message
    assert not run.is_alive()
    assert not run.adapter.exists()


def test_runs_wait_for_their_turn_and_can_be_stopped_while_they_do(store: RunStore) -> None:
    store.runs_dir.mkdir(parents=True)
    with (store.runs_dir / ".slot").open("w") as slot:
        fcntl.flock(slot, fcntl.LOCK_EX)
        run = make(store)
        jobs.start(run)
        with pytest.raises(JobError, match="already at work"):
            jobs.start(run)
        assert RunReader(run).status() == "queued"
        jobs.stop(run)
        status, end = finish(run)
    assert status == "cancelled"
    assert end is not None and "waiting" in end.message


def test_a_job_whose_process_is_killed_is_said_to_be_lost(store: RunStore) -> None:
    run = make(store)
    jobs.start(run)
    reader = RunReader(run)
    pid = next(event.pid for event in jobs.follow(reader) if isinstance(event, Started))
    os.kill(pid, signal.SIGKILL)
    status, end = finish(run)
    assert status == "failed"
    assert end is not None and end.reason == "lost_process" and "SIGKILL" in end.message
    assert not run.adapter.exists()


def test_a_run_whose_supervisor_and_job_are_both_killed_is_interrupted(store: RunStore) -> None:
    run = make(store)
    jobs.start(run)
    reader = RunReader(run)
    pid = next(event.pid for event in jobs.follow(reader) if isinstance(event, Started))
    supervisor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    assert run.is_alive(), "the job holds the run's lock on its own"
    os.kill(pid, signal.SIGKILL)
    assert finish(run) == ("interrupted", None)


def test_a_stopped_training_keeps_its_adapter(store: RunStore) -> None:
    run = make(store, train={"max_steps": 2000})
    jobs.start(run)
    reader = RunReader(run)
    next(event for event in jobs.follow(reader) if isinstance(event, Step))
    jobs.stop(run)
    assert reader.status() == "stopping"
    status, end = finish(run)
    assert status == "cancelled"
    assert end is not None and "saved" in end.message
    assert (run.adapter / "adapter_model.safetensors").exists()
    with pytest.raises(JobError, match="nothing to stop"):
        jobs.stop(run)


def test_a_full_disk_is_refused_before_anything_is_made(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MIN_FREE_BYTES", 10**18)
    with pytest.raises(DiskError, match="a run needs"):
        jobs.require_space(store.runs_dir)


def test_a_failed_start_leaves_the_run_free(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.create(RunConfig())
    monkeypatch.setattr(jobs.sys, "executable", "/nowhere/python")
    with pytest.raises(FileNotFoundError):
        jobs.start(run)
    began = time.monotonic()
    assert not run.is_alive() and time.monotonic() - began < 5
