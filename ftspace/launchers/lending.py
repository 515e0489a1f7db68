"""How a GPU that only the app's process can be lent is asked for by another: a socket beside the runs, lines of JSON.

The app serves it (`Lender`), and does what a demand asks for by whatever lends the GPU; `borrow` asks. The lock
`.lender`, held by the app, says that it is there; in it is the socket's address, in a folder that is this user's alone,
for what is said holds tokens. Knows no job, no GPU and no Gradio.
"""

import fcntl
import json
import logging
import os
import shutil
import socket
import stat
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ftspace.errors import JobError
from ftspace.events import JobName
from ftspace.runs import is_held

LOCK = ".lender"
_LOOK_SECONDS = 0.5
_CONNECT_SECONDS = 5.0
_PART = 1 << 16

Kind = Literal["left", "killed", "quota", "too_long", "busy", "lost", "broken", "unwanted"]
"""What became of a demand: the lease was left in time or ended from outside; there was no time, no lease so long, no
GPU, nobody who lends; something is broken; or it was given up."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Demand:
    """A lease that is wanted: `launchers.lease.work` with these, for so many seconds."""

    run_dir: str
    job: JobName
    seconds: int
    pid: int
    token: str | None
    owner: str
    """Whose GPU time it is."""


@dataclass(frozen=True)
class Answer:
    """What became of it."""

    kind: Kind
    status: int = 0
    """What the job's work returned, where it was left."""
    left: int | None = None
    """Seconds of GPU time that are left, where that was said."""
    wait: float | None = None
    """Seconds until there is more, where that was said."""
    said: str = ""
    """In the lender's words."""


class Lender:
    """The app's side. One demand at a time for each connection; several at once are the lender's to put in line."""

    def __init__(self, runs_dir: Path, lend: Callable[[Demand], Answer]) -> None:
        """Raises JobError when another process lends to these runs, OSError when the folder cannot be written."""
        runs_dir.mkdir(parents=True, exist_ok=True)
        self._lend = lend
        self._lock = os.open(runs_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise JobError(f"another app lends its GPU to the runs in {runs_dir}; end one of the two") from error
        self._folder = Path(tempfile.mkdtemp(prefix="ftspace-lender-", dir="/tmp"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "lender"))
        self._listener.listen(16)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, os.fsencode(self._folder / "lender"), 0)
        self._peers: set[socket.socket] = set()
        self._open = True
        os.register_at_fork(after_in_child=self._let_go)

    def serve(self) -> None:
        """Answers until it is closed."""
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), name="lender", daemon=True).start()

    def close(self) -> None:
        """Lends no more; leases that are out go on."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._open = False
        os.close(self._lock)

    def _let_go(self) -> None:
        """In a process forked from this one, such as a lease's, which may outlive it: it is no lender."""
        if self._open:
            for one in (*self._peers, self._listener):
                one.close()
            os.close(self._lock)
            self._open = False

    def _answer(self, peer: socket.socket) -> None:
        self._peers.add(peer)
        with peer:
            try:
                said = _line(peer)
                answer = self._lend(Demand(**json.loads(said)))
            except Exception as error:  # the outer edge of a demand's thread: the app and the others go on
                log.exception("a lease could not be given")
                answer = Answer("broken", said=f"{type(error).__name__}: {error}")
            with suppress(OSError):  # who asked may be gone
                peer.sendall(json.dumps(asdict(answer)).encode() + b"\n")
        self._peers.discard(peer)


def borrow(runs_dir: Path, demand: Demand, unwanted: Callable[[], bool]) -> Answer:
    """Asks for a lease, and what became of it. `unwanted` is asked now and then; when it says so it is given up."""
    address = _address(runs_dir)
    if address is None or not is_held(runs_dir / LOCK):
        return Answer("lost")
    said = b""
    with socket.socket(socket.AF_UNIX) as peer:
        try:
            peer.settimeout(_CONNECT_SECONDS)
            peer.connect(str(address))
            peer.sendall(json.dumps(asdict(demand)).encode() + b"\n")
            peer.settimeout(_LOOK_SECONDS)
            while not said.endswith(b"\n"):
                try:
                    part = peer.recv(_PART)
                except TimeoutError:
                    if unwanted():
                        return Answer("unwanted")
                    continue
                if not part:
                    return Answer("lost")
                said += part
        except OSError:
            return Answer("lost")
    return Answer(**json.loads(said))


def _line(peer: socket.socket) -> bytes:
    said = b""
    while not said.endswith(b"\n"):
        part = peer.recv(_PART)
        if not part:
            raise JobError("who asked for a lease went without saying which")
        said += part
    return said


def _address(runs_dir: Path) -> Path | None:
    """Where the socket is; None when there is none, or its folder is not this user's alone."""
    try:
        address = Path((runs_dir / LOCK).read_text(encoding="utf-8"))
        folder: Any = address.parent.lstat()
    except (OSError, ValueError):
        return None
    own = stat.S_ISDIR(folder.st_mode) and folder.st_uid == os.getuid() and not folder.st_mode & 0o077
    return address if own and address.name == "lender" else None
