"""The life of one job's process: its first and last event, its signals, its errors turned into a reason and a line.

Knows nothing of what a job does: `run_job` is given the work as a function. Knows no torch.
"""

import errno
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from types import FrameType

from evals.errors import one_line
from ftspace.errors import FtspaceError, Reason
from ftspace.events import EndStatus, Event, EventLog, Finished, JobName, Started
from ftspace.runs import Run
from ftspace.streams import guard

OUT_OF_MEMORY = ("DefaultCPUAllocator", "MPS backend out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says where it has no error of its own for it."""
DISK_FULL = ("os error 28", "os error 122", "No space left on device", "PytorchStreamWriter failed", "unexpected pos")
"""What safetensors and torch say of a full disk."""
LIBRARIES = ("torch", "transformers", "trl", "peft", "datasets", "lighteval")

log = logging.getLogger(__name__)


class Stopped(Exception):
    """Raised by work that noticed a stop where nothing was there to save yet."""


class Job:
    """What a worker sees of the job it is: where to tell events, and whether it should stop."""

    def __init__(self, run: Run, name: JobName) -> None:
        """Opens the run's events, and from now on takes SIGTERM for a wish to stop."""
        self.run = run
        self.name: JobName = name
        self.events = EventLog(run.events)
        self._terminated = False
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def tell(self, event: Event) -> None:
        """Appends an event to the run's file."""
        self.events.append(event)

    def should_stop(self) -> bool:
        """Whether somebody asked for a stop: by the run's flag or by SIGTERM."""
        return self._terminated or self.run.stop_flag.exists()

    def stop_here(self) -> None:
        """Raises Stopped when a stop was asked for: called between the parts of the work that precede saving."""
        if self.should_stop():
            raise Stopped

    def _on_sigterm(self, signum: int, frame: FrameType | None) -> None:
        self._terminated = True


def run_job(run: Run, name: JobName, work: Callable[[Job], EndStatus]) -> int:
    """Does `work` between a `started` and a `finished` event; returns the exit status (2: the user can mend it)."""
    guard()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells each request, with addresses that are signed
    began = time.monotonic()
    job = Job(run, name)
    job.tell(Started(job=name, pid=os.getpid(), versions=_versions()))
    status: EndStatus = "failed"
    reason: Reason = ""
    message, code = "", 1
    try:
        status = work(job)
        code = 0 if status == "finished" else 1
        message = "stopped; what was trained until then is saved" if status == "cancelled" else ""
    except Stopped:
        kept = run.go_on() if any(run.checkpoints.glob("step-*")) else "nothing was saved yet"
        saved = "the adapter is saved, the comparison is not" if run.adapter.exists() else kept
        status, message = "cancelled", f"stopped; {saved}"
    except FtspaceError as error:
        reason, message, code = error.reason, str(error), 2
    except Exception as error:  # the outer edge: whatever happens, the run says how it ended
        log.exception("the %s job failed", name)
        reason, message = _reason_of(error, run)
    if status == "cancelled" and (said := run.time_is_up()):
        status, reason, message = "failed", "time_limit", said
    job.tell(Finished(job=name, status=status, reason=reason, message=message, seconds=time.monotonic() - began))
    return code


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the device or of the machine; torch is known by its words, not imported."""
    if isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


def is_disk_full(error: BaseException) -> bool:
    """Whether nothing can be written any more. safetensors and torch have no OSError for it, only words."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return any(words in str(error) for words in DISK_FULL)


def _reason_of(error: Exception, run: Run) -> tuple[Reason, str]:
    text = one_line(error)
    if is_out_of_memory(error):
        return "memory", f"out of memory: {text}; lower train.micro_batch_tokens or train.max_length"
    if is_disk_full(error):
        return "disk", f"the disk cannot be written: {text}; free some space, then {run.go_on()}"
    return "error", f"{type(error).__name__}: {text}; the whole story is in worker.log in the run's folder"


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found
