"""Sees one run's jobs through: starts them, stops them when told, and says how one ended that could not.

The supervisor calls it with the run's lock and a slot, or with a run that a process of a supervisor
before it is at work on. Knows no torch.
"""

import logging
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ftspace.disk import is_disk_full
from ftspace.errors import ConfigError, FtspaceError
from ftspace.events import Finished, JobName, Started, Warned, read_events
from ftspace.launchers.local import (
    ELSEWHERE,
    HUB_JOB,
    TOGETHER,
    WAITING,
    WORKERS,
    Unwanted,
    WaitingWorker,
    end_group,
    launch,
    launch_several,
)
from ftspace.launchers.processes import together
from ftspace.queue import Ticket, tell
from ftspace.runs import TIME_LIMIT, Run
from ftspace.state import fold
from ftspace.stopping import DISCARDED, ask, is_discarded

POLL_SECONDS = 0.25
LOOK_SECONDS = 2.0
"""How often it is looked which processes a job has that this process did not start."""
STOP_GRACE_SECONDS = 300.0
"""How long a job may take to end its step and save after SIGTERM, before its processes are killed."""
DISCARD_GRACE_SECONDS = 10.0
"""The same where there is nothing to save."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Means:
    """What a run is worked on with."""

    env: dict[str, str]
    locks: list[int]
    """The run's and the slot's, held."""
    worker: WaitingWorker | None
    """Is given the training, if it suits the environment."""


def attend(run: Run, means: Means, ticket: Ticket, minutes: float | None) -> None:
    """Runs the jobs of a run that are not finished, one after the other, until one does not finish.

    It may be at work for so many `minutes`, those included that its ticket says are spent; not so a job of the Hub.
    """
    if run.elsewhere:
        events, before = read_events(run.events)
        jobs = fold(events).unfinished(run.jobs)
        if jobs:
            _watch(run, jobs, launch(run.path, HUB_JOB, locks=means.locks, env=means.env), before, None)
        return
    until = _until(run, ticket, minutes)
    several = together(run.config)
    elsewhere = ELSEWHERE.get(run.config.launch.launcher)
    worker = means.worker if means.worker and not (several or elsewhere) and means.worker.suits(means.env) else None
    if means.worker and not worker:
        means.worker.end()
    for job in fold(read_events(run.events)[0]).unfinished(run.jobs):
        _, before = read_events(run.events)
        process = None
        if worker and job == "train":
            given, worker = worker, None
            token = means.env.get("HF_TOKEN")
            try:
                process = given.give(run.path, token=token, locks=means.locks, unwanted=run.stop_flag.exists)
            except Unwanted:
                tell(run, _last_words(run, job, None, killed=False, stopped=True))
                return
        elif worker:
            worker.end()
            worker = None
        if several and job == "train":
            try:
                process = launch_several(run, locks=means.locks, env=means.env)
            except ConfigError as error:
                tell(run, Finished(job=job, status="failed", reason="config", message=str(error)))
                return
        process = process or launch(run.path, elsewhere or WORKERS[job], locks=means.locks, env=means.env)
        if not _watch(run, [job], process, before, until):
            return


def adopt(run: Run, ticket: Ticket, minutes: float | None) -> None:
    """Waits until the job's process that nobody looks after has ended; says its last words if it could not.

    Nothing is said of a run that had not begun, for it waits on, nor of one that goes on by itself.
    """
    until = None if run.elsewhere else _until(run, ticket, minutes)
    terminated_at: float | None = None
    killed = False
    looked_at = 0.0
    group = 0
    offset = ticket.since
    while run.is_alive():
        _end_in_time(run, until)
        events, offset = read_events(run.events, offset)
        group = next((event.pid for event in reversed(events) if isinstance(event, Started)), group)
        now = time.monotonic()
        if group and (run.stop_flag.exists() or now - looked_at > LOOK_SECONDS):
            looked_at = now
            workers = _workers(run)
            if run.stop_flag.exists() and terminated_at is None and group in workers:
                with suppress(ProcessLookupError):
                    os.kill(group, signal.SIGTERM)
                terminated_at = now
            late = terminated_at is not None and now - terminated_at > _grace(run)
            if late or group not in workers:  # dead, and what it left running has its lock
                killed = killed or late
                _kill(workers, group)
        time.sleep(POLL_SECONDS)
    if group and not _is_running(group):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    state = fold(read_events(run.events)[0])
    begun = any(isinstance(event, Started) for event in read_events(run.events, ticket.since)[0])
    if not begun or state.job is None or state.job in state.ended:
        return
    stopped = run.stop_flag.exists()
    if stopped or not (run.config.train.auto_resume or run.elsewhere):
        tell(run, _last_words(run, state.job, None, killed=killed, stopped=stopped))


def give_up(run: Run, error: Exception, log_file: Path) -> None:
    """Says of a run that it failed for an error that is none of its own, if it can be said."""
    message = f"the run could not be worked on: {type(error).__name__}: {error}; see {log_file}"
    try:
        state = fold(read_events(run.events)[0])
        if state.end(run.jobs) is None:
            job, reason = state.unfinished(run.jobs)[0], "disk" if is_disk_full(error) else "error"
            tell(run, Finished(job=job, status="failed", reason=reason, message=message))
    except (FtspaceError, OSError):
        log.exception("run %s cannot be told so", run.id)


def _watch(run: Run, jobs: list[JobName], process: subprocess.Popen[bytes], before: int, until: float | None) -> bool:
    """Sees the jobs of a process to their end; whether they finished. One that died without a word gets its last event.

    `before` is where in the events their own begin. No process outlives the watch, also when that cannot go on.
    """
    terminated_at: float | None = None
    killed = False
    try:
        while process.poll() is None:
            _end_in_time(run, until)
            now = time.monotonic()
            if run.stop_flag.exists() and terminated_at is None:
                if not run.elsewhere:  # who follows a job of the Hub looks at the flag, and must not end before that
                    process.send_signal(signal.SIGTERM)
                terminated_at = now
            if terminated_at is not None and now - terminated_at > _grace(run):
                killed = True
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
    finally:
        end_group(process)  # and what a job that was killed left running
    state = fold(read_events(run.events, before)[0])
    end = state.end(jobs)
    job = end.job if end else state.unfinished(jobs)[0]
    if end is None:
        tell(run, _last_words(run, job, process.returncode, killed=killed, stopped=terminated_at is not None))
        return False
    if (end.status == "finished") != (process.returncode == 0):
        tell(run, Warned(message=f"the {job} job said it {end.status}, and ended with status {process.returncode}"))
    return end.status == "finished"


def _until(run: Run, ticket: Ticket, minutes: float | None) -> float | None:
    """The Unix time at which the run has been at work for `minutes`."""
    if minutes is None:
        return None
    begun = (event.time for event in read_events(run.events, ticket.since)[0] if isinstance(event, Started))
    return next(begun, time.time()) + 60 * minutes - ticket.spent


def _end_in_time(run: Run, until: float | None) -> None:
    """Tells a run to stop whose time is up. Where the disk is full it is tried again at the next look."""
    if until is None or time.time() <= until or run.stop_flag.exists():
        return
    with suppress(OSError):
        ask(run, TIME_LIMIT)


def _grace(run: Run) -> float:
    return DISCARD_GRACE_SECONDS if is_discarded(run) and not run.elsewhere else STOP_GRACE_SECONDS


def _last_words(run: Run, job: JobName, returncode: int | None, *, killed: bool, stopped: bool) -> Finished:
    if stopped and (said := run.time_is_up()):
        return Finished(job=job, status="failed", reason="time_limit", message=said)
    if is_discarded(run):
        return Finished(job=job, status="cancelled", message=DISCARDED)
    if killed:
        message = f"the {job} job did not stop within {STOP_GRACE_SECONDS:.0f} s and was killed; {run.go_on()}"
        return Finished(job=job, status="cancelled", message=message)
    if stopped:
        return Finished(job=job, status="cancelled", message=f"the {job} job was stopped before it had begun its work")
    cause = ""
    if returncode is not None:
        number = f"status {returncode}"
        cause = f" with {f'signal {-returncode} ({signal.Signals(-returncode).name})' if returncode < 0 else number}"
    advice = "; the system may have run out of memory: lower train.micro_batch_tokens" if returncode == -9 else ""
    message = f"the {job} job's process ended{cause} and without a word{advice}; see worker.log in the run's folder"
    return Finished(job=job, status="failed", reason="lost_process", message=message)


def _workers(run: Run) -> set[int]:
    """The processes that have the run's lock open and are a job's: who only looks at the lock is none."""
    lock = str(run.lock.resolve())
    modules = {name.encode() for name in (*WORKERS.values(), *ELSEWHERE.values(), WAITING, TOGETHER, HUB_JOB)}
    found: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if modules & set((process / "cmdline").read_bytes().split(b"\0")) and any(
                str(file.readlink()) == lock for file in (process / "fd").iterdir()
            ):
                found.add(int(process.name))
    return found


def _kill(workers: set[int], group: int) -> None:
    for pid in workers:
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == group:
                os.kill(pid, signal.SIGKILL)


def _is_running(pid: int) -> bool:
    """Whether a process has the number, which may be another than the one that had it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
