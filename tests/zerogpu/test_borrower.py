"""What a run makes of each answer to its demand for a GPU; a lender that answers by a plan plays the app."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from ftspace.config import parse_config
from ftspace.errors import ConfigError, JobError
from ftspace.events import Awaiting, Checkpoint, Finished, Started, Warned, read_events
from ftspace.launchers import lease, zerogpu
from ftspace.launchers.lending import Answer, Demand, Lender
from ftspace.launchers.quota import read_refusal
from ftspace.launchers.zerogpu import Borrower
from ftspace.listing import look, progress
from ftspace.preflight.report import check_launcher
from ftspace.queue import tell
from ftspace.reasons import EXPLAINED
from ftspace.runs import Run, RunStore, take_lock
from ftspace.settings import ROOT
from ftspace.state import fold
from ftspace.workers import AWAY


@pytest.fixture
def run(store: RunStore) -> Run:
    """A run that has a checkpoint, so that nothing is to be prepared."""
    made = store.create(parse_config({"launch": {"launcher": "zerogpu", "lease_seconds": 60}}))
    tell(made, Started(job="train", pid=os.getpid()))
    moved(made, 1)
    return made


def moved(run: Run, step: int) -> None:
    (run.checkpoints / f"step-{step:06d}").mkdir(parents=True)
    tell(run, Checkpoint(step=step, bytes=1, seconds=0.1))


@contextmanager
def lending(run: Run, *answers: Callable[[Demand], Answer]) -> Generator[list[Demand]]:
    """A lender that gives these answers, one after the other, and keeps what was asked."""
    asked: list[Demand] = []

    def lend(demand: Demand) -> Answer:
        asked.append(demand)
        return answers[len(asked) - 1](demand)

    lender = Lender(run.path.parent, lend)
    thread = threading.Thread(target=lender.serve)
    thread.start()
    try:
        yield asked
    finally:
        lender.close()
        thread.join()


def gives(answer: Answer) -> Callable[[Demand], Answer]:
    return lambda _: answer


def refuses(title: str, message: str) -> Callable[[Demand], Answer]:
    return gives(read_refusal(title, message))


def leaves(run: Run, step: int) -> Callable[[Demand], Answer]:
    def lend(_: Demand) -> Answer:
        moved(run, step)
        tell(run, Awaiting(job="train"))
        return Answer("left", AWAY)

    return lend


def ends(run: Run) -> Callable[[Demand], Answer]:
    def lend(_: Demand) -> Answer:
        tell(run, Finished(job="train", status="finished"))
        return Answer("left", 0)

    return lend


def last(run: Run) -> Finished:
    event = read_events(run.events)[0][-1]
    assert isinstance(event, Finished)
    return event


QUOTA = "You have exceeded your free ZeroGPU quota (60s requested vs. {left}s left). Try again in {wait}. "


def test_it_asks_until_the_job_is_done(run: Run) -> None:
    with lending(run, leaves(run, 2), leaves(run, 3), ends(run)) as asked:
        assert Borrower(run, "train", "a token").see_through() == 0
    assert [(one.seconds, one.job, one.token, one.pid) for one in asked] == [(60, "train", "a token", os.getpid())] * 3


def test_what_is_left_of_the_day_is_used_up_and_then_it_says_when_to_go_on(run: Run) -> None:
    with lending(
        run,
        refuses("ZeroGPU quota exceeded", QUOTA.format(left=35, wait="5:12:00")),
        leaves(run, 2),
        refuses("ZeroGPU quota exceeded", QUOTA.format(left=0, wait="1 day, 5:12:00")),
    ) as asked:
        assert Borrower(run, "train", None).see_through() == 2
    assert [one.seconds for one in asked] == [60, 35, 35]
    assert (last(run).status, last(run).reason) == ("failed", "gpu_time")
    assert last(run).message.startswith("out of GPU time: there is more in 29 h 12 min; go on from the checkpoint of")
    assert EXPLAINED["gpu_time"].goes_on


def test_gpu_time_that_comes_soon_is_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zerogpu, "AGAIN_SECONDS", 0.1)
    seen: list[tuple[str, str]] = []

    def looked(demand: Demand) -> Answer:
        held = take_lock(run.lock)  # as the supervisor holds it for who sees the run through
        found = look(run)
        seen.append((getattr(found, "status", ""), progress(run)[0]))
        os.close(held or -1)
        return ends(run)(demand)

    with lending(
        run,
        refuses("ZeroGPU quota exceeded", QUOTA.format(left=0, wait="0:00:01")),
        refuses("ZeroGPU queue timeout", "No GPU was available after 60s. Retry later"),
        refuses("ZeroGPU quota exceeded", "No GPU was available after 60s. Try re-running outside of examples"),
        looked,
    ):
        began = time.time()
        assert Borrower(run, "train", None).see_through() == 0
    waits = [event for event in read_events(run.events)[0] if isinstance(event, Awaiting)]
    assert [event.message for event in waits] == ["out of GPU time: there is more in 1 s", "no GPU is free"]
    assert waits[0].until is not None and 0.5 < waits[0].until - began < 5
    assert seen == [("waiting for GPU time", "Waiting for GPU time")]


@pytest.mark.parametrize("kind", ["left", "killed"])
def test_leases_that_bring_it_no_further_are_not_asked_for_for_ever(run: Run, kind: Any) -> None:
    with lending(run, *[gives(Answer(kind, AWAY))] * zerogpu.TRIES) as asked:
        assert Borrower(run, "train", None).see_through() == 2
    assert len(asked) == zerogpu.TRIES
    assert last(run).reason == "job" and "launch.lease_seconds" in last(run).message
    assert run.go_on() in last(run).message


def test_shorter_leases_are_asked_for_where_long_ones_are_not_given(run: Run) -> None:
    too_long = refuses("ZeroGPU illegal duration", "The requested GPU duration (60s) is larger than the maximum")
    with lending(run, too_long, too_long) as asked:
        assert Borrower(run, "train", None).see_through() == 2
    assert [one.seconds for one in asked] == [60, 30]
    assert any(isinstance(event, Warned) for event in read_events(run.events)[0])


def test_a_stop_while_it_waits_is_heard_at_once(run: Run) -> None:
    def asked_to_stop(demand: Demand) -> Answer:
        run.stop_flag.touch()
        return refuses("ZeroGPU quota exceeded", QUOTA.format(left=0, wait="0:20:00"))(demand)

    with lending(run, asked_to_stop):
        began = time.monotonic()
        assert Borrower(run, "train", None).see_through() == 1
        assert time.monotonic() - began < 5
    assert last(run).status == "cancelled" and run.go_on() in last(run).message


def test_an_app_that_is_not_there_and_one_whose_visitors_time_is_unknown(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zerogpu, "AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(zerogpu, "WAIT_SECONDS", 0.3)
    assert Borrower(run, "train", None).see_through() == 2
    assert "the app that lends the GPU does not answer" in last(run).message
    run.events.unlink()
    tell(run, Started(job="train", pid=os.getpid()))
    nobody = refuses(
        "ZeroGPU quota exceeded", "Space app has reached its GPU limit. Try re-running outside of examples"
    )
    with lending(run, nobody):
        assert Borrower(run, "train", None).see_through() == 2
        with pytest.raises(JobError, match="another app lends"):
            Lender(run.path.parent, gives(Answer("left")))
    assert "signed in" in last(run).message


def test_a_lease_that_outlives_its_lender_is_in_nobodys_way(run: Run) -> None:
    folder = run.path.parent
    code = (
        "import os, sys, time; from pathlib import Path; from ftspace.launchers.lending import Answer, Lender; "
        f"lender = Lender(Path({str(folder)!r}), lambda demand: Answer('left')); child = os.fork(); "
        "child or (os.close(1), time.sleep(30)); print(child, flush=True); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=20)
    child = int(done.stdout)
    os.kill(child, 0)  # it is there
    try:
        Lender(folder, gives(Answer("left"))).close()
    finally:
        os.kill(child, signal.SIGKILL)


def test_two_leases_are_never_at_work_on_one_run(run: Run) -> None:
    held = take_lock(run.path / lease.LOCK)
    assert lease.work(str(run.path), "train", 60, os.getpid(), None) == lease.BUSY
    os.close(held or -1)
    before = run.events.read_bytes()
    assert lease.work(str(run.path), "train", 60, 2**22 + 1, None) == lease.BUSY  # who wanted it is gone
    assert run.events.read_bytes() == before


def test_what_zerogpu_cannot_do_is_refused_before_a_run_is_made() -> None:
    with pytest.raises((ValidationError, ConfigError), match="may start no other"):
        parse_config({"launch": {"launcher": "zerogpu", "processes": 2}})
    with pytest.raises(ConfigError, match="needs a Space with ZeroGPU"):
        check_launcher(parse_config({"launch": {"launcher": "zerogpu"}}))


def test_the_state_of_a_run_between_leases(run: Run) -> None:
    tell(run, Awaiting(job="train", message="no GPU is free"))
    state = fold(read_events(run.events)[0])
    assert state.status(["train"], alive=True, stop_requested=False) == "waiting for GPU time"
    assert state.status(["train"], alive=True, stop_requested=True) == "stopping"
    assert state.status(["train"], alive=False, stop_requested=False) == "interrupted"
