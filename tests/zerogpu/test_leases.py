"""A run whose GPU is lent in leases by the real `spaces` package, and taken away by SIGKILL, ends as it would have.

One run in a single lease is the measure. Another has many short ones: the first is killed amid a step, there is no GPU
time for a while, processes are lent again; both in the same app and at the same time as far as that goes.
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ftspace import jobs
from ftspace.config import RunConfig, parse_config
from ftspace.events import Awaiting, Checkpoint, Event, Resumed, Started, Step, read_events
from ftspace.launchers import lease
from ftspace.runs import Run, RunReader, RunStore
from ftspace.settings import ROOT
from ftspace.state import fold
from tests.zerogpu.device_api import VISITOR, DeviceApi, Refused

STEPS = 40
CUT = 7
"""The step at which a lease is taken away; the newest checkpoint is some steps old then."""


@dataclass(frozen=True)
class Lived:
    """What came of the two runs."""

    whole: Run
    parted: Run
    api: DeviceApi
    leases: int
    """That the first run had."""

    def events(self) -> list[Event]:
        return read_events(self.parted.events)[0]


def config(seconds: int, tasks: Sequence[str]) -> RunConfig:
    return parse_config(
        {
            "model": {"id": "assets/base"},
            "data": {"id": "assets/datasets/people.jsonl", "max_samples": 400},
            "train": {"max_steps": STEPS, "batch_size": 16, "samples": 1, "checkpoint_steps": 4, "device": "cpu"},
            "lora": {"dropout": 0.1},
            "eval": {"tasks": list(tasks), "max_samples": 4, "max_new_tokens": 8},
            "hub": {"offline": True},
            "launch": {"launcher": "zerogpu", "lease_seconds": seconds},
        }
    )


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    place = tmp_path_factory.mktemp("zerogpu")
    store = RunStore(place / "runs")
    cgroup = place / "cgroup"
    cgroup.write_text("0::/here\n")
    api = DeviceApi()
    env = {
        **os.environ,
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": api.url,
        "ZEROGPU_PROC_SELF_CGROUP_PATH": str(cgroup),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-m", "tests.zerogpu.app", str(store.runs_dir)]
    with (place / "app.log").open("wb") as log:
        app = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=log, stderr=log)
    with running(app):
        whole = jobs.begin(store, config(600, []))
        over(whole, place)
        count = len(api.leases)
        api.plan([None, Refused(left=3, wait=1)])
        parted = jobs.begin(store, config(part_of(whole), ["heldout"]))
        api.cut_when(lambda: parted.events.read_bytes().count(b'"type":"step"') >= CUT)
        over(parted, place)
        yield Lived(whole, parted, api, count)
    api.close()


@contextmanager
def running(app: "subprocess.Popen[bytes]") -> Generator[None]:
    """An app that ends with what is done here."""
    try:
        yield
    finally:
        assert app.stdin
        app.stdin.close()
        try:
            app.wait(20)
        except subprocess.TimeoutExpired:
            app.kill()
            app.wait()


def part_of(run: Run) -> int:
    """Seconds of a lease in which about a third of a run's training is done, on a machine that is as busy."""
    events = read_events(run.events)[0]
    begun = [event.time for event in events if isinstance(event, Started)][-1]
    steps = [event.time for event in events if isinstance(event, Step)]
    return max(5, math.ceil((steps[0] - begun + (steps[-1] - steps[0]) / 3) / (1 - lease.LEAVE_SHARE)))


def over(run: Run, place: Path) -> None:
    """Waits until a run is over, which it is for having finished."""
    reader, end = RunReader(run), time.monotonic() + 180
    while reader.status() != "finished":
        status = reader.status()
        failed = status in ("failed", "cancelled", "interrupted") or time.monotonic() > end
        assert not failed, f"{status}\n{run.events.read_text()[-3000:]}\n{(place / 'app.log').read_text()[-3000:]}"
        time.sleep(0.1)


def test_leases_make_the_same_adapter_as_one_does(lived: Lived) -> None:
    one, many = lived.whole, lived.parted
    assert [(s.step, s.loss) for s in steps(one)] == [(s.step, s.loss) for s in steps(many)]
    names = [path.name for path in one.adapter.glob("*.safetensors")]
    assert names
    for name in names:
        assert (one.adapter / name).read_bytes() == (many.adapter / name).read_bytes()


def test_a_run_that_needs_one_lease_has_no_more(lived: Lived) -> None:
    assert lived.leases == 1
    assert not any(isinstance(event, Resumed) for event in read_events(lived.whole.events)[0])


def test_a_lease_is_left_in_time_and_one_that_is_killed_costs_no_more_than_it_had_not_saved(lived: Lived) -> None:
    mine = lived.api.leases[lived.leases :]
    assert sum(lent.killed for lent in mine) == 1
    assert len(mine) >= 4 and {lent.visitor for lent in mine} == {VISITOR}
    told = lived.events()
    waits = [event for event in told if isinstance(event, Awaiting)]
    assert any("ended from outside" in event.message for event in waits)
    assert [event.until is not None for event in waits if "out of GPU time" in event.message] == [True]
    assert lived.api.refused == 1
    assert all(event.seq == place for place, event in enumerate(told))  # nobody wrote beside another
    made = [event.step for event in told if isinstance(event, Checkpoint)]
    assert {event.step for event in told if isinstance(event, Resumed)} <= set(made)


def test_a_process_that_is_lent_again_does_what_a_new_one_does(lived: Lived) -> None:
    assert not all(lent.new for lent in lived.api.leases[lived.leases :])


def test_between_leases_the_run_waits_for_gpu_time(lived: Lived) -> None:
    events = lived.events()
    first = next(place for place, event in enumerate(events) if isinstance(event, Awaiting))
    state = fold(events[: first + 1])
    assert state.status(lived.parted.jobs, alive=True, stop_requested=False) == "waiting for GPU time"
    again = next(place for place, event in enumerate(events) if place > first and isinstance(event, Started))
    assert fold(events[: again + 1]).status(lived.parted.jobs, alive=True, stop_requested=False) == "running"


def steps(run: Run) -> list[Step]:
    return fold(read_events(run.events)[0]).steps
