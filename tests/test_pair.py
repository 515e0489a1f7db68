"""The pair that waits for a run, as real processes; one test lets it train, the others end it before its imports do."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ftspace import jobs
from ftspace.config import default_config, merge, parse_config
from ftspace.errors import ConfigError
from ftspace.events import Finished, Started, read_events
from ftspace.pair import Pair
from ftspace.runs import SLOT, Run, RunReader, RunStore
from ftspace.settings import ROOT, read_settings, worker_env
from ftspace.state import Status

TINY: dict[str, Any] = {"data": {"max_samples": 40}, "train": {"max_steps": 2}, "eval": {"tasks": []}}
REFUSED: dict[str, Any] = {"data": {"id": "assets/datasets/people_text.jsonl"}}
"""Ends within a second, for the rows are no conversations."""
APP = """
import sys, time
from pathlib import Path
from ftspace.pair import Pair
from ftspace.runs import RunStore
Pair(RunStore(Path(sys.argv[1]))).begin(0)
time.sleep(60)
"""


def make(store: RunStore, changes: dict[str, Any]) -> Run:
    return store.create(parse_config(merge(default_config().model_dump(), changes)))


def finish(run: Run) -> tuple[Status, Finished | None]:
    reader = RunReader(run)
    for _ in jobs.follow(reader, 0.05):
        pass
    return reader.status(), reader.state.end(run.jobs)


def children(pid: int) -> list[int]:
    """The processes that a process started and that are there still, be it as zombies."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found.append(int(stat.parent.name))
    return found


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def gone(*pids: int) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def pair_of(app: int) -> tuple[int, int]:
    """The pair that an app started: supervisor and worker, once both are there."""
    until(lambda: any(children(one) for one in children(app)))
    supervisor = next(one for one in children(app) if children(one))
    return supervisor, children(supervisor)[0]


@pytest.fixture(autouse=True)
def no_next_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next pair would be started long after the test."""
    monkeypatch.setattr(jobs, "REST_SECONDS", 3600)


@contextmanager
def held(store: RunStore) -> Generator[None]:
    """As if a run were at work."""
    store.runs_dir.mkdir(parents=True, exist_ok=True)
    with (store.runs_dir / SLOT).open("w") as slot:
        fcntl.flock(slot, fcntl.LOCK_EX)
        yield


@contextmanager
def waiting(store: RunStore) -> Generator[tuple[Pair, int, int]]:
    """A pair that waits, at its imports still, and its processes; afterwards nothing of it may be left.

    No fixture, for pytest changes the environment between a test's setup and its call.
    """
    pair = Pair(store)
    pair.begin(0)
    supervisor, worker = pair_of(os.getpid())
    yield pair, supervisor, worker
    assert not pair.waits()
    until(lambda: gone(supervisor, worker))


def test_a_run_through_the_pair_is_that_of_a_fresh_start(store: RunStore) -> None:
    """The fresh one trains while the pair imports; the pair's waits for the slot."""
    fresh, warm = make(store, TINY), make(store, TINY)
    with waiting(store) as (pair, _, worker):
        jobs.start(fresh)
        until(fresh.events.exists)
        jobs.start(warm, pair)
        assert not pair.waits()
        assert (finish(fresh)[0], finish(warm)[0]) == ("finished", "finished")
    events = [read_events(run.events)[0] for run in (fresh, warm)]
    assert [type(event) for event in events[0]] == [type(event) for event in events[1]]
    assert [event.pid for event in events[1] if isinstance(event, Started)] == [worker]
    adapters = [(run.adapter / "adapter_model.safetensors").read_bytes() for run in (fresh, warm)]
    assert adapters[0] == adapters[1]
    assert "Loading weights" in warm.log.read_text()


@pytest.mark.parametrize("given", [False, True])
def test_a_waiting_worker_that_is_killed_costs_a_run_nothing_but_time(store: RunStore, given: bool) -> None:
    run = make(store, REFUSED)
    with waiting(store) as (pair, supervisor, worker):
        with held(store):
            if given:
                jobs.start(run, pair)
            os.kill(worker, signal.SIGKILL)
            if not given:
                until(lambda: gone(supervisor, worker))
                jobs.start(run, pair)
        status, end = finish(run)
        assert status == "failed" and end is not None and end.reason == "dataset"


def test_a_run_that_is_stopped_before_its_turn_leaves_no_worker_behind(store: RunStore) -> None:
    run = make(store, TINY)
    with waiting(store) as (pair, _, _), held(store):
        jobs.start(run, pair)
        jobs.stop(run)
        status, end = finish(run)
        assert status == "cancelled" and end is not None and "waiting" in end.message


def test_a_pair_of_another_environment_gives_way_to_the_next(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "REST_SECONDS", 0)
    run = make(store, REFUSED)
    with waiting(store) as (pair, supervisor, worker):
        monkeypatch.setenv("HF_TOKEN", "set-after-the-pair-was-started")
        jobs.start(run, pair)
        assert gone(supervisor, worker)
        assert finish(run)[0] == "failed"
        until(pair.waits)
        pair.take(run.path, 0, {})


def test_the_pair_ends_with_its_app(store: RunStore) -> None:
    app = subprocess.Popen([sys.executable, "-c", APP, str(store.runs_dir)], cwd=ROOT, env=worker_env(offline=True))
    supervisor, worker = pair_of(app.pid)
    app.kill()
    app.wait()
    until(lambda: gone(supervisor, worker))


def test_no_pair_is_started_while_a_run_has_the_machine(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspace.pair.LOOK_SECONDS", 0.1)
    pair = Pair(store)
    with held(store):
        pair.begin(0)
        time.sleep(0.3)
        assert not pair.waits()
    until(pair.waits)
    pair.take(store.runs_dir, 0, {})


def test_the_switch_is_read_and_checked() -> None:
    assert read_settings(environ={}).warm
    assert not read_settings(environ={"FTSPACE_WARM": "0"}).warm
    with pytest.raises(ConfigError, match="FTSPACE_WARM"):
        read_settings(environ={"FTSPACE_WARM": "no"})
