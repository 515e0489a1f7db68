"""The supervisor and its children, as real processes; most are made to fail, wait or die before a model is loaded."""

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ftspace import jobs
from ftspace.config import RunConfig, default_config, merge, parse_config
from ftspace.errors import DiskError, JobError
from ftspace.events import Event, EventLog, Finished, Started, Step
from ftspace.runs import Run, RunReader, RunStore
from ftspace.state import Status


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


def test_a_resumed_run_does_the_jobs_that_are_not_finished(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[str] = []

    def launch(run_dir: Path, job: str, *, locks: list[int]) -> subprocess.Popen[bytes]:
        launched.append(job)
        return subprocess.Popen(["true"])

    monkeypatch.setattr(jobs, "launch", launch)
    run = make(store)
    tell(run, Finished(job="train", status="finished"))
    tell(run, Finished(job="evaluate", status="failed", message="the first time"))
    with run.lock.open("w") as lock:
        jobs.supervise(run, lock.fileno())
    assert launched == ["evaluate"]
    end = RunReader(run)
    assert end.status() == "failed"
    said = end.state.end(run.jobs)
    assert said is not None and said.reason == "lost_process", "the first end is not taken for the second"


def test_only_a_run_that_is_not_at_work_and_not_finished_is_resumed(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(store, eval={"tasks": []})
    tell(run, Started(job="train", pid=1))
    tell(run, Finished(job="train", status="cancelled"))
    run.stop_flag.touch()
    with run.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(JobError, match="already at work"):
            jobs.resume(run)
    started: list[Status] = []
    monkeypatch.setattr(jobs, "start", lambda run: started.append(state_at_work(run)))
    jobs.resume(run)
    assert started == ["running"] and not run.stop_flag.exists()
    tell(run, Finished(job="train", status="finished"))
    with pytest.raises(JobError, match="nothing to go on with"):
        jobs.resume(run)


def tell(run: Run, event: Event) -> None:
    log = EventLog(run.events)
    log.append(event)
    log.close()


def state_at_work(run: Run) -> Status:
    with run.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return RunReader(run).status()


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


def test_a_job_that_will_not_stop_is_killed_and_what_is_kept_is_named(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(run_dir: Path, job: str, *, locks: list[int]) -> subprocess.Popen[bytes]:
        deaf = ["sh", "-c", "trap '' TERM; mkdir \"$0\"; while :; do sleep 0.05; done", str(run_dir / "deaf")]
        process = subprocess.Popen(deaf, start_new_session=True)
        while not (run_dir / "deaf").exists():
            time.sleep(0.01)
        return process

    monkeypatch.setattr(jobs, "launch", launch)
    monkeypatch.setattr(jobs, "STOP_GRACE_SECONDS", 0.3)
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.05)
    run = make(store)
    (run.checkpoints / "step-000004").mkdir(parents=True)
    run.stop_flag.touch()
    with run.lock.open("w") as lock:
        jobs.supervise(run, lock.fileno())
    end = RunReader(run)
    assert end.status() == "cancelled"
    said = end.state.end(run.jobs)
    assert said is not None and "killed; go on from the checkpoint of step 4" in said.message
