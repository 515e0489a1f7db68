"""Several real processes train one run: the losses of one process, any number after a resume, and an end when one dies.

One run is made by a single process first; all others are held against it.
"""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from ftspace import jobs
from ftspace.config import merge, parse_config
from ftspace.events import Prepared, Resumed, Started, Step, Validation, read_events
from ftspace.runs import Run, RunReader, RunStore
from ftspace.settings import ROOT
from ftspace.state import TERMINAL
from ftspace.training import checkpoints
from ftspace.training.documents import documents, shared_out, taken
from ftspace.training.worker import train
from ftspace.workers import LOST, Job
from tests.test_jobs import finish, nothing_left

__all__ = ["nothing_left"]

STEPS, MIDDLE, SOME = 48, 24, 4
CONFIG: dict[str, Any] = {
    "model": {"dtype": "float32"},
    "data": {"max_samples": 60},
    "lora": {"dropout": 0.0},
    "train": {
        "max_steps": STEPS,
        "batch_size": 5,
        "checkpoint_steps": 8,
        "save_total_limit": 10,
        "validation_steps": 16,
        "samples": 1,
        "device": "cpu",
        "auto_resume": False,
    },
    "eval": {"tasks": [], "max_new_tokens": 4},
}
SAME = 2e-3
"""What sums in another order change in a loss."""


class StopAt(TrainerCallback):
    """Asks a run to stop after a step."""

    def __init__(self, run: Run, step: int) -> None:
        self.run, self.step = run, step

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step - 1:
            self.run.stop_flag.touch()


def make(store: RunStore, device: str = "cpu", **launch: Any) -> Run:
    return store.create(parse_config(merge(CONFIG, {"launch": launch, "train": {"device": device}})))


def wait_for(run: Run, step: int) -> None:
    end = time.monotonic() + 180
    while max(losses(run), default=0) < step:
        assert time.monotonic() < end and RunReader(run).status() not in TERMINAL, run.log.read_text()
        time.sleep(0.01)


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
def reference(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Run:
    """The run, by one process."""
    run = make(RunStore(tmp_path_factory.mktemp("one") / "runs"))
    assert train(Job(run, "train")) == "finished"
    return run


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads cost more than they give where the model is so small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def ranks(run: Run) -> list[psutil.Process]:
    """The processes that train, by rank."""
    agent = next(event.pid for event in read_events(run.events)[0] if isinstance(event, Started))
    found = [one for one in psutil.Process(agent).children() if "ftspace.training.worker" in one.cmdline()]
    return sorted(found, key=lambda one: int(one.environ()["RANK"]))


def test_two_processes_learn_what_one_does_and_take_turns_with_it(
    store: RunStore, reference: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")  # one process for each is what there is by itself
    run = make(store, device="auto")
    jobs.start(run)
    wait_for(run, SOME)
    jobs.stop(run)
    status, ended = finish(run)
    assert status == "cancelled" and run.adapter.is_dir(), (ended, run.log.read_text())
    stopped = max(losses(run))
    assert SOME <= stopped < MIDDLE and run.checkpoint == stopped

    run.stop_flag.unlink()
    assert train(Job(run, "train"), callbacks=[StopAt(run, MIDDLE)]) == "cancelled"  # one process goes on
    jobs.resume(run)
    status, ended = finish(run)
    assert status == "finished", (ended, run.log.read_text())
    events = read_events(run.events)[0]
    assert [event.processes for event in events if isinstance(event, Prepared)] == [2, 1, 2]
    assert [event.step for event in events if isinstance(event, Resumed)] == [stopped, MIDDLE]
    told = [event.step for event in events if isinstance(event, Step)]
    assert told == list(range(1, STEPS + 1)), "of two processes one tells"
    alike(run, reference)


def test_two_machines_go_on_from_the_checkpoint_of_one_and_say_so_when_one_is_lost(
    tmp_path: Path, reference: Run
) -> None:
    meet: dict[str, Any] = {"nnodes": 2, "processes": 1, "rdzv_endpoint": f"127.0.0.1:{free_port()}"}
    both = one, other = [make(RunStore(tmp_path / name / "runs"), **meet) for name in ("a", "b")]
    middle = Path("checkpoints") / checkpoints.name(MIDDLE)
    for run in both:
        shutil.copytree(reference.path / middle, run.path / middle)
    for run in both:
        jobs.start(run)
    wait_for(one, MIDDLE + SOME)
    (killed,) = ranks(one)
    number = int(killed.environ()["RANK"]) + 1
    killed.kill()
    ends = [finish(run) for run in both]
    assert [(status, ended and ended.reason) for status, ended in ends] == [("failed", "lost_process")] * 2, (
        one.log.read_text() + other.log.read_text()
    )
    mine, theirs = (ended.message for _, ended in ends if ended)
    assert f"process {number} of 2 (pid {killed.pid}) was ended by signal 9" in mine
    lost = f"the connection to another process of the training, on machine {number} ("
    assert lost in theirs or f"the connection to the machine at {meet['rdzv_endpoint']} broke" in theirs
    whole = losses(reference)
    for run in both:
        assert losses(run) == pytest.approx({step: whole[step] for step in losses(run)}, abs=SAME)
        assert run.checkpoint and run.checkpoint >= MIDDLE


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
