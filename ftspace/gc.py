"""Frees what runs have left on the disk and nobody needs any more; says how much. The command `runs gc`.

Under a run's lock things are only renamed, to `.gone-` beside the runs; they are removed after it, by this gc or, when
that is cut off, by the next. A run that is at work or waits for the machine is not touched.
"""

import argparse
import fcntl
import json
import os
import secrets
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

from ftspace.console import stderr, stdout
from ftspace.disk import bytes_of, remove
from ftspace.errors import FtspaceError
from ftspace.events import RESERVE
from ftspace.runs import GONE, NEW, Run, RunReader, RunStore, take_lock
from ftspace.settings import Settings, resolve_local
from ftspace.trash import Trash

Kind = Literal["leftovers", "deleted", "checkpoints", "caches", "uploads"]
KINDS: dict[Kind, str] = {
    "leftovers": "what was cut off while it was written or removed",
    "deleted": "deleted runs, which could be restored until now",
    "checkpoints": "checkpoints of finished runs; their adapters stay",
    "caches": "tokens, answers of bases, measurements, merged models and files of pushes, which are made again when "
    "needed",
    "uploads": "uploaded files that no run names",
}
DAYS = 30.0
"""Age from which a cache that was not used goes."""
BEGUN_SECONDS = 3600.0
"""What is younger may still be written by somebody."""
UPLOAD_SECONDS = 24 * 3600.0
"""A younger upload may belong to a page on which Start is still to be pressed."""
_TICKET = "ticket.json"
"""In the folder of a run that waits."""
_BEGUN = (".access-*", ".stop-*", ".old-*", ".adapter-building", ".room", RESERVE, ".*.json.*", ".*.md.*", ".*.csv.*")
_BEGUN_BELOW = ("data/.gathering-*", "data/tokens/.new-*", "checkpoints/.*", "evals/*/.*")
_OLD, _OLD_GONE = ".old-", ".old-gone-"
"""What was moved aside for its successor, and is taken back where that did not come; and what was to be removed."""


@dataclass
class Freed:
    """What was removed, or would be."""

    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    bytes: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    passed: list[str] = field(default_factory=list[str])
    """What was not touched, and why."""

    @property
    def total(self) -> int:
        """All bytes."""
        return sum(self.bytes.values())

    def model(self, *, dry_run: bool) -> dict[str, Any]:
        """As JSON."""
        kinds = [{"kind": kind, "count": self.counts[kind], "bytes": self.bytes[kind]} for kind in KINDS]
        return {"dry_run": dry_run, "freed": kinds, "bytes": self.total, "passed": self.passed}


class Sweep:
    """One gc over a data folder."""

    def __init__(self, data_dir: Path, *, dry_run: bool = False, days: float = DAYS, everything: bool = False) -> None:
        self._data_dir, self._store = data_dir, RunStore(data_dir / "runs")
        self._dry_run, self._days, self._all = dry_run, days, everything
        self._now = time.time()
        self.freed = Freed()

    def go(self) -> Freed:
        """Looks at everything once."""
        runs_dir = self._store.runs_dir
        self._take("leftovers", runs_dir.glob(f"{GONE}*"))
        self._deleted()
        begun = [path for path in runs_dir.glob(f"{NEW}*") if not Run(path).is_alive()]  # an import holds its own
        self._take("leftovers", filter(self._is_old, begun))
        for run in self._store.list():
            self._run(run)
        self._caches()
        uploads = self._data_dir / "uploads"
        self._take("leftovers", filter(self._is_old, (*uploads.glob(".*"), *uploads.glob("*/.*"))))
        if self._all:
            self._uploads(uploads)
        return self.freed

    def _deleted(self) -> None:
        trash = Trash(self._store)
        for one in trash.list():
            size = bytes_of(one.run.path)
            if self._dry_run or trash.drop(one):
                self._count("deleted", size)
            else:
                self.freed.passed.append(f"deleted run {one.id}: it cannot be removed")

    def _run(self, run: Run) -> None:
        with _at_rest(run) as why_not:
            if why_not:
                self.freed.passed.append(f"run {run.id}: {why_not}")
                return
            begun = {path for pattern in (*_BEGUN, *_BEGUN_BELOW) for path in run.path.glob(pattern)}
            begun = filter(_is_left_over, sorted(begun))
            gone = self._aside("leftovers", run, [*begun, *_torn(run)])
            if _is_finished(run):
                gone += self._aside("checkpoints", run, run.checkpoints.glob("step-*"))
                gone += self._aside("caches", run, run.data.glob("tokens"))
            gone += self._pushes(run)
        for path in gone:
            self._remove(path)

    def _pushes(self, run: Run) -> list[Path]:
        """What pushes that are over have built, and would build again."""
        gone: list[Path] = []
        for lock in sorted(run.path.glob("push/*/lock")):
            if (held := take_lock(lock, tries=3)) is None:
                self.freed.passed.append(f"run {run.id}: its {lock.parent.name} is being pushed")
                continue
            gone += self._aside("leftovers", run, (*lock.parent.glob("record.new"), *lock.parent.glob(".bundle*")))
            gone += self._aside("caches", run, lock.parent.glob("bundle"))
            os.close(held)
        return gone

    def _caches(self) -> None:
        cache = self._data_dir / "cache"
        youngest = self._now - (self._days * 86400 if not self._all else BEGUN_SECONDS)
        tokens = [path for path in cache.glob("tokens/*") if not path.name.startswith(".")]
        self._take("caches", [path for path in tokens if _used(path) < youngest])
        kept = (*cache.glob("merged/[!.]*"), *cache.glob("base/[!.]*"), *self._data_dir.glob("sweeps/*.rows"))
        self._take("caches", [path for path in kept if _used(path) < youngest])
        begun = (*cache.glob("tokens/.*"), *cache.glob("merged/.[0-9]*"), *cache.glob("base/.*"))
        self._take("leftovers", filter(self._is_old, begun))
        if self._all:
            self._take("caches", cache.glob("machine.json"))

    def _uploads(self, folder: Path) -> None:
        """Those that no run names; none while a run cannot be read, which may name any."""
        named: set[Path] = set()
        for run in self._store.list():
            try:
                config = run.config
            except FtspaceError as error:
                self.freed.passed.append(f"uploads: {error}")
                return
            asked = (*config.eval.tasks, *config.eval.forgetting)
            paths = (resolve_local(name) for name in (config.model.id, config.data.id, *asked))
            named |= {path.resolve() for path in paths if path}
        kept = (*folder.glob("[!.]*"), *folder.glob("*/[!.]*"))  # of this and of each owner
        unnamed = [path for path in kept if path.is_file() and path.resolve() not in named]
        self._take("uploads", [path for path in unnamed if _used(path) < self._now - UPLOAD_SECONDS])

    def _is_old(self, path: Path) -> bool:
        return _used(path) < self._now - BEGUN_SECONDS

    def _aside(self, kind: Kind, run: Run, paths: Iterable[Path]) -> list[Path]:
        """Counts paths of a run, and renames them to where they are to be removed."""
        moved: list[Path] = []
        for path in paths:
            size = bytes_of(path)
            place = self._store.runs_dir / f"{GONE}{run.id}-{secrets.token_hex(4)}"
            try:
                if not self._dry_run:
                    path.rename(place)
                    moved.append(place)
            except OSError as error:
                self.freed.passed.append(f"{path}: {error.strerror}")
                continue
            self._count(kind, size)
        return moved

    def _take(self, kind: Kind, paths: Iterable[Path]) -> None:
        """Counts and removes."""
        for path in paths:
            size = bytes_of(path)
            if self._dry_run or self._remove(path):
                self._count(kind, size)

    def _remove(self, path: Path) -> bool:
        try:
            remove(path)
        except FileNotFoundError:  # somebody else was faster
            return False
        except OSError as error:
            self.freed.passed.append(f"{error.filename or path}: {error.strerror}")
            return False
        return True

    def _count(self, kind: Kind, size: int) -> None:
        self.freed.counts[kind] += 1
        self.freed.bytes[kind] += size


@contextmanager
def _at_rest(run: Run) -> Generator[str]:
    """Holds the run's lock, so that nobody sets to work on it; gives why it is not to be touched, "" when it is."""
    try:
        fd = os.open(run.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        yield error.strerror or str(error)
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield "it is at work"
    else:
        yield "it waits for the machine" if (run.path / _TICKET).exists() else ""
    finally:
        os.close(fd)


def _is_left_over(path: Path) -> bool:
    if not path.name.startswith(_OLD) or path.name.startswith(_OLD_GONE):
        return True
    return path.with_name(path.name.removeprefix(_OLD)).exists()


def _is_finished(run: Run) -> bool:
    reader = RunReader(run)
    try:
        reader.refresh()
        end = reader.state.end(run.jobs)
    except (FtspaceError, OSError):
        return False
    return end is not None and end.status == "finished"


def _torn(run: Run) -> list[Path]:
    """Checkpoints that cannot be taken up, by the sizes of their files."""
    from ftspace.training.checkpoints import is_torn

    return [path for path in run.checkpoints.glob("step-*") if is_torn(path)]


def _used(path: Path) -> float:
    """When something was written or taken up last."""
    with suppress(OSError):
        return max(one.stat().st_mtime for one in (path, path / "info.json") if one.exists())
    return time.time()


def add_gc(actions: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `runs gc`."""
    text = "free the disk of what nobody needs any more, and say how much"
    parser = actions.add_parser(
        "gc",
        help=text,
        parents=[where],
        description=f"Removes {KINDS['leftovers']}; {KINDS['deleted']}; {KINDS['checkpoints']}; {KINDS['caches']}, "
        f"when they were not used for {DAYS:g} days. With --all caches of any age go, and {KINDS['uploads']}. Runs at "
        "work or waiting are not touched, nor what is needed to go on with a run.",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument(
        "--days", type=float, default=DAYS, metavar="N", help=f"age of caches to go (default: {DAYS:g})"
    )
    parser.add_argument("--all", action="store_true", help="caches of any age, and uploads that no run names")
    parser.add_argument("--json", action="store_true", help="print JSON")


def gc(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace runs gc`."""
    freed = Sweep(settings.data_dir, dry_run=parsed.dry_run, days=parsed.days, everything=parsed.all).go()
    for said in freed.passed:
        stderr.print(f"not touched: {said}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if parsed.json:
        stdout.file.write(json.dumps(freed.model(dry_run=parsed.dry_run), indent=2) + "\n")
        return 0
    table = Table("to be freed" if parsed.dry_run else "freed", "how many", "MB")
    for kind, words in KINDS.items():
        table.add_row(words, f"{freed.counts[kind]:,}", f"{freed.bytes[kind] / 1e6:,.1f}")
    table.add_row("together", f"{sum(freed.counts.values()):,}", f"{freed.total / 1e6:,.1f}", style="bold")
    stdout.print(table)
    return 0
