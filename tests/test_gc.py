"""What `runs gc` takes and what it leaves, on a data folder with a run of every kind."""

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from ftspace.cli import main
from ftspace.config import RunConfig, parse_config
from ftspace.events import EndStatus, EventLog, Finished
from ftspace.gc import Sweep
from ftspace.runs import Run, RunStore, take_lock
from ftspace.training import checkpoints
from ftspace.trash import Trash

MINE = checkpoints.Belongs(config={}, data="d")
OLD = 40 * 86400


def some(folder: Path, age: float = 0.0, size: int = 8192) -> Path:
    """A folder with a file in it that was written so many seconds ago."""
    folder.mkdir(parents=True)
    (folder / "info.json").write_bytes(os.urandom(size))
    for path in (folder / "info.json", folder):
        grow_old(path, age)
    return folder


def grow_old(path: Path, age: float) -> None:
    then = time.time() - age
    os.utime(path, (then, then))


def weights(folder: Path) -> None:
    (folder / "w").write_bytes(os.urandom(50_000))


def make(store: RunStore, status: EndStatus | None, data: str = "x/y") -> Run:
    """A run with two checkpoints, an adapter and what was cut off."""
    run = store.create(parse_config({"data": {"id": data}, "eval": {"tasks": []}}))
    for number in (3, 6):
        checkpoints.write(run.checkpoints, number, MINE, weights)
    some(run.adapter)
    some(run.data / "tokens" / "train")
    for left in (
        "checkpoints/.new-step-000009",
        "checkpoints/.old-gone-1",
        "data/.gathering-x",
        ".adapter-building",
        ".stop-new",
    ):
        some(run.path / left)
    if status:
        log = EventLog(run.events)
        log.append(Finished(job="train", status=status))
        log.close()
    return run


def steps(run: Run) -> list[int]:
    return checkpoints.steps(run.checkpoints)


def hidden(run: Run) -> list[str]:
    return sorted(path.name for path in run.path.rglob(".*"))


def test_what_nobody_needs_goes_and_what_somebody_needs_stays(store: RunStore) -> None:
    data_dir = store.runs_dir.parent
    finished, failed, unsaid, waiting, working = (
        make(store, status) for status in ("finished", "failed", None, None, "finished")
    )
    Trash(store).put(make(store, "finished").id)
    (waiting.path / "ticket.json").write_text("{}")
    (failed.checkpoints / "step-000006" / "w").write_bytes(b"cut")
    (unsaid.checkpoints / "step-000003").rename(unsaid.checkpoints / ".old-step-000003")
    some(store.runs_dir / ".gone-20260101-000000-abcdefabcdef")
    some(store.runs_dir / ".new-now")
    some(store.runs_dir / ".new-then", age=7200)
    some(data_dir / "cache" / "tokens" / "used")
    some(data_dir / "cache" / "tokens" / "unused", age=OLD)
    some(data_dir / "cache" / "tokens" / ".new-x", age=OLD)
    some(data_dir / "cache" / "base" / "used")
    some(data_dir / "cache" / "base" / "unused", age=OLD)
    some(data_dir / "sweeps" / "20260101-000000-abcd.rows", age=OLD)
    before = {path for path in data_dir.rglob("*") if path.name != "lock"}
    with working.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        dry = Sweep(data_dir, dry_run=True).go()
        assert {path for path in data_dir.rglob("*") if path.name != "lock"} == before
        freed = Sweep(data_dir).go()
        assert Sweep(data_dir).go().total == 0
    assert freed.counts == dry.counts == {
        "leftovers": 2 + 1 + 5 + 6 + 5, "deleted": 1, "checkpoints": 2, "caches": 4, "uploads": 0
    }  # fmt: skip
    assert freed.bytes == dry.bytes and 100_000 < freed.bytes["checkpoints"] < 200_000
    assert freed.total == sum(freed.bytes.values())
    assert set(freed.passed) == {f"run {waiting.id}: it waits for the machine", f"run {working.id}: it is at work"}
    assert [steps(run) for run in (finished, failed, unsaid, waiting, working)] == [[], [3], [6], [6, 3], [6, 3]]
    assert hidden(finished) == hidden(failed) == [] and hidden(unsaid) == [".old-step-000003"]
    assert len(hidden(working)) == len(hidden(waiting)) == 5
    assert all(run.adapter.is_dir() for run in store.list())
    assert {path.name for path in store.runs_dir.glob(".*")} == {".new-now", ".trash"}
    assert Trash(store).list() == []
    assert [path.name for path in (data_dir / "cache" / "tokens").iterdir()] == ["used"]
    assert [path.name for path in (data_dir / "cache" / "base").iterdir()] == ["used"]


def test_with_all_go_caches_of_any_age_and_uploads_that_no_run_names(store: RunStore) -> None:
    data_dir = store.runs_dir.parent
    uploads = data_dir / "uploads"
    some(uploads, age=OLD)
    for name, age in (("named.jsonl", OLD), ("unnamed.jsonl", OLD), ("new.jsonl", 60.0), (".begun.jsonl.1", OLD)):
        (uploads / name).write_text("{}")
        grow_old(uploads / name, age)
    make(store, "finished", data=str(uploads / "named.jsonl"))
    some(data_dir / "cache" / "tokens" / "of today", age=7200)
    (data_dir / "cache" / "machine.json").write_text("{}")
    assert Sweep(data_dir).go().counts["caches"] == 1
    assert {path.name for path in uploads.iterdir()} == {"info.json", "named.jsonl", "unnamed.jsonl", "new.jsonl"}
    unreadable = store.create(RunConfig())
    (unreadable.path / "config.json").write_text("{")
    kept = Sweep(data_dir, everything=True).go()
    assert kept.counts["uploads"] == 0 and "uploads: run" in kept.passed[0]
    assert kept.counts["caches"] == 2
    store.delete(unreadable.id)
    assert Sweep(data_dir, everything=True).go().counts["uploads"] == 2
    assert {path.name for path in uploads.iterdir()} == {"named.jsonl", "new.jsonl"}


def test_says_how_much_as_a_table_and_as_json(store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    make(store, "finished")
    words = ["runs", "gc", "--data-dir", str(store.runs_dir.parent)]
    assert main([*words, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["dry_run"] and told["passed"] == []
    assert [(one["kind"], one["count"]) for one in told["freed"]] == [
        ("leftovers", 5),
        ("deleted", 0),
        ("checkpoints", 2),
        ("caches", 1),
        ("uploads", 0),
    ]
    assert told["bytes"] == sum(one["bytes"] for one in told["freed"]) > 100_000
    assert main(words) == 0
    assert f"{told['bytes'] / 1e6:,.1f}" in capsys.readouterr().out


def test_an_import_that_takes_hours_is_left_alone(store: RunStore) -> None:
    begun = some(store.runs_dir / ".new-import-x", age=7200)
    held = take_lock(begun / "lock")
    grow_old(begun, 7200)
    Sweep(store.runs_dir.parent).go()
    assert held is not None and begun.exists()
    os.close(held)
    Sweep(store.runs_dir.parent).go()
    assert not begun.exists()
