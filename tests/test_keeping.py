"""Runs that are archived come back whole, and nothing else does."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from ftspace import keeping
from ftspace.config import default_config
from ftspace.keeping import Keeper
from ftspace.runs import Run, RunStore, take_lock


def written(run: Run) -> dict[str, bytes]:
    return {str(one.relative_to(run.path)): one.read_bytes() for one in run.path.rglob("*") if one.is_file()}


def a_run(store: RunStore) -> Run:
    run = store.create(default_config())
    (run.path / "adapter").mkdir()
    (run.path / "adapter" / "adapter_model.safetensors").write_bytes(os.urandom(300_000))
    return run


def archives(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_a_run_comes_back_where_its_disk_was_lost(store: RunStore, tmp_path: Path) -> None:
    folder, run = tmp_path / "kept", a_run(store)
    keeper = Keeper(store, folder)
    assert keeper.bring_back() == []
    keeper.look()
    first = archives(folder)
    keeper.look()
    assert len(first) == 1 and archives(folder) == first
    (run.path / "results.json").write_text("{}")
    run.lock.touch()
    keeper.look()
    assert len(archives(folder)) == 1 and archives(folder) != first
    run.lock.unlink()
    before, access = written(run), run.access
    shutil.rmtree(store.runs_dir)
    keeper.look()  # a disk that is gone is no wish to have the runs deleted
    again = Keeper(store, folder)
    assert again.bring_back() == [run.id] == [one.id for one in store.list()]
    assert written(store.get(run.id)) == before and store.get(run.id).access == access
    kept = archives(folder)
    again.look()
    assert archives(folder) == kept and again.bring_back() == []


def test_what_was_deleted_stays_deleted(store: RunStore, tmp_path: Path) -> None:
    keeper, runs = Keeper(store, tmp_path / "kept"), [a_run(store), a_run(store)]
    keeper.look()
    store.delete(runs[0].id)
    keeper.look()
    shutil.rmtree(store.runs_dir)
    assert Keeper(store, tmp_path / "kept").bring_back() == [runs[1].id]


def test_a_run_deleted_before_the_first_look_stays_deleted(store: RunStore, tmp_path: Path) -> None:
    folder, run = tmp_path / "kept", a_run(store)
    Keeper(store, folder).look()
    again = Keeper(store, folder)
    again.bring_back()
    store.delete(run.id)
    again.look()
    assert archives(folder) == []


def test_a_run_that_cannot_be_kept_stops_no_other(store: RunStore, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    for _ in range(2):
        a_run(store)
    first, second = store.list()
    (first.path / "broken").symlink_to("nowhere")
    Keeper(store, folder).look()
    assert [name.rpartition("-")[0] for name in archives(folder)] == [second.id]


def test_a_run_at_work_is_kept_with_its_checkpoints(store: RunStore, tmp_path: Path) -> None:
    folder, run = tmp_path / "kept", a_run(store)
    lock = take_lock(run.lock)
    assert lock is not None
    try:
        keeper = Keeper(store, folder)
        keeper.look()
        assert not folder.exists()
        (run.checkpoints / "step-10").mkdir(parents=True)
        (run.checkpoints / "step-10" / "state.pt").write_bytes(b"state")
        keeper.look()
        with run.events.open("a") as events:
            events.write("{}\n")
        first = archives(folder)
        keeper.look()
        assert len(first) == 1 and archives(folder) == first
    finally:
        os.close(lock)
    shutil.rmtree(store.runs_dir)
    assert Keeper(store, folder).bring_back() == [run.id]
    assert store.get(run.id).checkpoint == 10 and not store.get(run.id).lock.exists()


@pytest.mark.parametrize("size", [0, 512, 200_000])
def test_an_archive_that_was_cut_off_is_not_taken_for_a_run(store: RunStore, tmp_path: Path, size: int) -> None:
    folder, run = tmp_path / "kept", a_run(store)
    Keeper(store, folder).look()
    path = next(folder.iterdir())
    newer = path.with_name(f"{run.id}-9999999999999999999.tar")
    newer.write_bytes(path.read_bytes()[:size])
    before = written(run)
    shutil.rmtree(store.runs_dir)
    assert Keeper(store, folder).bring_back() == [run.id] and written(store.get(run.id)) == before
    shutil.rmtree(store.runs_dir)
    path.unlink()
    assert Keeper(store, folder).bring_back() == [] and store.list() == []
    assert not any(store.runs_dir.iterdir())


def test_an_archive_reaches_nothing_outside_its_run(store: RunStore, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    with tarfile.open(folder / "20260101-000000-000000000000-1.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../../escaped"))
        archive.addfile(tarfile.TarInfo(".whole"))
    assert Keeper(store, folder).bring_back() == [] and not (tmp_path / "escaped").exists()


def test_the_thread_keeps_looking(store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SECONDS", 0.01)
    folder = tmp_path / "kept"
    folder.write_text("in the way")  # at first nothing can be written
    stop = Keeper(store, folder).start()
    a_run(store)
    folder.unlink()
    deadline = 500
    while not folder.is_dir() or not archives(folder):
        deadline -= 1
        assert deadline, "nothing was kept"
        keeping.threading.Event().wait(0.01)
    stop()
