"""Checkpoints on disk: whole, or passed over for the one before. No model here."""

import json
import os
from pathlib import Path

import pytest

from ftspace.training import checkpoints
from ftspace.training.checkpoints import MANIFEST, Belongs, drop_from, name, newest, prune, steps, write
from ftspace.training.folders import put, restore

MINE = Belongs(config={}, data="d")


def fill(folder: Path) -> None:
    (folder / "weights").write_bytes(os.urandom(1000))
    (folder / "state").write_text("{}")


def make(store: Path, *made: int, best: int | None = None) -> None:
    for step in made:
        write(store, step, MINE, fill, best)


def cut(folder: Path) -> None:
    (folder / "weights").write_bytes((folder / "weights").read_bytes()[:-1])


def alter(folder: Path) -> None:
    content = bytearray((folder / "weights").read_bytes())
    content[500] ^= 1
    (folder / "weights").write_bytes(content)


def lose(folder: Path) -> None:
    (folder / "state").unlink()


def tear_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text()[:-20])


def lose_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def rename(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"step": 7}))


def another_format(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"version": 99}))


@pytest.mark.parametrize("harm", [cut, alter, lose, tear_manifest, lose_manifest, rename, another_format])
def test_a_harmed_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, harm) -> None:
    make(tmp_path, 5, 10)
    said: list[str] = []
    found = newest(tmp_path, said.append)
    assert found is not None and found.step == 10 and said == []
    assert found.bytes == 1002 and found.manifest.belongs == MINE
    harm(tmp_path / name(10))
    found = newest(tmp_path, said.append)
    assert found is not None and found.step == 5
    assert len(said) == 1 and "step 10 is passed over" in said[0]
    harm(tmp_path / name(5))
    assert newest(tmp_path, said.append) is None


def test_what_was_being_written_is_no_checkpoint_and_is_cleared_away(tmp_path: Path) -> None:
    make(tmp_path, 5)

    def fail(folder: Path) -> None:
        fill(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write(tmp_path, 10, MINE, fail)
    assert [path.name for path in tmp_path.iterdir()] == [name(5)]
    for clear in (lambda: prune(tmp_path, 2), lambda: newest(tmp_path, lambda said: None)):
        for begun in (".new-step-000010", ".old-gone-1"):
            (tmp_path / begun).mkdir()
            fill(tmp_path / begun)
        clear()
        assert [path.name for path in tmp_path.iterdir()] == [name(5)]
    assert newest(tmp_path, lambda said: None) == checkpoints.read(tmp_path, 5)


def test_the_newest_are_kept_and_the_best_that_they_know_of(tmp_path: Path) -> None:
    make(tmp_path, 0, 1)
    make(tmp_path, 2, 3, best=2)
    make(tmp_path, 4, best=3)
    make(tmp_path, 1_000_000, best=3)
    prune(tmp_path, 1, spare=[0, None])
    assert steps(tmp_path) == [1_000_000, 3, 0]
    drop_from(tmp_path, 3)
    assert steps(tmp_path) == [0]
    assert [path.name for path in tmp_path.iterdir()] == [name(0)]


def test_a_folder_is_lost_only_when_the_new_one_is_in_its_place(tmp_path: Path) -> None:
    target, building = tmp_path / "adapter", tmp_path / ".building"
    for content in ("first", "second"):
        building.mkdir()
        (building / "file").write_text(content)
        put(building, target)
        assert (target / "file").read_text() == content
        assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
    target.rename(tmp_path / ".old-adapter")  # as `put` does before the new one is renamed
    restore(target)
    restore(target)
    assert (target / "file").read_text() == "second"
