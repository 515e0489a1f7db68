"""The life of one job's process: its first and last event, its signals, its errors turned into a reason and a line.

Knows nothing of what a job does: `run_job` is given the work as a function. Knows no torch.
"""

import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType

from evals.errors import one_line
from ftspace.disk import causes, is_disk_full, keep_aside
from ftspace.errors import DiskError, FtspaceError, LostProcessError, MemoryGoneError, Reason
from ftspace.events import Awaiting, EndStatus, Event, EventLog, Finished, JobName, Started
from ftspace.redact import redact
from ftspace.runs import Run
from ftspace.stopping import DISCARDED, is_discarded, remove
from ftspace.streams import guard

OUT_OF_MEMORY = ("DefaultCPUAllocator", "MPS backend out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says where it has no error of its own for it."""
ROOM, ROOM_FILES = ".room", 16
"""Folder that keeps room aside for what the work comes to, and how many files that may have."""
LOST = 77
"""Exit status of a process that misses another of those that train with it: who started them all says what happened."""
AWAY = 75
"""The exit status of a job that left in time and is to be gone on with."""
LIBRARIES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "bitsandbytes", "lighteval")

log = logging.getLogger(__name__)


class Stopped(Exception):
    """Raised by work that noticed a stop where nothing was there to save yet."""


@dataclass(frozen=True)
class Lease:
    """For how long a job may be at work in this process, and for whom."""

    deadline: float
    """On the monotonic clock: the job saves what it has and leaves before."""
    pid: int
    """The process that sees the run through; the job leaves when that is gone."""
    flag: Path
    """A file in whose presence it leaves, too."""


class Job:
    """What a worker sees of the job it is: where to tell events, and whether it should stop."""

    def __init__(self, run: Run, name: JobName, lease: Lease | None = None) -> None:
        """Opens the run's events, and from now on takes SIGTERM for a wish to stop. Raises OSError.

        In a thread beside the main one, which is sent no signals, the wish has to be in the run's folder.
        """
        self.run = run
        self.name: JobName = name
        self.events = EventLog(run.events)
        self.said = ""
        """What is to be known of work that finished, in a sentence; it goes into the last event."""
        self._listen(lease)

    def _listen(self, lease: Lease | None = None) -> None:
        self._terminated = False
        self._agreed: bool | None = None
        self._lease, self._leaving = lease, False
        self._takes: dict[str, float] = {}
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_sigterm)

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes the run."""
        return True

    def tell(self, event: Event, at: float | None = None) -> None:
        """Appends an event to the run's file, told `at` where that was elsewhere. Raises DiskError."""
        try:
            self.events.append(event, at)
        except OSError as error:
            raise no_room(self.run, f"events cannot be written ({error.strerror})") from error

    def reserve(self) -> None:
        """Keeps room aside for the last events. Raises OSError where there is none."""
        self.events.reserve()

    def keep_room(self, size: int) -> None:
        """Keeps room aside for what the work comes to, until `give_room` or the job's end. Raises DiskError."""
        room = self.run.path / ROOM
        shutil.rmtree(room, ignore_errors=True)
        try:
            room.mkdir()
            keep_aside(room / "bytes", size)
            for number in range(ROOM_FILES):
                (room / str(number)).touch()
        except OSError as error:
            self.give_room()
            raise no_room(self.run, f"the adapter will need {size / 1e6:,.0f} MB, which are not free") from error

    def give_room(self) -> None:
        """Gives it back, for the work to take."""
        shutil.rmtree(self.run.path / ROOM, ignore_errors=True)

    def is_asked(self) -> bool:
        """Whether this process is to stop: by the run's flag or by SIGTERM, or as it is time to leave."""
        return self._terminated or self.run.stop_flag.exists() or self._is_leaving()

    def leaves(self) -> bool:
        """Whether it stops only because its time in this process is over: it is gone on with in another."""
        return self._is_leaving() and not (self._terminated or self.run.stop_flag.exists())

    def leave(self) -> None:
        """Says that what can be done in this process is done, though the job is not."""
        self._leaving = True

    def takes(self, what: str, seconds: float) -> None:
        """Tells how long something took that may have to be done once more before the job leaves."""
        self._takes[what] = max(seconds, self._takes.get(what, 0.0))

    def should_stop(self) -> bool:
        """Whether to stop: when asked, or when those that work on it together have agreed to."""
        return self.is_asked() if self._agreed is None else self._agreed

    def agree(self, *, stop: bool) -> None:
        """From now on it stops when all those that work on it together do, which is said here each time."""
        self._agreed = stop

    def discards(self) -> bool:
        """Whether nothing of the run is to be kept."""
        return is_discarded(self.run)

    def stop_here(self) -> None:
        """Raises Stopped when a stop was asked for: called between the parts of the work that precede saving."""
        if self.should_stop():
            raise Stopped

    def _is_leaving(self) -> bool:
        if self._lease and not self._leaving:
            late = time.monotonic() + sum(self._takes.values()) >= self._lease.deadline
            alone = not Path(f"/proc/{self._lease.pid}").exists()
            self._leaving = late or alone or self._lease.flag.exists()
        return self._leaving

    def _on_sigterm(self, signum: int, frame: FrameType | None) -> None:
        self._terminated = True


class SilentJob(Job):
    """A job as one sees it who works on it beside the process that writes the run; only why it failed is passed on."""

    def __init__(self, run: Run, name: JobName, failed: Callable[[str], None]) -> None:
        """`failed` is told, in a line, why."""
        self.run, self.name, self.said = run, name, ""
        self._failed = failed
        self._listen()

    @property
    def writes(self) -> bool:
        return False

    def tell(self, event: Event, at: float | None = None) -> None:
        if isinstance(event, Finished) and event.status == "failed":
            self._failed(event.message)

    def reserve(self) -> None:
        pass

    def keep_room(self, size: int) -> None:
        pass

    def give_room(self) -> None:
        pass


def run_job(
    run: Run,
    name: JobName,
    work: Callable[[Job], EndStatus],
    *,
    job_of: Callable[[Run, JobName], Job] = Job,
    pid: int | None = None,
) -> int:
    """Does `work` between a `started` and a `finished` event; returns the exit status (2: the user can mend it).

    `job_of` makes the job that the work is given; `pid` is the process that all others of the job end with.
    A job that has a lease may leave in time, which `awaiting` says in place of `finished`; the status is AWAY.
    """
    guard()
    prepare_logging()
    began = time.monotonic()
    status: EndStatus = "failed"
    reason: Reason = ""
    message, code = "", 1
    try:
        job = job_of(run, name)
    except OSError:  # nothing can be said where it would be read
        log.exception("the %s job cannot write to %s", name, run.path)
        return code
    try:
        job.tell(Started(job=name, pid=pid or os.getpid(), versions=_versions()))
        job.reserve()
        status = work(job)
        code = 0 if status == "finished" else 1
        message = "stopped; what was trained until then is saved" if status == "cancelled" else job.said
    except Stopped:
        if job.leaves():
            return _away(job)
        kept = run.go_on() if any(run.checkpoints.glob("step-*")) else "nothing was saved yet"
        saved = "the adapter is saved, the comparison is not" if run.adapter.exists() else kept
        status, message = "cancelled", f"stopped; {saved}"
    except LostProcessError as error:
        log.error("%s", error)
        return LOST
    except FtspaceError as error:
        reason, message = reason_of(error, run)
        code = 2
    except Exception as error:  # the outer edge: whatever happens, the run says how it ended
        log.exception("the %s job failed", name)
        reason, message = reason_of(error, run)
    if status == "cancelled" and (said := run.time_is_up()):
        status, reason, message = "failed", "time_limit", said
    if status == "cancelled" and job.discards() and job.writes:
        message = DISCARDED
        with suppress(OSError):  # the supervisor does it again
            remove(run)
    job.give_room()
    try:
        job.tell(Finished(job=name, status=status, reason=reason, message=message, seconds=time.monotonic() - began))
    except DiskError:
        log.exception("the %s job %s, which cannot be written: %s", name, status, redact(message))
        return code or 1
    return code


def prepare_logging() -> None:
    """From now on what this process tells goes to stderr, its secrets taken out."""
    guard()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells each request, with addresses that are signed


def _away(job: Job) -> int:
    job.give_room()
    try:
        job.tell(Awaiting(job=job.name))
    except DiskError:
        log.exception("the %s job left, which cannot be written", job.name)
    return AWAY


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the device or of the machine; torch is known by its words, not imported."""
    if isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


def no_room(run: Run, said: str) -> DiskError:
    """The error for a disk that is full or may not be written, with the way on."""
    return DiskError(f"{said} at {run.path}; make room there (ftspace runs gc), then {run.go_on()}")


def reason_of(error: Exception, run: Run) -> tuple[Reason, str]:
    """Why a job failed, and what to say of it; by what lies behind an error too, whoever has put it in other words."""
    known = isinstance(error, FtspaceError)
    text = str(error) if known else one_line(error)
    if isinstance(error, DiskError | MemoryGoneError):
        return error.reason, text
    if any(map(is_out_of_memory, causes(error))):
        return "memory", f"out of memory: {text}; lower train.micro_batch_tokens or train.max_length"
    if any(map(is_disk_full, causes(error))):
        return "disk", f"the disk cannot be written: {text}; make room (ftspace runs gc), then {run.go_on()}"
    if known:
        return error.reason, text
    return "error", f"{type(error).__name__}: {text}; the whole story is in worker.log in the run's folder"


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found
