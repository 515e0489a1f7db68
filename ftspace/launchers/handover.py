"""A run handed from one process to another that waits for it: its folder, and its locks, over a socket. Knows no job.

The app hands a run to a waiting supervisor, and that one to its waiting worker. The locks are the same open files on
both sides, so there is no instant in which nobody holds them.
"""

import os
import socket
from pathlib import Path

_TAKEN = b"\1"
_LONGEST = 1 << 16
_MOST_LOCKS = 4


def offer(peer: socket.socket, run_dir: Path, locks: list[int], seconds: float) -> bool:
    """Whether the peer took the run within the time; False when it is gone or silent, and is to be given up."""
    peer.settimeout(seconds)
    try:
        socket.send_fds(peer, [os.fsencode(run_dir)], locks)
        return peer.recv(1) == _TAKEN
    except OSError:
        return False


def take(peer: socket.socket) -> tuple[Path, list[int]] | None:
    """Waits for a run: its folder and its locks, which stay open. None when the peer is gone."""
    said, locks, _, _ = socket.recv_fds(peer, _LONGEST, _MOST_LOCKS)
    if not said:
        return None
    peer.sendall(_TAKEN)
    return Path(os.fsdecode(said)), locks


def print_to(log: Path) -> None:
    """From now on what this process and its libraries print goes to the end of `log`."""
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
