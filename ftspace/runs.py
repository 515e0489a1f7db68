"""Runs on disk: their folders, their ids, and what became of them. Knows no process, no torch and no screen.

A run is one folder (docs/glossary.md). Its state is a fold over its events, plus two facts about now: whether a process
holds its lock or it has a ticket. `RunReader` keeps the offset, so looking again costs the new lines only.
"""

import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from pydantic_core import from_json

from ftspace.access import Access, Visitor
from ftspace.config import RunConfig, parse_config
from ftspace.disk import remove
from ftspace.errors import DiskError, JobError
from ftspace.events import Event, JobName, read_events
from ftspace.reasons import last_lines
from ftspace.redact import redact
from ftspace.state import RunState, Status

TIME_LIMIT = "time_limit"
"""What is written into the stop flag of a run that was at work for as long as the machine lets one be."""

_TAIL_BYTES = 20_000
_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{12}")
NEW, GONE = ".new-", ".gone-"
"""How the names of folders begin that are no runs yet, or none any more."""


@lru_cache(maxsize=256)
def _config(path: Path, _changed: int, _size: int) -> RunConfig:
    """A run's config, which pages ask for again and again; a file of another time or size is read anew."""
    return parse_config(from_json(path.read_bytes()), where=f"run {path.parent.name.removeprefix(NEW)}")


@dataclass(frozen=True)
class Run:
    """One run's folder and the names of what lies in it."""

    path: Path

    @property
    def id(self) -> str:
        """The run's id, which is its folder's name once it is whole."""
        return self.path.name.removeprefix(NEW)

    @cached_property
    def config(self) -> RunConfig:
        """The run's config, as written before its first job. Raises JobError when it cannot be read."""
        path = self.path / "config.json"
        try:
            stat = path.stat()
            return _config(path, stat.st_mtime_ns, stat.st_size)
        except (OSError, ValueError) as error:
            raise JobError(
                f"run {self.id} has no readable config.json; delete it: ftspace runs delete {self.id}"
            ) from error

    @property
    def access(self) -> Access:
        """Whose the run is and who may see it; the local owner's alone where the file is not there or torn."""
        try:
            return Access.model_validate_json((self.path / "access.json").read_bytes())
        except (OSError, ValueError):
            return Access()

    def share(self, *, public: bool) -> None:
        """Lets all see the run, or only its owner again. Raises DiskError."""
        beside = self.path / f".access-{secrets.token_hex(4)}"
        try:
            beside.write_text(self.access.model_copy(update={"public": public}).model_dump_json() + "\n")
            beside.replace(self.path / "access.json")
        except OSError as error:
            raise DiskError(f"who may see run {self.id} cannot be written: {error.strerror}") from error

    @property
    def jobs(self) -> list[JobName]:
        """The jobs that make the run, in their order."""
        return ["train", "evaluate"] if self.config.eval.tasks else ["train"]

    @property
    def elsewhere(self) -> bool:
        """Whether its jobs run on other machines, so that it needs nothing of this one's slots."""
        return self.config.launch.launcher == "hf-jobs"

    @property
    def events(self) -> Path:
        """The jobs' events, one JSON line each."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """What the jobs' processes printed."""
        return self.path / "worker.log"

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of it, secrets taken out; empty when there is none to read."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                return redact(last_lines(file.read(), lines))
        except OSError:
            return ""

    @property
    def data(self) -> Path:
        """The prepared split."""
        return self.path / "data"

    @property
    def cache(self) -> Path:
        """What runs have in common and can be made again; it may be deleted at any time."""
        return self.path.parent.parent / "cache"

    @property
    def adapter(self) -> Path:
        """The tuned adapter; the folder exists only when it is whole."""
        return self.path / "adapter"

    @property
    def adapter_stamp(self) -> str:
        """Changes with the adapter's weights; "" where there are none."""
        found = [path.stat() for path in self.adapter.glob("*.safetensors")]
        return f"{sum(one.st_size for one in found)}-{max(one.st_mtime_ns for one in found)}" if found else ""

    @property
    def merged(self) -> Path:
        """Where the app keeps the merged model that somebody asked for: it can be made again, so it is a cache's."""
        return self.cache / "merged" / self.id

    @property
    def checkpoints(self) -> Path:
        """States to resume from, one folder each; a folder exists only when it is whole."""
        return self.path / "checkpoints"

    @property
    def checkpoint(self) -> int | None:
        """The step of the newest checkpoint."""
        kept = [int(path.name.removeprefix("step-")) for path in self.checkpoints.glob("step-*[0-9]")]
        return max(kept, default=None)

    def go_on(self) -> str:
        """How to go on with the training, in words."""
        step = self.checkpoint
        place = "from the beginning" if step is None else f"from the checkpoint of step {step}"
        return f"go on {place}: ftspace runs resume {self.id}"

    @property
    def evals(self) -> Path:
        """The evaluation logs, one folder a task."""
        return self.path / "evals"

    @property
    def chats(self) -> Path:
        """What its owner asked its models, and the answers."""
        return self.path / "chats.jsonl"

    @property
    def results(self) -> Path:
        """Rows and verdict."""
        return self.path / "results.json"

    @property
    def lock(self) -> Path:
        """Held (flock) by the run's processes for as long as one of them lives."""
        return self.path / "lock"

    @property
    def ticket(self) -> Path:
        """Exists from the wish to have the run worked on until it is over; its order among others is in it."""
        return self.path / "ticket.json"

    @property
    def stop_flag(self) -> Path:
        """Exists once somebody asked the run to stop."""
        return self.path / "stop"

    def time_is_up(self) -> str:
        """What became of a run that was stopped because it was at work for too long; "" when it was not."""
        try:
            if self.stop_flag.read_text() != TIME_LIMIT:
                return ""
        except OSError:
            return ""
        saved = "its adapter is saved" if self.adapter.exists() else "no adapter was saved yet"
        return (
            "stopped, for the run was at work for as long as this machine lets one be (FTSPACE_MAX_MINUTES); "
            f"{saved}; {self.go_on()}"
        )

    def is_alive(self) -> bool:
        """Whether a process is at work on the run."""
        return is_held(self.lock)

    def is_waiting(self) -> bool:
        """Whether the run waits for its turn: it has a ticket, and nobody is at work on it."""
        return self.ticket.exists() and not self.is_alive()


def is_held(lock: Path) -> bool:
    """Whether some process holds a lock (flock) exclusively."""
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)  # a run is looked at on a read-only disk, too
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def take_lock(lock: Path, tries: int = 1) -> int | None:
    """A lock (flock), held, as an open file; None when another holds it.

    Somebody may have it for the instant in which he looks: `tries` says how often it is tried.
    """
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with ExitStack() as not_taken:
        not_taken.callback(os.close, fd)
        for _ in range(tries):
            with suppress(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                not_taken.pop_all()
                return fd
            time.sleep(0.05 if tries > 1 else 0)
    return None


def is_run_id(text: str) -> bool:
    """Whether a text has the form of a run's id."""
    return _RUN_ID.fullmatch(text) is not None


class RunStore:
    """All runs below one folder."""

    def __init__(self, runs_dir: Path) -> None:
        """`runs_dir` is made when the first run is."""
        self.runs_dir = runs_dir

    def create(
        self,
        config: RunConfig,
        access: Access = Access(),  # noqa: B008  (frozen)
        fill: Callable[[Run], object] = lambda _: None,
    ) -> Run:
        """A new run with its config and its owner written, not yet started; `fill` puts in what else it begins with.

        Its folder has its name only when it is whole, and goes where `fill` raises anything. Raises DiskError.
        """
        run_id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(6)}"
        building = self.runs_dir / (NEW + run_id)
        try:
            building.mkdir(parents=True, mode=0o700)
            (building / "config.json").write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
            (building / "access.json").write_text(access.model_dump_json() + "\n", encoding="utf-8")
            (building / "events.jsonl").touch(mode=0o600)  # a disk that can hold no more files can then be told of
            fill(Run(building))
            building.rename(self.runs_dir / run_id)
        except OSError as error:
            raise DiskError(
                f"cannot write a run in {self.runs_dir}: {error.strerror}; make room (ftspace runs gc), or name "
                "another folder with --data-dir or FTSPACE_DATA"
            ) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return Run(self.runs_dir / run_id)

    def get(self, run_id: str) -> Run:
        """The run of an id. Raises JobError for what is no id of a run here."""
        path = self.runs_dir / run_id if _RUN_ID.fullmatch(run_id) else None
        if path is None or not path.is_dir():
            raise JobError(f"there is no run {run_id!r} in {self.runs_dir}; see: ftspace runs list")
        return Run(path)

    def visible(self, run_id: str, visitor: Visitor) -> Run:
        """The run of an id that a visitor may see. Raises JobError, in the same words, for one that is not there."""
        path = self.runs_dir / run_id if is_run_id(run_id) else None
        if path is None or not path.is_dir() or not visitor.may_see(Run(path).access):
            raise JobError(f"there is no run {run_id!r} that its owner may see; see: ftspace runs list")
        return Run(path)

    def list(self) -> list[Run]:
        """All runs, newest first."""
        if not self.runs_dir.is_dir():
            return []
        names = [entry.name for entry in os.scandir(self.runs_dir) if _RUN_ID.fullmatch(entry.name)]
        return [Run(self.runs_dir / name) for name in sorted(names, reverse=True)]

    def ticketed(self) -> Sequence[Run]:
        """The runs with a ticket, in no order; asked often, so it looks no further than that."""
        try:
            names = [entry.name for entry in os.scandir(self.runs_dir) if _RUN_ID.fullmatch(entry.name)]
        except FileNotFoundError:
            return []
        return [
            Run(self.runs_dir / name) for name in names if os.access(f"{self.runs_dir}/{name}/ticket.json", os.F_OK)
        ]

    def delete(self, run_id: str) -> None:
        """Removes a run and everything in it.

        Raises JobError while a process is at work on it or it waits for one, DiskError when it cannot be removed.
        """
        going = self.runs_dir / (GONE + run_id)
        self.move(run_id, going)
        try:
            remove(going)
            remove(Run(self.runs_dir / run_id).merged)
        except OSError as error:
            raise DiskError(
                f"run {run_id} is deleted, but {error.filename or going} cannot be removed: {error.strerror}; what is "
                "left goes with the next: ftspace runs gc"
            ) from error

    def move(self, run_id: str, place: Path) -> None:
        """Makes a run's folder another one on the same disk, in one step, so that it is no run here any more.

        Raises JobError while a process is at work on it or it waits for one, DiskError when it cannot be moved.
        """
        run = self.get(run_id)
        lock = None
        others: list[int] = []
        try:
            try:
                lock = take_lock(run.lock, tries=3)
            except OSError:
                if run.lock.exists():  # else the disk is full, and holds no new file
                    raise
            if lock is None and run.lock.exists():
                raise JobError(f"run {run_id} is at work; stop it first: ftspace runs stop {run_id}")
            if run.ticket.exists():  # looked at under the lock, without which nobody sets to work on it
                raise JobError(f"run {run_id} is waiting for its turn; stop it first: ftspace runs stop {run_id}")
            merges = (self.runs_dir.parent / "errands" / "merge" / run_id).glob("lock")
            pushes = run.path.glob("push/*/lock")
            for path, doing in (*((one, "pushed") for one in pushes), *((one, "merged") for one in merges)):
                if (held := take_lock(path, tries=3)) is None:
                    raise JobError(f"run {run_id} is being {doing}; wait for that, or stop it")
                others.append(held)
            run.path.rename(place)
        except OSError as error:
            raise DiskError(f"run {run_id} cannot be removed from {self.runs_dir}: {error.strerror}") from error
        finally:
            for fd in (*others, *([] if lock is None else [lock])):
                os.close(fd)


class RunReader:
    """Follows one run: each `refresh` reads only what was appended since the last."""

    def __init__(self, run: Run) -> None:
        """Nothing is read before the first refresh."""
        self.run = run
        self.state = RunState()
        self._offset = 0

    def refresh(self) -> list[Event]:
        """Takes in the new events and returns them."""
        events, self._offset = read_events(self.run.events, self._offset)
        for event in events:
            self.state.apply(event)
        return events

    def status(self) -> Status:
        """The run's status now. Looks at ticket and lock first: what was written before they went is then read too."""
        ticket, alive = self.run.ticket.exists(), self.run.is_alive()
        self.refresh()
        stop = self.run.stop_flag.exists()
        return self.state.status(self.run.jobs, alive=alive, stop_requested=stop, ticket=ticket)
