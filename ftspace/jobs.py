"""Starts, queues, watches and stops the jobs of runs. Knows no torch and no gradio.

`start` leaves behind one light supervisor process a run (`python -m ftspace.jobs RUN_DIR FD`). It waits for the
machine's slot, runs the jobs one after the other, and says how one ended that could not. Whoever started it may go.
An app has one started before there is a run (`--wait FD`, see pair.py).
"""

import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ftspace.errors import DiskError, JobError
from ftspace.events import Event, EventLog, Finished, JobName, Started, Warned
from ftspace.launchers.handover import print_to, take
from ftspace.launchers.local import WaitingWorker, launch
from ftspace.pair import REST_SECONDS, Pair
from ftspace.runs import SLOT, Run, RunReader, read_events
from ftspace.settings import ROOT, worker_env
from ftspace.state import TERMINAL, fold

POLL_SECONDS = 0.25
STOP_GRACE_SECONDS = 300.0
"""How long a job may take to end its step and save after SIGTERM, before its processes are killed."""
MIN_FREE_BYTES = 200_000_000
"""Less free disk than this and a run is refused: an adapter, logs and a data split need about that much."""


def start(run: Run, pair: Pair | None = None) -> None:
    """Sets the run's jobs going and returns at once: by the pair that waits, if there is one and it fits the run.

    Raises JobError when they are going already, DiskError without room.
    """
    require_space(run.path)
    env = worker_env(offline=run.config.hub.offline)
    lock_fd = os.open(run.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(lock_fd)
        supervisor = pair.take(run.path, lock_fd, env) if pair else None
        supervisor = supervisor or _start_supervisor(run, lock_fd, env)
    except BlockingIOError as error:
        raise JobError(f"run {run.id} is already at work") from error
    finally:
        os.close(lock_fd)
    threading.Thread(target=_see_off, args=(supervisor, run, pair), daemon=True).start()


def _start_supervisor(run: Run, lock_fd: int, env: dict[str, str]) -> subprocess.Popen[bytes]:
    with run.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ftspace.jobs", str(run.path), str(lock_fd)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env=env,
            pass_fds=[lock_fd],
            start_new_session=True,
        )


def _see_off(supervisor: subprocess.Popen[bytes], run: Run, pair: Pair | None) -> None:
    """Lets no supervisor become a zombie, and the next pair be started when the run is over."""
    supervisor.wait()
    if pair:
        pair.begin(REST_SECONDS, offline=run.config.hub.offline)


def _take(lock_fd: int) -> None:
    """Takes a run's lock, which others may hold for the instant in which they look. Raises BlockingIOError."""
    for _ in range(10):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.05)
    return fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def require_space(path: Path) -> None:
    """Raises DiskError when the disk under `path` has too little room for a run."""
    while not path.exists():
        path = path.parent
    stat = os.statvfs(path)
    free = stat.f_bavail * stat.f_frsize
    if free < MIN_FREE_BYTES:
        raise DiskError(
            f"only {free / 1e6:.0f} MB are free at {path}, a run needs {MIN_FREE_BYTES / 1e6:.0f} MB; delete old runs "
            "(ftspace runs delete RUN) or name another folder with --data-dir or FTSPACE_DATA"
        )


def stop(run: Run) -> None:
    """Asks a run to stop: it ends at the next step with its adapter saved. Raises JobError when nothing is at work."""
    if not run.is_alive():
        raise JobError(f"run {run.id} is not at work, there is nothing to stop")
    run.stop_flag.touch()


def resume(run: Run) -> None:
    """Sets the jobs of a run going that are not finished; the training goes on from its newest checkpoint.

    Raises JobError when there is nothing to go on with, DiskError without room.
    """
    if run.is_alive():
        raise JobError(f"run {run.id} is already at work; watch it: ftspace runs show {run.id}")
    reader = RunReader(run)
    if reader.status() == "finished":
        raise JobError(f"run {run.id} is finished, there is nothing to go on with; start a new one: ftspace run")
    require_space(run.path)
    run.stop_flag.unlink(missing_ok=True)
    if reader.state.end(run.jobs):  # which is void from here on
        _say(run, Started(job=reader.state.unfinished(run.jobs)[0], pid=os.getpid()))
    start(run)


def follow(reader: RunReader, poll_seconds: float = POLL_SECONDS) -> Iterator[Event]:
    """The run's events as they come, until it is over."""
    while True:
        over = not reader.run.is_alive()
        yield from reader.refresh()
        if over and reader.status() in TERMINAL:
            return
        time.sleep(poll_seconds)


def await_run(app: socket.socket) -> None:
    """Waits for a run with a worker that does its imports, then supervises it; ends when the app or the worker goes."""
    worker = WaitingWorker()
    try:
        heard, _, _ = select.select([app, worker.socket], [], [])
        work = take(app) if app in heard else None
        app.close()
        if work is not None:
            run = Run(work[0])
            print_to(run.log)
            supervise(run, work[1][0], worker)
    finally:
        worker.end()


def supervise(run: Run, lock_fd: int, worker: WaitingWorker | None = None) -> None:
    """Runs the jobs of a run that are not finished, one after the other, holding the machine's slot.

    `worker`, if any, is given the training.
    """
    todo = fold(read_events(run.events)[0]).unfinished(run.jobs)
    slot_fd = _wait_for_slot(run)
    if slot_fd is None:
        _say(run, Finished(job=todo[0], status="cancelled", message="stopped while waiting for its turn"))
        return
    try:
        for job in todo:
            locks = [lock_fd, slot_fd]
            _, before = read_events(run.events)
            process = worker.give(run.path, locks=locks) if worker and job == "train" else None
            if not _watch(run, job, process or launch(run.path, job, locks=locks), before):
                return
    finally:
        os.close(slot_fd)


def _wait_for_slot(run: Run) -> int | None:
    """The lock that one run at a time may hold; None when the run was told to stop while it waited."""
    slot_fd = os.open(run.path.parent / SLOT, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while True:
        try:
            fcntl.flock(slot_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if run.stop_flag.exists():
                os.close(slot_fd)
                return None
            time.sleep(POLL_SECONDS)
        else:
            return slot_fd


def _watch(run: Run, job: JobName, process: subprocess.Popen[bytes], before: int) -> bool:
    """Sees a job to its end; whether it finished. A job that died without a word gets its last event here.

    `before` is where in the events its own begin.
    """
    terminated_at: float | None = None
    killed = False
    while process.poll() is None:
        now = time.monotonic()
        if run.stop_flag.exists() and terminated_at is None:
            process.send_signal(signal.SIGTERM)
            terminated_at = now
        if terminated_at is not None and now - terminated_at > STOP_GRACE_SECONDS:
            killed = True
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    with contextlib.suppress(ProcessLookupError):  # what a job that was killed left running
        os.killpg(process.pid, signal.SIGKILL)
    end = fold(read_events(run.events, before)[0]).ended.get(job)
    if end is None:
        _say(run, _last_words(run, job, process.returncode, killed=killed, stopped=terminated_at is not None))
        return False
    if (end.status == "finished") != (process.returncode == 0):
        _say(run, Warned(message=f"the {job} job said it {end.status}, and ended with status {process.returncode}"))
    return end.status == "finished"


def _last_words(run: Run, job: JobName, returncode: int, *, killed: bool, stopped: bool) -> Finished:
    if killed:
        message = f"the {job} job did not stop within {STOP_GRACE_SECONDS:.0f} s and was killed; {run.go_on()}"
        return Finished(job=job, status="cancelled", message=message)
    if stopped:
        return Finished(job=job, status="cancelled", message=f"the {job} job was stopped before it had begun its work")
    cause = f"signal {-returncode} ({signal.Signals(-returncode).name})" if returncode < 0 else f"status {returncode}"
    advice = "; the system may have run out of memory: lower train.micro_batch_tokens" if returncode == -9 else ""
    message = (
        f"the {job} job's process ended with {cause} and without a word{advice}; see worker.log in the run's folder"
    )
    return Finished(job=job, status="failed", reason="lost_process", message=message)


def _say(run: Run, event: Event) -> None:
    log = EventLog(run.events)
    log.append(event)
    log.close()


if __name__ == "__main__":
    if sys.argv[1] == "--wait":
        await_run(socket.socket(fileno=int(sys.argv[2])))
    else:
        supervise(Run(Path(sys.argv[1])), int(sys.argv[2]))
