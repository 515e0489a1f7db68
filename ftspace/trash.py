"""Runs that were deleted and can still be had back: `.trash/RUN.TIME` beside the runs. Knows no screen.

Deleting and restoring are one rename each, so whoever is cut off leaves the run or the deleted run, never half of
either. A deleted run goes for good after DAYS, with `runs gc`, or when a new run needs its room.
"""

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ftspace.access import LOCAL
from ftspace.disk import bytes_of, remove
from ftspace.errors import DiskError, FtspaceError, JobError
from ftspace.labels import name_of
from ftspace.runs import GONE, Run, RunStore, is_run_id

TRASH = ".trash"
DAYS = 7.0
"""For so long a deleted run can be restored."""
_NAME = re.compile(r"(\d{8}-\d{6}-[0-9a-f]{12})\.(\d{1,12})")


@dataclass(frozen=True)
class Deleted:
    """A deleted run."""

    id: str
    """The id that it had, and has again once it is restored."""
    run: Run
    """Its folder where it lies now, for what is to be read of it; its name is not its id."""
    time: float
    """Unix time of the deletion."""

    @property
    def name(self) -> str:
        """What it was called; its id where that cannot be read."""
        try:
            return name_of(self.run)
        except FtspaceError:
            return self.id

    @property
    def days_left(self) -> float:
        """Days until it may go for good."""
        return DAYS - (time.time() - self.time) / 86400


class Trash:
    """The deleted runs of a store."""

    def __init__(self, store: RunStore) -> None:
        """Its folder is made when the first run is deleted."""
        self._store = store
        self.path = store.runs_dir / TRASH

    def put(self, run_id: str) -> Deleted:
        """Deletes a run so that it can be restored.

        Raises JobError while it is at work, waits or is pushed, DiskError when it cannot be moved.
        """
        now = int(time.time())
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
        except FileNotFoundError:  # no run was ever made here
            self._store.get(run_id)
        except OSError as error:
            raise DiskError(f"run {run_id} cannot be deleted: {error.strerror}: {self.path}") from error
        place = self.path / f"{run_id}.{now}"
        self._store.move(run_id, place)
        return Deleted(run_id, Run(place), now)

    def restore(self, run_id: str) -> Run:
        """Makes a deleted run a run again. Raises JobError for one that is not there, DiskError."""
        found = self.get(run_id)
        place = self._store.runs_dir / run_id
        if place.exists():
            raise JobError(
                f"there is a run {run_id} already, so the deleted one cannot take its place; delete that first"
            )
        try:
            found.run.path.rename(place)
        except OSError as error:
            raise DiskError(f"run {run_id} cannot be restored: {error.strerror}; mend that, and try again") from error
        return Run(place)

    def get(self, run_id: str) -> Deleted:
        """The deleted run of an id. Raises JobError."""
        found = next((one for one in self.list() if one.id == run_id), None) if is_run_id(run_id) else None
        if found is None:
            raise JobError(
                f"there is no deleted run {run_id!r} here; it may have gone for good, see: ftspace runs deleted"
            )
        return found

    def list(self) -> list[Deleted]:
        """All deleted runs, the one deleted last first."""
        with suppress(FileNotFoundError):
            named = [(entry.path, _NAME.fullmatch(entry.name)) for entry in os.scandir(self.path)]
            found = [Deleted(name[1], Run(Path(path)), float(name[2])) for path, name in named if name]
            return sorted(found, key=lambda one: (one.time, one.id), reverse=True)
        return []

    def expire(self, now: float | None = None) -> int:
        """Removes what was deleted more than DAYS ago; how many runs that were. What cannot be removed stays."""
        oldest = (time.time() if now is None else now) - DAYS * 86400
        return sum(self.drop(one) for one in self.list() if one.time < oldest)

    def drop(self, one: Deleted) -> bool:
        """Removes a deleted run for good; whether it did. What is left of one half removed goes with `runs gc`."""
        going = self._store.runs_dir / f"{GONE}{one.run.path.name}"
        with suppress(OSError):
            one.run.path.rename(going)
            remove(going)
            remove(Run(self._store.runs_dir / one.id).merged)
            return True
        return False

    def make_room(self, free: int, files: int, owner: str = LOCAL) -> None:
        """Removes deleted runs until the disk has so many bytes and files free: the owner's first, the oldest first.

        None goes where all of them together are too little.
        """
        gone = sorted(self.list(), key=lambda one: (one.run.access.owner != owner, one.time))
        if self._lacks(free, files, gone):
            return
        for one in gone:
            if not self._lacks(free, files, []):
                return
            self.drop(one)

    def _lacks(self, free: int, files: int, without: Sequence[Deleted]) -> bool:
        """Whether the disk has too little room, were these runs not on it."""
        try:
            disk = os.statvfs(self.path)
            bytes_, count = disk.f_bavail * disk.f_frsize, disk.f_favail
        except OSError:
            return True
        for one in without:
            if bytes_ >= free and (not disk.f_files or count >= files):
                return False
            bytes_ += bytes_of(one.run.path)
            count += sum(1 for _ in one.run.path.rglob("*"))
        return bytes_ < free or bool(disk.f_files and count < files)
