"""Jobs on disks that are really full, really read-only, and out of inodes: what they leave, and what they say."""

import fcntl
import os
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from evals.errors import LogError
from evals.files import write_text
from ftspace import jobs
from ftspace.cli import main
from ftspace.config import RunConfig, default_config
from ftspace.disk import bytes_of, is_disk_full, keep_aside, remove, trouble
from ftspace.errors import DiskError, EvalError
from ftspace.events import EndStatus, EventLog, Finished, Step, Warned, read_events
from ftspace.runs import Run, RunReader, RunStore
from ftspace.training import checkpoints
from ftspace.training.saving import save_adapter
from ftspace.workers import Job, run_job

MakeDisk = Callable[[str], Path]
KILO = bytes(1024)


@pytest.fixture(autouse=True)
def untouched_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspace.workers.signal.signal", lambda *_: None)


def fill(folder: Path) -> None:
    """Takes all that is left of the disk, to the last byte."""
    with suppress(OSError), (folder / "filler").open("ab", buffering=0) as file:
        while True:
            file.write(KILO)


def crowd(folder: Path) -> None:
    """Takes all that is left of its inodes."""
    with suppress(OSError):
        for number in range(10_000):
            (folder / f"filler{number}").touch()


def step(number: int) -> Step:
    return Step(step=number, epoch=0.1, loss=1.0, learning_rate=1e-4, tokens=1, seconds=1.0)


def last(run: Run) -> Finished:
    event = read_events(run.events)[0][-1]
    assert isinstance(event, Finished)
    return event


def test_on_a_disk_that_fills_up_the_last_event_is_written_and_the_reason_is_disk(disk: MakeDisk) -> None:
    place = disk("size=2m")
    run = RunStore(place / "runs").create(RunConfig())

    def work(job: Job) -> EndStatus:
        fill(place)
        for number in range(1, 1000):
            job.tell(step(number))
        return "finished"

    assert run_job(run, "train", work) == 2
    events, size = read_events(run.events)
    assert size == run.events.stat().st_size and [event.seq for event in events] == list(range(len(events)))
    assert last(run).reason == "disk" and "go on from the beginning" in last(run).message
    assert RunReader(run).status() == "failed" and trouble(run.path) == ""
    assert not list(run.path.glob(".*"))


def test_the_reserve_is_for_the_last_events_and_serves_for_many(disk: MakeDisk) -> None:
    place = disk("size=2m")
    run = RunStore(place / "runs").create(RunConfig())
    log = Job(run, "train").events
    log.reserve()
    fill(place)
    assert trouble(place) == "its disk is full"
    with pytest.raises(OSError, match="No space left"):
        for number in range(1000):
            log.append(step(number))
    for _ in range(5):
        fill(place)
        log.append(Warned(message="x" * 4000))
    log.close()
    fill(place)
    another = EventLog(run.events)
    another.append(Finished(job="train", status="failed", reason="lost_process", message="x" * 4000))
    another.close()
    assert last(run).reason == "lost_process", "who finds the process gone has the reserve, too"


def test_what_is_written_beside_ends_with_the_reason_too_and_leaves_nothing_half(disk: MakeDisk) -> None:
    place = disk("size=2m")
    run = RunStore(place / "runs").create(default_config())

    def prepared(job: Job) -> EndStatus:
        fill(place)
        os.truncate(place / "filler", (place / "filler").stat().st_size - 65536)
        checkpoints.prepared(job, lambda rows: None)
        return "finished"

    def evaluated(job: Job) -> EndStatus:
        try:
            write_text(run.evals / "task" / "base.json", "x" * 4_000_000)
        except LogError as error:
            raise EvalError(str(error)) from error
        return "finished"

    def tokenized(job: Job) -> EndStatus:
        schema = pa.schema([("ids", pa.int64())])
        with pa.OSFile(str(place / "rows"), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            writer.write_batch(pa.record_batch([pa.array(range(500_000))], schema=schema))
        return "finished"

    works: list[Callable[[Job], EndStatus]] = [prepared, evaluated, tokenized]
    for work in works:
        assert run_job(run, "train", work) in (1, 2)
        assert last(run).reason == "disk", work
        assert not list(run.evals.rglob("*.json*")) and not run.data.exists()


def test_without_inodes_the_run_still_says_why(disk: MakeDisk) -> None:
    place = disk("size=8m,nr_inodes=60")
    run = RunStore(place / "runs").create(RunConfig())

    def work(job: Job) -> EndStatus:
        crowd(place)
        (run.path / "data").mkdir()
        return "finished"

    assert run_job(run, "train", work) == 1
    assert last(run).reason == "disk"
    assert trouble(run.path) in ("its disk cannot hold one more file", "")
    crowd(place)
    assert trouble(run.path) == "its disk cannot hold one more file"
    with pytest.raises(DiskError, match="can hold only 0 more files, a run needs 200"):
        jobs.require_space(run.path)
    with pytest.raises(DiskError, match="cannot write a run"):
        RunStore(place / "runs").create(RunConfig())
    assert run_job(run, "train", lambda job: "finished") == 1 and last(run).reason == "disk"


def test_a_read_only_disk_is_told_by_who_looks(disk: MakeDisk, capsys: pytest.CaptureFixture[str]) -> None:
    place = disk("size=8m")
    store = RunStore(place / "runs")
    run = store.create(RunConfig())
    run.lock.touch()
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    assert run_job(run, "train", lambda job: "finished") == 1
    assert RunReader(run).status() == "interrupted" and trouble(run.path) == "its disk is read-only"
    assert main(["runs", "show", run.id, "--data-dir", str(place)]) == 0
    assert "its disk is read-only, so nothing can be saved there" in capsys.readouterr().out
    with run.lock.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["runs", "stop", run.id, "--data-dir", str(place)]) == 2
    assert "cannot be written: Read-only file system" in capsys.readouterr().err
    assert main(["runs", "gc", "--data-dir", str(place)]) == 0
    assert f"not touched: run {run.id}: Read-only file system" in capsys.readouterr().err
    for refused in (lambda: store.create(RunConfig()), lambda: store.delete(run.id)):
        with pytest.raises(DiskError, match="Read-only"):
            refused()
    with pytest.raises(DiskError, match="read-only disk"):
        jobs.require_space(store.runs_dir)


def test_a_job_in_which_writing_turns_impossible_ends_with_the_reason(disk: MakeDisk) -> None:
    elsewhere = disk("size=1m")
    run = RunStore(elsewhere.parent / "runs").create(RunConfig())
    subprocess.run(["mount", "-o", "remount,ro", elsewhere], check=True)

    def work(job: Job) -> EndStatus:
        (elsewhere / "checkpoint").write_bytes(KILO)
        return "finished"

    assert run_job(run, "train", work) == 1 and last(run).reason == "disk"


def weights(size: int) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "w").write_bytes(bytes(size))

    return fill


def adapter(folder: Path) -> None:
    folder.mkdir()
    (folder / "weights").write_bytes(300 * KILO)
    (folder / "config").write_text("{}")


@pytest.mark.parametrize(("kept", "eaten"), [(True, False), (True, True), (False, True)])
def test_the_adapter_has_its_room_whatever_else_fills_the_disk(disk: MakeDisk, kept: bool, eaten: bool) -> None:
    place = disk("size=2m")
    run = RunStore(place / "runs").create(RunConfig())
    job = Job(run, "train")
    mine = checkpoints.Belongs(config={}, data="d")
    for number in (1, 2):
        checkpoints.write(run.checkpoints, number, mine, weights(310_000))
    if kept:
        job.keep_room(400 * 1024)
    fill(place)
    with pytest.raises(OSError, match="No space"):
        checkpoints.write(run.checkpoints, 3, mine, weights(20_000))
    assert [checkpoints.read(run.checkpoints, number).step for number in (2, 1)] == [2, 1]
    if eaten:
        job.give_room()
        fill(place)
    assert save_adapter(job, adapter) == 300 * 1024 + 2
    job.events.close()
    assert (run.adapter / "weights").stat().st_size == 300 * 1024
    assert checkpoints.steps(run.checkpoints) == ([2] if eaten else [2, 1])
    assert not list(run.path.glob(".*"))


def test_an_adapter_that_finds_no_room_leaves_the_old_one_and_the_newest_checkpoint(disk: MakeDisk) -> None:
    place = disk("size=2m")
    run = RunStore(place / "runs").create(RunConfig())
    job = Job(run, "train")
    save_adapter(job, adapter)
    checkpoints.write(run.checkpoints, 7, checkpoints.Belongs(config={}, data="d"), lambda folder: None)
    fill(place)
    with pytest.raises(DiskError, match=r"the adapter is not saved.*go on from the checkpoint of step 7"):
        save_adapter(job, adapter)
    job.events.close()
    assert (run.adapter / "weights").stat().st_size == 300 * 1024 and checkpoints.steps(run.checkpoints) == [7]
    with pytest.raises(DiskError, match="will need 1 MB, which are not free"):
        job.keep_room(1_000_000)
    assert not list(run.path.glob(".*"))


def test_what_is_kept_aside_takes_its_bytes_and_is_given_back(tmp_path: Path) -> None:
    keep_aside(tmp_path / "room", 1_000_000)
    assert bytes_of(tmp_path / "room") >= 1_000_000
    os.truncate(tmp_path / "room", 0)
    assert bytes_of(tmp_path / "room") == 0
    assert not is_disk_full(OSError("no number")) and not is_disk_full(PermissionError(13, "denied"))


def test_a_run_with_an_unreadable_folder_is_deleted(store: RunStore) -> None:
    run = store.create(RunConfig())
    (run.path / "data" / "below").mkdir(parents=True)
    (run.path / "data" / "below" / "file").touch()
    (run.path / "link").symlink_to(store.runs_dir)
    for name in ("data/below", "data"):
        (run.path / name).chmod(0)
    store.delete(run.id)
    assert list(store.runs_dir.iterdir()) == []


def test_what_cannot_be_removed_is_named_and_goes_with_the_next_gc(disk: MakeDisk) -> None:
    place = disk("size=1m")
    store = RunStore(place.parent / "data" / "runs")
    run = store.create(RunConfig())
    (run.path / "data").mkdir()
    subprocess.run(["mount", "--bind", place, run.path / "data"], check=True)
    with pytest.raises(DiskError, match=r"deleted, but .*data.* cannot be removed"):
        store.delete(run.id)
    assert store.list() == []
    (left,) = store.runs_dir.iterdir()
    subprocess.run(["umount", left / "data"], check=True)
    assert main(["runs", "gc", "--data-dir", str(store.runs_dir.parent)]) == 0
    assert list(store.runs_dir.iterdir()) == []


def test_removing_follows_no_link(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    kept.chmod(0o500)
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "link").symlink_to(kept)
    remove(tmp_path / "gone")
    remove(tmp_path / "nothing")
    assert kept.is_dir() and stat.S_IMODE(kept.stat().st_mode) == 0o500
