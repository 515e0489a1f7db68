"""Several real processes train one run: the losses of one process, any number after a resume, and an end when one dies.

One run is made by a single process first; all others are held against it.
"""

import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from ftspace import jobs
from ftspace.config import merge, parse_config
from ftspace.events import AdapterSaved, Prepared, Resumed, Started, Step, Validation, read_events
from ftspace.runs import Run, RunStore
from ftspace.settings import ROOT
from ftspace.training import checkpoints
from ftspace.training.documents import documents, shared_out, taken
from ftspace.training.worker import train
from ftspace.workers import LOST, Job
from tests.test_jobs import finish, nothing_left

__all__ = ["nothing_left"]

STEPS, KILLED_AT = 24, 10
CONFIG: dict[str, Any] = {
    "model": {"dtype": "float32"},
    "data": {"max_samples": 60},
    "lora": {"dropout": 0.0},
    "train": {
        "max_steps": STEPS,
        "batch_size": 5,
        "checkpoint_steps": 4,
        "save_total_limit": 10,
        "validation_steps": 12,
        "samples": 1,
        "device": "cpu",
        "auto_resume": False,
    },
    "eval": {"tasks": [], "max_new_tokens": 4},
}
SAME = 2e-3
"""What sums in another order change in a loss."""


def make(store: RunStore, **launch: Any) -> Run:
    return store.create(parse_config(merge(CONFIG, {"launch": launch})))


def losses(run: Run) -> dict[int, float]:
    return {event.step: event.loss for event in read_events(run.events)[0] if isinstance(event, Step)}


def validations(run: Run) -> dict[int, float]:
    return {event.step: event.loss for event in read_events(run.events)[0] if isinstance(event, Validation)}


def weights(run: Run) -> dict[str, torch.Tensor]:
    return load_file(run.adapter / "adapter_model.safetensors")


def alike(run: Run, reference: Run) -> None:
    """Both learnt the same, step by step."""
    assert losses(run) == pytest.approx(losses(reference), abs=SAME)
    assert validations(run) == pytest.approx(validations(reference), abs=SAME)
    theirs = weights(reference)
    for name, mine in weights(run).items():
        torch.testing.assert_close(mine, theirs[name], atol=5e-3, rtol=0.05)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run, by one process."""
    run = make(RunStore(tmp_path_factory.mktemp("one") / "runs"))
    assert train(Job(run, "train")) == "finished"
    return run


def ranks(run: Run) -> list[psutil.Process]:
    """The processes that train, by rank."""
    agent = next(event.pid for event in read_events(run.events)[0] if isinstance(event, Started))
    found = [one for one in psutil.Process(agent).children() if "ftspace.training.worker" in one.cmdline()]
    return sorted(found, key=lambda one: int(one.environ()["RANK"]))


def test_two_processes_learn_what_one_does_and_a_dead_one_is_named(store: RunStore, reference: Run) -> None:
    run = make(store, processes=2)
    jobs.start(run)
    end = time.monotonic() + 120
    while max(losses(run), default=0) < KILLED_AT:
        assert time.monotonic() < end, run.log.read_text()
        time.sleep(0.005)
    killed = ranks(run)[1]
    killed.kill()
    status, ended = finish(run)
    assert status == "failed" and ended and ended.reason == "lost_process", run.log.read_text()
    assert f"process 2 of 2 (pid {killed.pid}) was ended by signal 9" in ended.message
    events = read_events(run.events)[0]
    assert [event.processes for event in events if isinstance(event, Prepared)] == [2]
    told = [event.step for event in events if isinstance(event, Step)]
    assert told == list(range(1, len(told) + 1)), "one process alone tells"
    at = run.checkpoint
    assert at is not None and at >= KILLED_AT - 4

    assert train(Job(run, "train")) == "finished"  # one process goes on
    assert [event.step for event in read_events(run.events)[0] if isinstance(event, Resumed)] == [at]
    alike(run, reference)


def test_two_machines_train_together_and_both_have_the_run(tmp_path: Path, reference: Run) -> None:
    meet = {"nnodes": 2, "processes": 1, "rdzv_endpoint": f"127.0.0.1:{free_port()}"}
    one, other = (make(RunStore(tmp_path / name / "runs"), **meet) for name in ("a", "b"))
    middle = Path("checkpoints") / checkpoints.name(STEPS // 2)
    for run in (one, other):
        (run.path / middle).parent.mkdir()
    shutil.copytree(reference.path / middle, one.path / middle)
    shutil.copytree(reference.path / middle, other.path / middle)
    (other.path / middle / "optimizer.pt").unlink()  # torn: the whole one is brought to it, whoever is first
    for run in (one, other):
        jobs.start(run)
    for run in (one, other):
        status, ended = finish(run)
        assert status == "finished", (ended, run.log.read_text())
    for run in (one, other):
        events = read_events(run.events)[0]
        assert sum(isinstance(event, AdapterSaved) for event in events) == 1
        steps = [event.step for event in events if isinstance(event, Step)]
        assert steps[-1] == STEPS
    assert losses(one) == pytest.approx(losses(other), abs=0)
    theirs = losses(reference)
    assert losses(one) == pytest.approx({step: theirs[step] for step in losses(one)}, abs=SAME)
    for name, mine in weights(one).items():
        torch.testing.assert_close(mine, weights(other)[name], atol=0, rtol=0)


STILL = """
import sys
from ftspace.settings import Rank
from ftspace.training import group
group.BEAT_SECONDS, group.LOST_SECONDS = 0.1, 2.0
rank = int(sys.argv[1])
together = group.Group(Rank(rank, 2, rank, 0, ("127.0.0.1", int(sys.argv[2])), sys.argv[3]))
print("here", flush=True)
while True:
    together.total([1.0])
"""


def test_a_machine_that_says_nothing_any_more_is_given_up(tmp_path: Path) -> None:
    word, port = tmp_path / "word.json", str(free_port())
    both = [
        subprocess.Popen([sys.executable, "-c", STILL, str(rank), port, word], cwd=ROOT, stdout=subprocess.PIPE)
        for rank in (0, 1)
    ]
    try:
        for one in both:
            assert one.stdout and one.stdout.readline() == b"here\n"
        both[1].send_signal(signal.SIGSTOP)
        assert both[0].wait(30) == LOST
        assert "process 2 of 2, on machine 2" in word.read_text()
    finally:
        for one in both:
            one.kill()
            one.communicate()


def test_a_step_is_shared_out_by_tokens_and_nothing_of_it_is_lost() -> None:
    rows = [{"input_ids": [size] * size, "labels": [size] * size} for size in (3, 3, 20, 1, 9, 2, 6)]
    whole = documents(rows)
    for size in (1, 2, 3, 8):
        shares = [taken(whole, places) for places in shared_out(whole, size) if places]
        assert sorted(length for one in shares for length in one.lengths) == sorted(whole.lengths)
        assert sum(one.supervised for one in shares) == whole.supervised
    loads = [sum(whole.lengths[place] for place in places) for places in shared_out(whole, 2)]
    assert max(loads) - min(loads) <= 2


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
