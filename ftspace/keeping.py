"""Keeps runs where they outlive this machine: one archive a run, in the folder that FTSPACE_KEEP names.

For places such as a Space's storage bucket, where files can only be written whole, without locks or renaming, and in
which no run could be at work. Runs lie on the machine's own disk; what was archived comes back when the app starts
there anew. `RUN-TIME.tar` is whole when its last member is there; an older one goes when the next is whole.
"""

import io
import logging
import os
import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from ftspace.errors import FtspaceError
from ftspace.runs import NEW, Run, RunStore, is_run_id

SECONDS = 60.0
"""Between two looks at what has changed."""
_LAST = ".whole"
_FLEETING = ("lock", "ticket.json", "stop")
"""What says that somebody is at work, which is not so where a run comes back."""

_WRONG = (OSError, ValueError, tarfile.TarError, FtspaceError)

log = logging.getLogger(__name__)


class Keeper:
    """Brings runs back, and archives those that changed. One at a time for a folder."""

    def __init__(self, store: RunStore, folder: Path) -> None:
        """Nothing is read or written yet."""
        self._store = store
        self._folder = folder
        self._seen: dict[str, int] = {}
        """Runs that lie here, and how new what was archived of them is."""

    def bring_back(self) -> list[str]:
        """Makes the runs again that are archived and not here; their ids."""
        here = {run.id for run in self._store.list()}
        self._seen = dict.fromkeys(here, 0)
        found = [run_id for run_id in sorted(self._archives()) if run_id not in here and self._unpack(run_id)]
        self._seen |= {run_id: _newest(self._store.get(run_id), alive=False) for run_id in found}
        return found

    def look(self) -> None:
        """Archives every run that changed, one at work by its checkpoints, and forgets those deleted here."""
        if not self._store.runs_dir.is_dir():
            return
        runs = self._store.list()
        for run_id in self._seen.keys() - {run.id for run in runs}:
            with self._by_itself(run_id):
                for path in self._archives().get(run_id, []):
                    path.unlink(missing_ok=True)
                del self._seen[run_id]
        for run in runs:
            with self._by_itself(run.id):
                newest = _newest(run, alive=run.is_alive() or run.is_waiting())
                if newest > self._seen.setdefault(run.id, 0):
                    self._archive(run)
                    self._seen[run.id] = newest

    @contextmanager
    def _by_itself(self, run_id: str) -> Generator[None]:
        """Has what goes wrong with one run be told, and the others go on."""
        try:
            yield
        except _WRONG as error:  # a checkpoint that went meanwhile, or a bucket that cannot be reached
            log.warning("run %s is not kept in %s now: %s", run_id, self._folder, error)

    def start(self) -> Callable[[], None]:
        """Looks again and again in a thread, until what it gives is called."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(SECONDS):
                try:
                    self.look()
                except Exception:  # the outer edge of the thread: it looks again
                    log.exception("runs cannot be kept in %s now", self._folder)

        thread = threading.Thread(target=work, name="keeping", daemon=True)
        thread.start()
        return over.set

    def _archive(self, run: Run) -> None:
        older = self._archives().get(run.id, [])
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{run.id}-{time.time_ns()}.tar"
        try:
            with path.open("wb") as file, tarfile.open(fileobj=file, mode="w|") as archive:
                for name in sorted(_files(run.path)):
                    archive.add(run.path / name, name, recursive=False)
                archive.addfile(tarfile.TarInfo(_LAST), io.BytesIO())
        except _WRONG:
            path.unlink(missing_ok=True)
            raise
        for one in older:
            one.unlink(missing_ok=True)

    def _archives(self) -> dict[str, list[Path]]:
        """The archives of each run, newest first."""
        found: dict[str, list[Path]] = {}
        for path in sorted(self._folder.glob("*.tar"), reverse=True):
            if run_id := run_of(path.name):
                found.setdefault(run_id, []).append(path)
        return found

    def _unpack(self, run_id: str) -> bool:
        """Makes a run of its newest whole archive; False where there is none."""
        building = self._store.runs_dir / (NEW + run_id)
        for path in self._archives()[run_id]:
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(parents=True, mode=0o700)
            try:
                with tarfile.open(path) as archive:
                    archive.extractall(building, filter="data")
                (building / _LAST).unlink()
            except (OSError, tarfile.TarError) as error:
                log.warning("%s is not whole, and is left where it is: %s", path, error)
                continue
            building.rename(self._store.runs_dir / run_id)
            return True
        shutil.rmtree(building, ignore_errors=True)
        return False


def run_of(name: str) -> str | None:
    """The id of the run that an archive of this name holds; None for what is none of ours."""
    run_id, _, time_ns = name.removesuffix(".tar").rpartition("-")
    return run_id if name.endswith(".tar") and time_ns.isdecimal() and is_run_id(run_id) else None


def _files(folder: Path) -> list[str]:
    """The files of a run that stay, by their names in it."""
    return [
        str((Path(place) / name).relative_to(folder))
        for place, _, names in os.walk(folder)
        for name in names
        if name not in _FLEETING
    ]


def _newest(run: Run, *, alive: bool) -> int:
    """When anything of a run was changed last; of one at work, when its checkpoints were. 0 for nothing."""
    folder = run.checkpoints if alive else run.path
    times = [(folder / name).stat().st_mtime_ns for name in _files(folder)]
    return max(times, default=0)
