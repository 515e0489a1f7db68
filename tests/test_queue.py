"""The order of waiting runs, and what is known of when each begins; no process is at work."""

import fcntl
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from ftspace import queue
from ftspace.access import Access
from ftspace.cli import main
from ftspace.config import default_config, merge, parse_config
from ftspace.errors import JobError
from ftspace.events import Event, Finished, Prepared, Preparing, Started, Step, Warned
from ftspace.queue import Ticket, locked, read_ticket, tickets, write_ticket
from ftspace.runs import Run, RunReader, RunStore
from ftspace.settings import visible_gpus
from ftspace.slots import Slot, slots_of
from tests.test_jobs import tell


def make(store: RunStore, owner: str = "ann", **changes: Any) -> Run:
    return store.create(parse_config(merge(default_config().model_dump(), changes)), Access(owner=owner))


def line_up(store: RunStore, *owners: str, **changes: Any) -> list[Run]:
    runs = [make(store, owner, **changes) for owner in owners]
    with locked(store.runs_dir):
        for order, run in enumerate(runs, start=7):
            write_ticket(run, Ticket(order=order, owner=run.access.owner))
    return runs


@contextmanager
def at_work(run: Run) -> Generator[None]:
    with run.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize(
    ("moved", "places", "after"),
    [
        (2, -1, "2 1 0 3"),
        (2, -9, "2 1 0 3"),
        (0, 1, "2 1 0 3"),
        (0, 9, "2 1 3 0"),
        (3, -1, "0 1 3 2"),
        (1, 1, "0 1 2 3"),
    ],
)
def test_a_run_moves_among_its_owner_s_and_the_others_stay(
    store: RunStore, moved: int, places: int, after: str
) -> None:
    runs = line_up(store, "ann", "bob", "ann", "ann")
    queue.move(runs[moved], places)
    assert [one.run for one in queue.waiting(store)] == [runs[int(place)] for place in after.split()]
    assert [one.owner for one in queue.waiting(store)][1] == "bob"


def test_only_a_run_that_waits_is_moved(store: RunStore) -> None:
    (run,) = line_up(store, "ann")
    with at_work(run), pytest.raises(JobError, match="does not wait"):
        queue.move(run, 1)
    with pytest.raises(JobError, match="does not wait"):
        queue.move(make(store), 1)


def test_when_a_run_begins_is_known_by_the_pace_and_by_runs_like_it(store: RunStore) -> None:
    working, alike, other = line_up(store, "ann", "bob", "ann")
    with at_work(working):
        tell(working, Started(job="train", pid=1))
        assert [one.starts_in for one in queue.waiting(store)] == [None, None], "nothing is known"

    for seconds in (100.0, 120.0, 900.0):
        done = make(store)
        tell(done, Started(job="train", pid=1), Finished(job="train", status="finished", seconds=seconds))
        tell(done, Finished(job="evaluate", status="finished", seconds=20))
    failed = make(store)
    tell(failed, Finished(job="train", status="failed", seconds=1))
    with at_work(working), locked(store.runs_dir):
        prepared = Prepared(
            rows={}, format="", total_steps=10, trainable_parameters=1, parameters=1, device="cpu", dtype="float32"
        )
        steps = [Step(step=n, epoch=0, loss=1, learning_rate=0, tokens=0, seconds=30.0 * n) for n in (1, 2)]
        tell(working, prepared, *steps)
    with at_work(working):
        line = queue.waiting(store)
        assert [(one.run, one.place) for one in line] == [(alike, 1), (other, 2)]
        assert [one.starts_in for one in line] == [pytest.approx(240 + 20), pytest.approx(240 + 20 + 140)]
        assert str(line[0]) == "place 1, starts in about 4 min"
        assert queue.at_work(store) == working.id


def test_a_ticket_that_cannot_be_read_is_no_reason_to_forget_the_run(store: RunStore) -> None:
    first, torn = line_up(store, "ann", "bob")
    torn.ticket.write_text('{"order": 3')
    assert [run for run, _ in tickets(store.runs_dir)] == [torn, first]
    ticket = read_ticket(torn)
    assert ticket is not None and ticket.owner == "bob"


def test_a_run_whose_config_cannot_be_read_can_be_stopped_and_deleted(store: RunStore) -> None:
    (run,) = line_up(store, "ann")
    (run.path / "config.json").write_text('{"no_such_section": 1}')
    assert queue.cancel(Run(run.path)) and not run.ticket.exists()
    store.delete(run.id)
    assert store.list() == []


CUT = (Started(job="train", pid=1, time=100), Preparing(rows=1, time=160))
TOLD_TO_END = (*CUT, Finished(job="train", status="cancelled", time=220))


@pytest.mark.parametrize(
    ("events", "auto_resume", "stop", "after", "spent", "said"),
    [
        (CUT, True, False, "queued", 65, "cut off; the run goes on"),
        (CUT, False, False, "interrupted", None, ""),
        (CUT, True, True, "cancelled", None, ""),
        (TOLD_TO_END, True, False, "queued", 125, "nobody asked for this stop: .* goes on by itself"),
        (TOLD_TO_END, False, False, "cancelled", None, "nobody asked for this stop: .* resume"),
        (TOLD_TO_END, True, True, "cancelled", None, ""),
        (TOLD_TO_END[-1:], True, False, "cancelled", None, ""),
        ((Warned(message="the token is lost"),), True, False, "queued", 5, "token"),
        ((Warned(message="the token is lost"),), True, True, "cancelled", None, "token"),
    ],
)
def test_what_becomes_of_a_run_that_nobody_is_at_work_on(
    store: RunStore,
    events: tuple[Event, ...],
    auto_resume: bool,
    stop: bool,
    after: str,
    spent: float | None,
    said: str,
) -> None:
    run = make(store, train={"auto_resume": auto_resume})
    run.events.write_text("".join(event.model_dump_json() + "\n" for event in events))
    if stop:
        run.stop_flag.touch()
    with locked(store.runs_dir):
        write_ticket(run, Ticket(spent=5))
        ticket = queue.mend(run, Ticket(spent=5))
        assert read_ticket(run) == ticket
        assert ticket is None or queue.mend(run, ticket) == ticket, "it waits on"
    reader = RunReader(run)
    assert reader.status() == after
    assert (ticket.spent if ticket else None) == spent
    assert re.search(said, " ".join(reader.state.warnings))


@pytest.mark.parametrize(
    ("given", "gpus"), [("0,1", ["0", "1"]), ("GPU-8f2", ["GPU-8f2"]), ("", [None]), ("-1", [None]), ("1,-1,2", ["1"])]
)
def test_each_gpu_in_sight_is_a_slot(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, given: str, gpus: list[str | None]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    slots = slots_of(store.runs_dir)
    assert [slot.gpu for slot in slots] == gpus
    assert slots[0].lock.name == ".slot" and len({slot.lock for slot in slots}) == len(gpus)


def test_a_job_sees_the_gpu_of_its_slot(store: RunStore) -> None:
    slot = Slot(store.runs_dir / ".slot-1", "1")
    assert visible_gpus(slot.fitted({"CUDA_VISIBLE_DEVICES": "0"})) == ["1"]
    assert slot.fitted({"CUDA_VISIBLE_DEVICES": ""}) == {"CUDA_VISIBLE_DEVICES": ""}, "it shall see none"


def test_the_command_line_shows_and_moves_what_waits(store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = line_up(store, "@local", "@local")
    where = ["--data-dir", str(store.runs_dir.parent)]
    assert main(["runs", "move", second.id, "--by", "-1", *where]) == 0
    assert [run for run, _ in tickets(store.runs_dir)] == [second, first]
    assert main(["runs", "show", first.id, *where]) == main(["runs", "list", *where]) == 0
    said = capsys.readouterr().out
    assert "queued (place 2" in said and "queued, place 1" in said
