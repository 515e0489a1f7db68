"""Queues, watches and stops the jobs of runs. Knows no torch and no gradio, and does none of the work itself.

The work is the supervisor's (supervisor.py), one process for a folder of runs, which is started when it is needed and
goes on when whoever called has gone.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import SHUT_RDWR, socket

from ftspace import bell, queue, stopping
from ftspace.access import Access
from ftspace.config import RunConfig
from ftspace.errors import DiskError, FtspaceError, JobError
from ftspace.events import Event, JobName
from ftspace.runs import Run, RunReader, RunStore
from ftspace.settings import read_settings, worker_env
from ftspace.state import TERMINAL
from ftspace.trash import Trash

POLL_SECONDS = 0.25
MIN_FREE_BYTES, MIN_FREE_FILES = 200_000_000, 200
"""Less free disk than this and a run is refused: an adapter, logs and a data split need about that much."""
PAINT_SECONDS = 3.0
"""From an app's first page on, which is drawn meanwhile, until a worker is started that waits for its next run."""
_LOOK_SECONDS = 2.0
_AGAIN_SECONDS = 0.5


def start(run: Run, token: str | None = None, again: JobName | None = None) -> None:
    """Queues the run's jobs and returns; `token`, for the Hub, is kept in memory only.

    `again` names a finished job that is to be done once more.

    Raises JobError when they are going already or too many runs wait, DiskError without room.
    """
    most = read_settings().max_waiting
    queue.check(run, most=most, again=again)  # before a deleted run goes for it
    Trash(RunStore(run.path.parent)).make_room(MIN_FREE_BYTES, MIN_FREE_FILES, run.access.owner)
    require_space(run.path)
    env = worker_env(offline=run.config.hub.offline, token=token)
    with bell.call(run.path.parent, {"do": "start", "run": run.id, "env": env}) as supervisor:
        queue.enqueue(run, token=bool(env.get("HF_TOKEN")), most=most, again=again)
        bell.say(supervisor, {"do": "look"})


def begin(store: RunStore, config: RunConfig, access: Access = Access(), token: str | None = None) -> Run:  # noqa: B008
    """Makes a run and queues its jobs; where they cannot be queued there is no run either.

    Raises JobError when too many runs wait, DiskError without room.
    """
    run = store.create(config, access)
    try:
        start(run, token)
    except FtspaceError:
        with suppress(FtspaceError):  # it is queued all the same
            store.delete(run.id)
        raise
    return run


def resume(run: Run, token: str | None = None) -> None:
    """Queues the jobs of a run that are not finished; the training goes on from its newest checkpoint.

    Raises JobError when there is nothing to go on with or too many runs wait, DiskError without room.
    """
    start(run, token)


def evaluate(run: Run, token: str | None = None) -> None:
    """Queues the comparison of a trained run once more, as its config says.

    Raises JobError when there is nothing to ask or to ask it of, the run is at work or too many wait; DiskError.
    """
    if not run.config.eval.tasks:
        raise JobError(f"run {run.id} asks nothing (eval.tasks is empty); start one that does: ftspace run")
    if not run.adapter.is_dir():
        raise JobError(f"run {run.id} has no adapter yet; {run.go_on()}")
    start(run, token, again="evaluate")


def stop(run: Run, *, discard: bool = False) -> None:
    """Asks a run to stop: it ends at the next step with its adapter saved, or at once when it waits for its turn.

    With `discard` nothing is kept of it but its settings and its events; that can be asked for after a stop, too, but
    not for a run that was trained before and is compared anew.

    Raises JobError when nothing is to be stopped, DiskError when that cannot be written.
    """
    if discard and not queue.may_discard(run):
        raise JobError(
            f"run {run.id} was trained before and is only compared anew, so its adapter, answers and votes are not "
            f"discarded; stop it, or delete it after that: ftspace runs stop {run.id}"
        )
    said = stopping.DISCARD if discard else ""
    try:
        if queue.cancel(run, said):
            bell.ring(run.path.parent, {"do": "over", "run": run.id})
            return
        if not run.is_alive():
            raise JobError(f"run {run.id} is not at work, there is nothing to stop")
        stopping.ask(run, said)
    except OSError as error:
        raise DiskError(f"run {run.id} cannot be told to stop: {error.strerror}; free some space") from error
    look_after(RunStore(run.path.parent))


def look_after(store: RunStore) -> None:
    """Starts a supervisor when runs wait and none is there: one was killed, or the machine was started anew."""
    if not bell.is_there(store.runs_dir) and queue.tickets(store.runs_dir):
        bell.call(store.runs_dir, {"do": "look"}).close()


def follow(
    reader: RunReader, poll_seconds: float = POLL_SECONDS, waits: Callable[[], object] = lambda: None
) -> Iterator[Event]:
    """The run's events as they come, until it is over; `waits` is called now and then while it waits for its turn."""
    run = reader.run
    looked_at = time.monotonic()
    while True:
        waiting, alive = run.ticket.exists(), run.is_alive()
        yield from reader.refresh()
        if not waiting and not alive and reader.status() in TERMINAL:
            return
        if waiting and not alive and time.monotonic() - looked_at > _LOOK_SECONDS:
            looked_at = time.monotonic()
            look_after(RunStore(run.path.parent))
            waits()
        time.sleep(poll_seconds)


def require_space(path: Path) -> None:
    """Raises DiskError when the disk under `path` has too little room for a run."""
    while not path.exists():
        path = path.parent
    stat = os.statvfs(path)
    free = stat.f_bavail * stat.f_frsize
    if stat.f_flag & os.ST_RDONLY:
        raise DiskError(f"{path} is on a read-only disk; name another folder with --data-dir or FTSPACE_DATA")
    if stat.f_files and stat.f_favail < MIN_FREE_FILES:
        raise DiskError(
            f"the disk of {path} can hold only {stat.f_favail} more files, a run needs {MIN_FREE_FILES}; remove some "
            "(ftspace runs gc), or name another folder with --data-dir or FTSPACE_DATA"
        )
    if free < MIN_FREE_BYTES:
        raise DiskError(
            f"only {free / 1e6:.0f} MB are free at {path}, a run needs {MIN_FREE_BYTES / 1e6:.0f} MB; make room "
            "(ftspace runs gc, ftspace runs delete RUN) or name another folder with --data-dir or FTSPACE_DATA"
        )


@dataclass
class _Warmth:
    """A connection that is kept open, so that the supervisor keeps a worker waiting."""

    wanted: bool = True
    peer: socket | None = None


_warmths: dict[Path, _Warmth] = {}
_guard = threading.Lock()


def warm(store: RunStore, *, seconds: float = PAINT_SECONDS, offline: bool = False) -> None:
    """Has a train worker wait, its imports done, from some seconds on and for as long as this process lives.

    `offline`: for runs that ask nothing of the Hub; after a run it is for runs like that one. Returns at once.
    """
    with _guard:
        if store.runs_dir in _warmths:
            return
        kept = _warmths[store.runs_dir] = _Warmth()
    words = {"do": "warm", "seconds": seconds, "offline": offline}
    threading.Thread(target=_keep_warm, args=(store.runs_dir, kept, words), daemon=True).start()


def cool(store: RunStore) -> None:
    """Ends what `warm` began."""
    with _guard:
        kept = _warmths.pop(store.runs_dir, None)
        if kept:
            kept.wanted = False
            if kept.peer:
                with suppress(OSError):
                    kept.peer.shutdown(SHUT_RDWR)


def _keep_warm(runs_dir: Path, kept: _Warmth, words: dict[str, object]) -> None:
    """Stays connected; a supervisor that was killed is followed by another, which takes up the queue, too."""
    while kept.wanted:
        try:
            peer = bell.call(runs_dir, words | {"env": worker_env(offline=False)})
        except FtspaceError:
            time.sleep(_LOOK_SECONDS)
            continue
        with _guard:
            kept.peer = peer
        with peer, suppress(OSError):
            peer.settimeout(None)
            while kept.wanted and peer.recv(1):
                pass
        time.sleep(_AGAIN_SECONDS)
