"""How the one supervisor of a folder of runs is found, started and spoken to: a lock, a socket, a line of JSON.

The lock (`.supervisor`) is taken, and the socket bound, by whoever starts the supervisor, which inherits both: so there
is never a second one, and what is said to it before it listens is not lost. The lock's file says where the socket is:
in a private folder below the system's temporary one, for what is said holds tokens. Knows no run.
"""

import contextlib
import fcntl
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ftspace.errors import DiskError, JobError
from ftspace.runs import is_held
from ftspace.settings import ROOT

LOCK = ".supervisor"
LOG = ".supervisor.log"
HEARD = b"\1"
ANSWER_SECONDS = 30.0
"""How long a supervisor may take to begin, and to say that it heard."""
_RING_SECONDS = 1.0
_AGAIN_SECONDS = 0.02
_LONGEST_PATH = 90
"""Of a socket; the system's limit is 107 bytes."""
_STARTS = 3


def is_there(runs_dir: Path) -> bool:
    """Whether the folder has a supervisor."""
    return is_held(runs_dir / LOCK)


def call(runs_dir: Path, words: dict[str, Any]) -> socket.socket:
    """A connection to the supervisor, which has heard `words`; it is started if there is none.

    The supervisor does not end while the connection is open. Raises JobError, DiskError.
    """
    end = time.monotonic() + ANSWER_SECONDS
    starts = 0
    while time.monotonic() < end:
        peer = _connect(runs_dir)
        if peer is not None:
            if say(peer, words, max(0.1, end - time.monotonic())):
                return peer
            peer.close()
        elif starts < _STARTS:
            starts += _start(runs_dir)
        elif not is_there(runs_dir):
            break
        time.sleep(_AGAIN_SECONDS)
    raise JobError(f"the process that looks after the runs does not answer; see {runs_dir / LOG}")


def ring(runs_dir: Path, words: dict[str, Any]) -> None:
    """Tells the supervisor something, if there is one; it looks at the queue then, too."""
    peer = _connect(runs_dir)
    if peer is not None:
        with peer:
            say(peer, words, _RING_SECONDS)


def say(peer: socket.socket, words: dict[str, Any], seconds: float = ANSWER_SECONDS) -> bool:
    """Whether the supervisor heard the words within the time."""
    peer.settimeout(seconds)
    try:
        peer.sendall(json.dumps(words).encode() + b"\n")
        return peer.recv(1) == HEARD
    except OSError:
        return False


def remove_address(runs_dir: Path) -> None:
    """Takes away the socket that the lock's file names."""
    address = _address(runs_dir)
    if address is not None:
        shutil.rmtree(address.parent, ignore_errors=True)


def _connect(runs_dir: Path) -> socket.socket | None:
    address = _address(runs_dir)
    if address is None:
        return None
    peer = socket.socket(socket.AF_UNIX)
    try:
        peer.settimeout(ANSWER_SECONDS)
        peer.connect(str(address))
    except OSError:
        peer.close()
        return None
    return peer


def _address(runs_dir: Path) -> Path | None:
    """Where the socket is; None when there is none, or its folder is not this user's alone."""
    try:
        address = Path((runs_dir / LOCK).read_text(encoding="utf-8"))
        folder = address.parent.lstat()
    except (OSError, ValueError):
        return None
    own = stat.S_ISDIR(folder.st_mode) and folder.st_uid == os.getuid() and not folder.st_mode & 0o077
    return address if own and address.name == "bell" else None


def _start(runs_dir: Path) -> bool:
    """Whether this process started the supervisor; not when another one is about to, or it is there."""
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(runs_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DiskError(f"{runs_dir} cannot be written: {error.strerror}; free some space") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_address(runs_dir)
        with socket.socket(socket.AF_UNIX) as listener:
            address = _folder() / "bell"
            listener.bind(str(address))
            listener.listen(128)
            os.ftruncate(lock, 0)
            os.pwrite(lock, os.fsencode(address), 0)
            _spawn(runs_dir, lock, listener.fileno())
    except BlockingIOError:
        return False
    except OSError as error:
        raise JobError(f"the process that looks after the runs cannot be started: {error.strerror}") from error
    finally:
        os.close(lock)
    return True


def _folder() -> Path:
    """A new folder, this user's alone, whose name is short enough for a socket in it."""
    folder = tempfile.mkdtemp(prefix="ftspace-bell-")
    if len(os.fsencode(folder)) <= _LONGEST_PATH:
        return Path(folder)
    Path(folder).rmdir()
    return Path(tempfile.mkdtemp(prefix="ftspace-bell-", dir="/tmp"))


def _spawn(runs_dir: Path, lock: int, listener: int) -> None:
    with (runs_dir / LOG).open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "ftspace.supervisor", str(runs_dir), str(lock), str(listener)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            pass_fds=[lock, listener],
            start_new_session=True,
        )
    threading.Thread(target=supervisor.wait, daemon=True).start()  # so that it leaves no zombie behind


def close(listener: socket.socket, runs_dir: Path) -> None:
    """Ends the listening: who calls from here on starts another supervisor once the lock is free."""
    with contextlib.suppress(OSError):
        listener.close()
    remove_address(runs_dir)
