"""Stopped with nothing kept: wherever it was cut off, nothing is left in the end."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspace import jobs, queue, stopping
from ftspace.errors import JobError
from ftspace.events import AdapterSaved, Event, Finished, Started, read_events
from ftspace.queue import Ticket, locked, write_ticket
from ftspace.runs import TIME_LIMIT, Run, RunReader, RunStore
from ftspace.trash import Trash
from ftspace.workers import Job, run_job
from tests.test_jobs import held, make, nothing_left, tell

__all__ = ["nothing_left"]
LEARNT = ("adapter/adapter_config.json", "checkpoints/step-000002/optimizer.pt", "evals/heldout/base.json")
TRAINED: tuple[Event, ...] = (
    Started(job="train", pid=1),
    AdapterSaved(step=9, bytes=1),
    Finished(job="train", status="finished"),
    Started(job="evaluate", pid=2),
)


def fill(run: Run) -> None:
    for name in LEARNT:
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / name).write_text("x")


def kept(run: Run) -> list[str]:
    """What there is of a run but its settings and events."""
    known = {"config.json", "access.json", "events.jsonl", "worker.log", "lock", "stop"}
    return sorted({path.name for path in run.path.iterdir()} - known)


def test_the_wish_stands_in_the_flag_and_the_later_one_counts(store: RunStore) -> None:
    run = make(store)
    stopping.ask(run)
    assert run.stop_flag.exists() and not stopping.is_discarded(run)
    stopping.ask(run, stopping.DISCARD)
    stopping.ask(run)
    assert stopping.is_discarded(run) and not run.time_is_up()
    stopping.ask(run, TIME_LIMIT)
    assert run.time_is_up() and not stopping.is_discarded(run)


@pytest.mark.parametrize("told", [(), TRAINED[:1], TRAINED, (*TRAINED, Finished(job="evaluate", status="finished"))])
@pytest.mark.parametrize("cut", [False, True])
def test_nothing_is_left_wherever_it_was_cut_off(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, told: tuple[Event, ...], cut: bool
) -> None:
    """As the next supervisor finds it: nobody is at work, and the ticket is still there."""
    run = make(store, train={"auto_resume": True})
    tell(run, *told)
    fill(run)
    with locked(store.runs_dir):
        write_ticket(run, Ticket())
    stopping.ask(run, stopping.DISCARD)
    if cut:
        renamed = list[Path]()

        def kill(path: Path, target: Any, rename: Callable[[Path, Any], Path] = Path.rename) -> Path:
            if renamed:
                raise KeyboardInterrupt
            renamed.append(path)
            return rename(path, target)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), locked(store.runs_dir):
            patch.setattr(Path, "rename", kill)
            queue.mend(run, Ticket())
        assert run.ticket.exists()
    with locked(store.runs_dir):
        assert queue.mend(run, Ticket()) is None
        queue.close(run)
    assert kept(run) == []
    state = RunReader(run)
    assert state.status() == "cancelled"
    end = state.state.end(run.jobs)
    assert end is not None and end.job == "train"
    assert state.state.unfinished(run.jobs) == ["train", "evaluate"], "a resume begins again"


def test_what_was_made_of_the_adapter_elsewhere_goes_with_it(store: RunStore) -> None:
    runs = [make(store) for _ in range(3)]
    for run in runs:
        run.merged.mkdir(parents=True)
        (run.path / "push" / "me" / "bundle").mkdir(parents=True)
        (run.path / "push" / "me" / "lock").touch()
    discarded, deleted, dropped = runs
    stopping.discard(discarded)
    assert not (discarded.path / "push" / "me" / "bundle").exists()
    store.delete(deleted.id)
    one = Trash(store).put(dropped.id)
    assert dropped.merged.is_dir(), "it may be restored"
    assert Trash(store).drop(one)
    assert not any(run.merged.exists() for run in runs)


def test_a_job_that_is_to_keep_nothing_ends_so(store: RunStore) -> None:
    run = make(store)

    def work(job: Job) -> Any:
        fill(run)
        stopping.ask(run, stopping.DISCARD)
        job.stop_here()

    before = signal.getsignal(signal.SIGTERM)
    assert run_job(run, "train", work) == 1
    signal.signal(signal.SIGTERM, before)
    end = read_events(run.events)[0][-1]
    assert isinstance(end, Finished)
    assert (end.status, end.message) == ("cancelled", stopping.DISCARDED)
    assert kept(run) == []


def test_a_run_that_waits_is_discarded_at_once(store: RunStore) -> None:
    with held(store):
        run = make(store)
        jobs.start(run)
        fill(run)
        jobs.stop(run, discard=True)
        assert (RunReader(run).status(), kept(run)) == ("cancelled", [])


def test_a_run_that_is_only_compared_anew_is_stopped_and_never_discarded(store: RunStore) -> None:
    with held(store):
        run = make(store)
        tell(run, *TRAINED, Finished(job="evaluate", status="finished"))
        fill(run)
        jobs.evaluate(run)
        before = kept(run)
        with pytest.raises(JobError, match="only compared anew"):
            jobs.stop(run, discard=True)
        assert run.is_waiting() and kept(run) == before and not queue.may_discard(run)
        jobs.stop(run)
        assert not run.is_waiting() and {"adapter", "evals"} <= {*kept(run)}
