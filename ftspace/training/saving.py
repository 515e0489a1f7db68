"""The adapter, written whole or not at all, with the room that was kept for it. Knows folders, no torch."""

import shutil
from collections.abc import Callable
from pathlib import Path

from ftspace.disk import is_disk_full
from ftspace.training import checkpoints
from ftspace.training.folders import put
from ftspace.workers import Job, no_room

BUILDING = ".adapter-building"


def save_adapter(job: Job, fill: Callable[[Path], None]) -> int:
    """Makes the run's adapter of what `fill` puts into a folder; its bytes.

    Where the room that was kept does not suffice, older checkpoints are given up for it. Raises DiskError.
    """
    job.give_room()
    try:
        return _write(job, fill)
    except Exception as error:
        if not is_disk_full(error):
            raise
        checkpoints.prune(job.run.checkpoints, 1)
    try:
        return _write(job, fill)
    except Exception as error:
        if not is_disk_full(error):
            raise
        raise no_room(job.run, "the adapter is not saved, since the disk is full") from error


def _write(job: Job, fill: Callable[[Path], None]) -> int:
    building = job.run.path / BUILDING
    shutil.rmtree(building, ignore_errors=True)
    try:
        fill(building)
        size = sum(file.stat().st_size for file in building.iterdir())
        put(building, job.run.adapter)
    finally:  # renamed by now, unless something went wrong
        shutil.rmtree(building, ignore_errors=True)
    return size
