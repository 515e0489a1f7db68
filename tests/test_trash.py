import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from ftspace import jobs, trash
from ftspace.access import Access
from ftspace.config import default_config
from ftspace.errors import DiskError, JobError
from ftspace.labels import Label, write_label
from ftspace.runs import Run, RunStore, take_lock
from ftspace.trash import DAYS, Trash


def a_run(store: RunStore) -> Run:
    run = store.create(default_config())
    run.adapter.mkdir()
    (run.adapter / "weights").write_bytes(b"w" * 1000)
    return run


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_a_deleted_run_is_no_run_and_comes_back_as_it_was(store: RunStore) -> None:
    run, other = a_run(store), a_run(store)
    write_label(run, Label(title="mine"))
    before = files(run.path) | {"lock": b""}
    deleted = Trash(store).put(run.id)
    assert [one.id for one in store.list()] == [other.id]
    with pytest.raises(JobError, match="no run"):
        store.get(run.id)
    (found,) = Trash(store).list()
    assert found == deleted and (found.id, found.name) == (run.id, "mine")
    assert files(found.run.path) == before and DAYS - 1 < found.days_left <= DAYS
    assert Trash(store).restore(run.id).config == run.config
    assert files(store.get(run.id).path) == before and Trash(store).list() == []
    with pytest.raises(JobError, match="no deleted run"):
        Trash(store).restore(run.id)


def test_a_run_somebody_works_on_is_not_deleted_and_says_what_to_do(store: RunStore) -> None:
    run = a_run(store)
    push = run.path / "push" / "adapter" / "lock"
    push.parent.mkdir(parents=True)
    merge = store.runs_dir.parent / "errands" / "merge" / run.id / "lock"
    merge.parent.mkdir(parents=True)
    for lock, said in ((run.lock, "stop it first"), (push, "being pushed; wait"), (merge, "being merged; wait")):
        held = take_lock(lock)
        assert held is not None
        with pytest.raises(JobError, match=said):
            Trash(store).put(run.id)
        os.close(held)
    run.ticket.touch()
    with pytest.raises(JobError, match="waiting for its turn; stop it first"):
        Trash(store).put(run.id)
    assert store.list() == [run] and Trash(store).list() == []


@pytest.mark.parametrize("run_id", ["", "..", "../x", "20260101-000000-abcdefabcdef", ".trash"])
def test_what_is_no_run_is_neither_deleted_nor_restored(store: RunStore, run_id: str) -> None:
    for act in (Trash(store).put, Trash(store).restore):
        with pytest.raises(JobError, match=r"no (deleted )?run"):
            act(run_id)


def test_either_step_is_one_rename_so_that_nothing_is_ever_half(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(store)
    renamed: list[tuple[Path, Path]] = []
    rename = Path.rename

    def cut_off(self: Path, target: Path) -> Path:
        renamed.append((self, target))
        raise OSError(5, "cut off")

    for act, there in ((Trash(store).put, lambda: store.list()), (Trash(store).restore, lambda: Trash(store).list())):
        whole = files(store.runs_dir) | {str((run.path / "lock").relative_to(store.runs_dir)): b""}
        monkeypatch.setattr(Path, "rename", cut_off)
        with pytest.raises(DiskError):
            act(run.id)
        monkeypatch.setattr(Path, "rename", rename)
        assert len(there()) == 1 and files(store.runs_dir).keys() <= whole.keys()
        act(run.id)
    assert [one.name for pair in renamed for one in pair if one.parent == store.runs_dir] == [run.id] * 2


def test_deleted_runs_go_after_some_days(store: RunStore) -> None:
    bin_, runs = Trash(store), [a_run(store) for _ in range(3)]
    assert bin_.expire() == 0
    for age, run in enumerate(runs):
        one = bin_.put(run.id)
        one.run.path.rename(bin_.path / f"{run.id}.{int(one.time) - age * 4 * 86400}")
    (bin_.path / "not one of ours").mkdir()
    assert bin_.expire() == 1 and [one.id for one in bin_.list()] == [runs[0].id, runs[1].id]
    assert not list(store.runs_dir.glob(".gone-*"))


def test_deleted_runs_go_where_that_is_room_enough_and_the_owners_first(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_, taken = Trash(store), 1 << 20
    runs = [store.create(default_config(), Access(owner=owner)) for owner in ("ann", "ben", "ben")]
    for age, run in enumerate(reversed(runs)):
        (run.path / "weights").write_bytes(b"w" * taken)
        one = bin_.put(run.id)
        one.run.path.rename(bin_.path / f"{run.id}.{int(one.time) - 9 + age}")

    def disk(_: object) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=taken * (3 - len(bin_.list())), f_frsize=1, f_files=0, f_favail=0)

    monkeypatch.setattr(trash.os, "statvfs", disk)
    bin_.make_room(5 * taken, 0, "ben")
    assert len(bin_.list()) == 3, "all together are too little, so none goes"
    wanted = store.create(default_config(), Access(owner="ben"))
    monkeypatch.setattr(jobs, "MIN_FREE_BYTES", 1)
    wanted.ticket.write_text("{}")
    with pytest.raises(JobError, match="already in the queue"):
        jobs.start(wanted)
    assert len(bin_.list()) == 3, "what is refused takes no room"
    bin_.make_room(taken, 0, "ann")
    assert {one.id for one in bin_.list()} == {runs[1].id, runs[2].id}, "though it was deleted last"
    bin_.make_room(2 * taken, 0, "ann")
    assert [one.id for one in bin_.list()] == [runs[1].id], "the oldest of the others"
