"""A run handed to a process that waits for it: its folder, its Hub token and its locks, over a socket. Knows no job.

The locks are the same open files on both sides, so there is no instant in which nobody holds them. What is sent to a
process that is at its imports still lies in the socket until it asks.
"""

import contextlib
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

_TAKEN = b"\1"
_LONGEST = 1 << 16
_MOST_LOCKS = 4


@dataclass(frozen=True)
class Work:
    """What is handed over."""

    run_dir: Path
    token: str | None
    locks: list[int]


def offer(peer: socket.socket, work: Work) -> bool:
    """Sends the peer its work, whenever it may take it; False when it is gone."""
    words = {"run": str(work.run_dir), "token": work.token}
    try:
        socket.send_fds(peer, [json.dumps(words).encode()], work.locks)
    except OSError:
        return False
    return True


def taken(peer: socket.socket, seconds: float) -> bool | None:
    """Whether the peer took what it was offered; None when it did not within the time, False when it is gone."""
    peer.settimeout(seconds)
    try:
        return peer.recv(1) == _TAKEN
    except TimeoutError:
        return None
    except OSError:
        return False


def take(peer: socket.socket) -> Work | None:
    """Waits for work, whose locks stay open. None when the peer went without giving any."""
    said, locks, _, _ = socket.recv_fds(peer, _LONGEST, _MOST_LOCKS)
    if not said:
        return None
    with contextlib.suppress(OSError):  # who gave it may be gone: the work is done all the same
        peer.sendall(_TAKEN)
    words = json.loads(said)
    return Work(Path(words["run"]), words["token"], locks)


def print_to(log: Path) -> None:
    """From now on what this process and its libraries print goes to the end of `log`."""
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
