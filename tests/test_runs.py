import fcntl
from pathlib import Path

import pytest

from ftspace.config import RunConfig, default_config
from ftspace.errors import DiskError, JobError
from ftspace.events import (
    Checkpoint,
    EndStatus,
    Event,
    EventLog,
    Finished,
    JobName,
    Prepared,
    Resumed,
    Started,
    Step,
    Validation,
    Warned,
)
from ftspace.runs import RunReader, RunStore
from ftspace.state import Status, fold


def finished(job: JobName, status: EndStatus) -> Finished:
    return Finished(job=job, status=status)


TRAIN = Started(job="train", pid=1)
EVALUATE = Started(job="evaluate", pid=2)
TRAINED = finished("train", "finished")


@pytest.mark.parametrize(
    ("events", "alive", "stop", "status"),
    [
        ([], True, False, "queued"),
        ([], True, True, "stopping"),
        ([], False, False, "interrupted"),
        ([TRAIN], True, False, "running"),
        ([TRAIN], True, True, "stopping"),
        ([TRAIN], False, False, "interrupted"),
        ([TRAIN, TRAINED], True, False, "running"),
        ([TRAIN, TRAINED], False, False, "interrupted"),
        ([TRAIN, finished("train", "failed")], True, False, "failed"),
        ([TRAIN, finished("train", "cancelled")], False, True, "cancelled"),
        ([TRAIN, TRAINED, EVALUATE], True, False, "running"),
        ([TRAIN, TRAINED, EVALUATE, finished("evaluate", "finished")], False, False, "finished"),
        ([TRAIN, TRAINED, EVALUATE, finished("evaluate", "failed")], False, False, "failed"),
        ([TRAIN, TRAINED, EVALUATE, finished("evaluate", "finished")], False, True, "finished"),
        ([TRAIN, finished("train", "failed"), TRAIN], True, False, "running"),
    ],
)
def test_status(events: list[Event], alive: bool, stop: bool, status: Status) -> None:
    assert fold(events).status(["train", "evaluate"], alive=alive, stop_requested=stop) == status


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], "queued"),
        ([TRAIN], "queued"),
        ([TRAIN, TRAINED], "queued"),
        ([TRAIN, finished("train", "failed")], "failed"),
    ],
)
def test_a_run_with_a_ticket_is_queued_until_it_is_over(store: RunStore, events: list[Event], status: Status) -> None:
    run = store.create(RunConfig())
    run.ticket.touch()
    log = EventLog(run.events)
    for event in events:
        log.append(event)
    log.close()
    assert RunReader(run).status() == status
    with pytest.raises(JobError, match="waiting for its turn"):
        store.delete(run.id)


def test_a_run_without_tasks_ends_with_its_training() -> None:
    assert fold([TRAIN, TRAINED]).status(["train"], alive=False, stop_requested=False) == "finished"


def test_eta_goes_by_the_newest_pace() -> None:
    prepared = Prepared(
        rows={}, format="messages", total_steps=100, trainable_parameters=1, parameters=2, device="cpu", dtype="float32"
    )
    slow_start = [
        Step(step=n, epoch=0, loss=1, learning_rate=0, tokens=0, seconds=100 + n if n > 1 else 1) for n in range(1, 81)
    ]
    assert fold([prepared, slow_start[0]]).eta_seconds is None
    assert fold([prepared, *slow_start]).eta_seconds == pytest.approx(20)


def test_eta_after_a_resume_goes_by_the_steps_since() -> None:
    prepared = Prepared(
        rows={}, format="messages", total_steps=100, trainable_parameters=1, parameters=2, device="cpu", dtype="float32"
    )
    slow = [step_of(number, 100.0 * number) for number in range(1, 41)]
    told: list[Event] = [prepared, *slow, TRAIN, prepared, Resumed(step=38)]
    began = 3_800.0 + 500  # the first step of a process takes longest
    fast = [step_of(number, began + 2.0 * (number - 39)) for number in range(39, 60)]
    assert fold(told).eta_seconds == pytest.approx(62 * 100)
    assert fold([*told, fast[0]]).eta_seconds is not None
    assert fold([*told, *fast[:2]]).eta_seconds == pytest.approx(60 * 2)
    assert fold([*told, *fast]).eta_seconds == pytest.approx(41 * 2)
    rolled_back = fold([*told, *fast, Resumed(step=50, reason="rollback"), *fast[12:14]])
    assert rolled_back.eta_seconds == pytest.approx(48 * 2)


def step_of(number: int, seconds: float) -> Step:
    return Step(step=number, epoch=0, loss=1, learning_rate=0, tokens=0, seconds=seconds)


def test_a_resumed_run_goes_on_where_its_checkpoint_was() -> None:
    prepared = Prepared(
        rows={}, format="messages", total_steps=10, trainable_parameters=1, parameters=2, device="cpu", dtype="float32"
    )
    validations = [Validation(step=number, loss=1) for number in (0, 3, 5)]
    told = [prepared, *validations, *(step_of(number, 2.0 * number) for number in range(1, 6))]
    told += [Checkpoint(step=4, bytes=1, seconds=1), Warned(message="once"), finished("train", "failed")]
    resumed = fold([*told, TRAIN, prepared, Warned(message="once"), Resumed(step=4)])
    assert [one.step for one in resumed.steps] == [1, 2, 3, 4]
    assert [one.step for one in resumed.validations] == [0, 3]
    assert resumed.eta_seconds == pytest.approx(12)
    assert resumed.status(["train"], alive=True, stop_requested=False) == "running"
    assert resumed.warnings == ["once"] and resumed.checkpoint is not None
    assert fold([*told, Resumed(step=2, reason="rollback")]).checkpoint is None
    assert resumed.unfinished(["train", "evaluate"]) == ["train", "evaluate"]

    anew = fold([*told, TRAIN, prepared, Validation(step=0, loss=1), step_of(1, 2.0)])
    assert [one.step for one in anew.steps] == [1] and [one.step for one in anew.validations] == [0]


def test_a_run_comes_back_from_disk_as_it_was_made(store: RunStore) -> None:
    config = default_config()
    run = store.create(config)
    assert store.get(run.id).config == config
    assert [one.id for one in store.list()] == [run.id]
    assert run.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("run_id", ["", ".", "..", "../x", "20260101-000000-abcdefabcdef", "a/b", "x\0y", "." * 300])
def test_what_is_no_run_is_refused(store: RunStore, run_id: str) -> None:
    store.create(RunConfig())
    with pytest.raises(JobError, match="no run"):
        store.get(run_id)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="FTSPACE_DATA"):
        RunStore(tmp_path / "file" / "runs").create(RunConfig())


def test_only_a_run_at_rest_is_deleted(store: RunStore) -> None:
    run = store.create(RunConfig())
    with run.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run.is_alive()
        with pytest.raises(JobError, match="stop it first"):
            store.delete(run.id)
    assert not run.is_alive()
    store.delete(run.id)
    assert store.list() == []
    assert list(store.runs_dir.iterdir()) == []


def test_a_reader_takes_in_only_what_is_new(store: RunStore) -> None:
    run = store.create(RunConfig())
    log = EventLog(run.events)
    reader = RunReader(run)
    log.append(TRAIN)
    assert [event.type for event in reader.refresh()] == ["started"]
    assert reader.refresh() == []
    log.append(TRAINED)
    assert [event.type for event in reader.refresh()] == ["finished"]
    log.close()
    assert reader.status() == "interrupted"


def test_a_config_is_read_as_it_stands_now(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run = store.create(default_config())
    assert store.get(run.id).config == default_config()
    changed = default_config().model_copy(update={"train": default_config().train.model_copy(update={"epochs": 11.0})})
    (run.path / "config.json").write_text(changed.model_dump_json())
    assert store.get(run.id).config == changed
    (run.path / "config.json").write_text("{")
    with pytest.raises(JobError, match="no readable config"):
        _ = store.get(run.id).config
