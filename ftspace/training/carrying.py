"""A checkpoint of the first process's, brought to machines that have not got it. Knows folders and the group, no torch.

Each machine that has a run of its own writes its checkpoints too; one that joins a resume may have none, or others.
"""

import shutil
from pathlib import Path

from ftspace.training import checkpoints
from ftspace.training.alone import Alone
from ftspace.training.checkpoints import Checkpoint, Torn
from ftspace.training.folders import put


def carried(group: Alone, store: Path, found: Checkpoint | None, *, writes: bool) -> Checkpoint | None:
    """The checkpoint that the first process has found, everywhere; None when it has found none.

    `found` is this process's own; `writes` says whether the store is this process's to write.
    """
    first = group.first(found and found.manifest)
    if first is None or group.alone:
        return found if first else None
    mine = found if found and found.manifest == first else _at(store, first)
    if any(group.all(mine is None)):
        files = [found.path / name for name in (*first.files, checkpoints.MANIFEST)] if group.is_first and found else []
        arriving = store / f".new-{checkpoints.name(first.step)}" if mine is None and writes else None
        if arriving:
            shutil.rmtree(arriving, ignore_errors=True)
            arriving.mkdir(parents=True)
        group.carry(files, arriving)
        if arriving:
            put(arriving, store / checkpoints.name(first.step))
        group.all(None)  # those who share the folder look only now
    return mine or checkpoints.read(store, first.step)


def _at(store: Path, wanted: checkpoints.Manifest) -> Checkpoint | None:
    try:
        there = checkpoints.read(store, wanted.step)
    except Torn:
        return None
    return there if there.manifest == wanted else None
