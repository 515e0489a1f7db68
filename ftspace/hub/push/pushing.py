"""Starts, watches and stops pushes of runs. Each is a process of its own (process.py); knows no network and no screen.

A push changes nothing of its run's status and takes no turn in the queue. What became of one is read from its folder.
"""

import os
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, get_args

from ftspace.errors import DiskError, HubError, JobError, Reason
from ftspace.events import Finished, Started, Uploading, Verifying, Warned, read_events
from ftspace.hub.push.records import PushFolder, PushRecord, PushRequest, What
from ftspace.launchers import apart
from ftspace.runs import Run, is_held, take_lock
from ftspace.settings import worker_env
from ftspace.state import fold

WORKER = "ftspace.hub.push.process"
POLL_SECONDS = 0.25
_LEAVING = 200
"""How often the lock of a run that has said its last is tried for, 50 ms apart: its processes have to go yet."""
_HOW = "ftspace push {run}"
Status = Literal[
    "none", "building", "uploading", "verifying", "stopping", "verified", "failed", "interrupted", "cancelled"
]
AT_WORK: frozenset[Status] = frozenset({"building", "uploading", "verifying", "stopping"})


@dataclass(frozen=True)
class PushState:
    """What became of the push that was asked for last."""

    status: Status = "none"
    request: PushRequest | None = None
    done: int = 0
    total: int = 0
    """Bytes that were sent, or compared while it verifies, and all of them."""
    record: PushRecord | None = None
    """What was verified last, be it by an earlier push than this one."""
    reason: Reason = ""
    message: str = ""
    """How it ended: what happened, why and what to do."""
    warnings: list[str] = field(default_factory=list[str])
    started_at: float | None = None

    @property
    def is_at_work(self) -> bool:
        """Whether a process is at it."""
        return self.status in AT_WORK

    @property
    def verified(self) -> PushRecord | None:
        """What this push left, once it was read back and compared."""
        return self.record if self.status == "verified" else None

    @property
    def can_retry(self) -> bool:
        """Whether the same push can be asked for again; what the Hub has by then is not sent again."""
        return self.status in ("failed", "interrupted", "cancelled")


def start_push(
    run: Run, request: PushRequest, token: str | None = None, *, environ: Mapping[str, str] | None = None
) -> None:
    """Sets a push going and returns; `token`, for the Hub, goes into its environment and nowhere else.

    `environ` stands for this process's environment. Raises JobError while the run or the same push is at work, or
    another one goes to that repository; DiskError where nothing can be written.
    """
    env = worker_env(offline=False, token=token, **({} if environ is None else {"environ": environ}))
    if not try_push(run, request, env):
        raise JobError(f"run {run.id} is being pushed; wait for that, or stop it")


def try_push(run: Run, request: PushRequest, env: Mapping[str, str]) -> bool:
    """Starts the process of a push; whether it could, for there is one at work. Raises JobError, DiskError."""
    _require_own_repository(run, request)
    with _claimed(run, request) as (folder, lock):
        if lock is None:
            return False
        begin_anew(folder, request)
        words = [WORKER, str(run.path), request.what]
        process = apart.start(words, log=folder.path / "worker.log", env=env, locks=[lock])
    apart.leave(process)
    return True


@contextmanager
def _claimed(run: Run, request: PushRequest) -> Generator[tuple[PushFolder, int | None]]:
    """The push's folder and its lock, held, if no push is at work. Raises JobError, DiskError.

    The run's own lock is held until then, so that nobody deletes it or sets to work on it in between.
    """
    lock = None
    try:
        held = take_lock(run.lock, tries=10)
        if held is None and fold(read_events(run.events)[0]).end(run.jobs) is not None:
            held = take_lock(run.lock, tries=_LEAVING)
        if held is None:
            raise JobError(f"run {run.id} is at work; push it when that is over: {_HOW.format(run=run.id)}")
        try:
            if run.ticket.exists():
                raise JobError(f"run {run.id} waits for its turn; push it after that: {_HOW.format(run=run.id)}")
            folder = folder_of(run, request)
            lock = take_lock(folder.lock, tries=3)
        finally:
            os.close(held)
        yield folder, lock
    except OSError as error:
        if not run.path.is_dir():
            raise JobError(f"run {run.id} is deleted, there is nothing to push; see: ftspace runs list") from error
        raise DiskError(
            f"a push of run {run.id} cannot begin at {run.path}: {error.strerror}; make room (ftspace runs gc)"
        ) from error
    finally:
        if lock is not None:
            os.close(lock)


def folder_of(run: Run, request: PushRequest) -> PushFolder:
    """The folder of a push, made if need be. Raises OSError."""
    folder = PushFolder(run.path, request.what)
    folder.path.parent.mkdir(exist_ok=True)
    folder.path.mkdir(exist_ok=True)
    return folder


def begin_anew(folder: PushFolder, request: PushRequest) -> None:
    """Forgets what was told of an earlier push. The push's lock is held."""
    folder.stop_flag.unlink(missing_ok=True)
    folder.events.unlink(missing_ok=True)
    folder.request.write_text(request.model_dump_json(indent=2) + "\n", encoding="utf-8")


def push_state(run: Run, what: What = "adapter") -> PushState:
    """What became of the push that was asked for last; `none` when there was none."""
    folder = PushFolder(run.path, what)
    held = is_held(folder.lock)  # looked at first: what was told before it was let go is then read, too
    request = read_request(folder)
    if request is None:
        return PushState()
    status: Status = "building"
    started: Started | None = None
    far: Uploading | Verifying | None = None
    end: Finished | None = None
    warnings: list[str] = []
    for event in read_events(folder.events)[0]:
        match event:
            case Started():
                started = event
            case Uploading():
                status, far = "uploading", event
            case Verifying():
                status, far = "verifying", event
            case Warned():
                warnings.append(event.message)
            case Finished():
                end = event
            case _:
                pass
    reason: Reason = ""
    message = ""
    if held:  # until its process is gone nothing can be begun anew, whatever it has told
        status = "stopping" if folder.stop_flag.exists() else status
    elif end is not None:
        status = "verified" if end.status == "finished" else end.status
        reason, message = end.reason, end.message
    else:
        status, reason = "interrupted", "lost_process"
        message = "the push's process is gone and did not say why" if started else "the push has not begun"
        message += f"; push again, what {request.repo_id} has by now is not sent again"
    if status in ("failed", "interrupted", "cancelled") and "still empty" not in message and (left := _left(folder)):
        message += f"; {left}: the next push fills it"
    return PushState(
        status,
        request,
        done=far.done if far else 0,
        total=far.total if far else 0,
        record=read_record(folder),
        reason=reason,
        message=message,
        warnings=warnings,
        started_at=started.time if started else None,
    )


def stop_push(run: Run, what: What = "adapter") -> None:
    """Asks a push to stop; it does within seconds. Raises JobError when none is at work."""
    folder = PushFolder(run.path, what)
    if not is_held(folder.lock):
        raise JobError(f"run {run.id} is not being pushed, there is nothing to stop")
    folder.stop_flag.touch()


def follow_push(run: Run, what: What = "adapter", poll_seconds: float = POLL_SECONDS) -> Iterator[PushState]:
    """The push's states as they change, until it is over; the last is how it ended."""
    last: PushState | None = None
    while True:
        state = push_state(run, what)
        if state != last:
            yield state
        if not state.is_at_work:
            return
        last = state
        time.sleep(poll_seconds)


def requested(run: Run, what: What = "adapter", to: str | None = None, *, public: bool = False) -> PushRequest:
    """What to ask for: a push to a named repository, else to the config's, else where it was asked for before.

    Raises HubError when nothing names a repository.
    """
    earlier = read_request(PushFolder(run.path, what))
    if to is not None:
        return PushRequest(what=what, repo_id=to, public=public)
    if what == "adapter" and run.config.hub.push:
        return PushRequest(what=what, repo_id=run.config.hub.push, public=public or run.config.hub.public)
    if earlier is not None:
        return earlier.model_copy(update={"public": public or earlier.public})
    raise HubError(f"nothing says where to push run {run.id}; name a repository: --to owner/name")


def read_request(folder: PushFolder) -> PushRequest | None:
    """What was asked for last; None where nothing was, or it cannot be read."""
    try:
        return PushRequest.model_validate_json(folder.request.read_bytes())
    except (OSError, ValueError):
        return None


def read_record(folder: PushFolder) -> PushRecord | None:
    """The push that was verified last; None where there is none, or it cannot be read."""
    try:
        return PushRecord.model_validate_json(folder.record.read_bytes())
    except (OSError, ValueError):
        return None


def _require_own_repository(run: Run, request: PushRequest) -> None:
    """Raises JobError where another kind of push went, or is on its way, to the repository."""
    for what in get_args(What):
        if what == request.what:
            continue
        folder = PushFolder(run.path, what)
        other = read_request(folder) if is_held(folder.lock) else read_record(folder)
        if other is not None and other.repo_id == request.repo_id:
            raise JobError(
                f"the {what} of run {run.id} goes to {request.repo_id}; name another repository for its {request.what}"
            )


def _left(folder: PushFolder) -> str:
    """What is to be known of a repository that a push made and has neither filled nor removed."""
    try:
        return f"{(folder.path / 'made').read_text(encoding='utf-8')} may be there and still be empty"
    except OSError:
        return ""
