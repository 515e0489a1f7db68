"""The push that a run's config asks for, once the run is finished. The supervisor's part; knows no network.

None is lost in silence: it is written down before the run is out of the queue, and what keeps it from beginning is told
as a push that failed.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress

from ftspace.errors import DiskError, FtspaceError, JobError
from ftspace.events import EventLog, Finished, Started, read_events
from ftspace.hub.push.pushing import POLL_SECONDS, begin_anew, folder_of, requested, try_push
from ftspace.hub.push.records import PushRequest
from ftspace.runs import Run, take_lock
from ftspace.settings import worker_env
from ftspace.state import fold


def note_push(run: Run) -> None:
    """Writes down the push that a finished run's config asks for: whoever was to start it may be killed before."""
    request = _wanted(run)
    if request is None:
        return
    with suppress(OSError):  # the push itself then says that nothing can be written
        folder = folder_of(run, request)
        lock = take_lock(folder.lock)
        if lock is not None:
            try:
                begin_anew(folder, request)
            finally:
                os.close(lock)


def push_finished(run: Run, environ: Mapping[str, str], why_not: str = "") -> None:
    """Starts the push that a run's config asks for, if the run is finished, after any that is at work by then.

    What keeps it from beginning is told as a push that failed, and so is `why_not`: it can be made again.

    Raises DiskError where that cannot be told.
    """
    request = _wanted(run)
    if request is None:
        return
    try:
        if why_not:
            raise JobError(why_not)
        env = worker_env(offline=False, environ=environ)
        while not try_push(run, request, env):
            time.sleep(POLL_SECONDS)
    except FtspaceError as error:
        if run.path.is_dir() and not run.ticket.exists():  # else it is gone, or its next end is pushed
            _tell_failed(run, request, error)


def _wanted(run: Run) -> PushRequest | None:
    """The push that a run's config asks for; None where it asks for none, or the run is not finished."""
    if run.config.hub.push is None:
        return None
    end = fold(read_events(run.events)[0]).end(run.jobs)
    return requested(run) if end is not None and end.status == "finished" else None


def _tell_failed(run: Run, request: PushRequest, error: FtspaceError) -> None:
    """Leaves a push that did not begin as one that failed, once none is at work. Raises DiskError."""
    try:
        folder = folder_of(run, request)
        while (lock := take_lock(folder.lock, tries=3)) is None:
            time.sleep(POLL_SECONDS)
        try:
            begin_anew(folder, request)
            log = EventLog(folder.events)
            log.append(Started(job="push", pid=os.getpid()))
            log.append(Finished(job="push", status="failed", reason=error.reason, message=str(error)))
            log.close()
        finally:
            os.close(lock)
    except OSError as why:
        raise DiskError(f"{error}; nor can that be written: {why.strerror}") from why
