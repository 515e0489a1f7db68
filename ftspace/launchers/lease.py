"""What is done while a GPU is lent: one job's worker, until shortly before the lease is over. Knows no lender.

Called in the process that the GPU is lent to, with what can be pickled. Imports torch there, and not before.
"""

import gc
import os
import time
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from pathlib import Path

from ftspace.events import JobName
from ftspace.launchers.handover import print_to
from ftspace.runs import Run, take_lock
from ftspace.settings import set_token
from ftspace.workers import Job, Lease, run_job

LOCK = "lease"
"""File of a run that is held (flock) while a lease is at work on it, so that no two ever are."""
LEAVE = "leave"
"""File of a run in whose presence a lease is left at once."""
BUSY = 76
"""The status of a lease that found another at work, or nobody who wants it any more."""
LEAVE_SECONDS, LEAVE_SHARE = 10.0, 0.2
"""Before its end a lease is left by so many seconds, and a shorter one by that share of it."""


def margin(seconds: float) -> float:
    """Seconds before the end of a lease at which it is left; what a step and a checkpoint take comes on top."""
    return min(LEAVE_SECONDS, LEAVE_SHARE * seconds)


@cache
def make_ready(job: JobName) -> None:
    """Imports what a job imports, in the process that leases are forked from: GPU time is too dear for it."""
    if job == "evaluate":
        import_module("evals.lighteval.pipeline")
        return
    from ftspace.training.ready import import_for
    from ftspace.training.worker import train

    import_for(train)


def work(run_dir: str, job: JobName, seconds: float, pid: int, token: str | None) -> int:
    """Goes on with a run's job for less than `seconds`; its exit status, workers.AWAY where the job is not done.

    `pid` is the process that sees the run through. From here on what this process prints goes to the run's log.
    """
    until = time.monotonic() + seconds - margin(seconds)
    run = Run(Path(run_dir))
    held = take_lock(run.path / LOCK, tries=3)
    if held is None:
        return BUSY
    try:
        if not Path(f"/proc/{pid}").exists():
            return BUSY
        print_to(run.log)
        set_token(token)
        from ftspace.training.memory import release

        try:
            return _work(run, job, Lease(until, pid, run.path / LEAVE))
        finally:
            gc.unfreeze()  # the process may be lent again: what this job left must not stay
            release()
    finally:
        with suppress(OSError):
            os.close(held)


def _work(run: Run, job: JobName, lease: Lease) -> int:
    leased = partial(Job, lease=lease)
    if job == "evaluate":
        from ftspace.evaluate import evaluate

        return run_job(run, "evaluate", evaluate, job_of=leased, pid=lease.pid)
    from ftspace.training.worker import train

    return run_job(run, "train", train, job_of=leased, pid=lease.pid)
