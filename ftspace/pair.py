"""A supervisor and its train worker that wait for an app's next run, imports done. Knows no torch and no gradio.

The first training step then comes seconds after Start, not tens of seconds. The pair holds some 0.5 GB of memory, no
lock and no GPU, and ends with the app; FTSPACE_WARM=0 keeps an app from having one.
"""

import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ftspace.launchers.handover import offer
from ftspace.runs import RunStore
from ftspace.settings import ROOT, worker_env

PAINT_SECONDS = 3.0
"""From the first page on, which is drawn meanwhile."""
REST_SECONDS = 15.0
"""From the end of a run on, in which a person looks at it."""
LOOK_SECONDS = 2.0
"""How often it is looked whether a run is still at work."""
_OFFER_SECONDS = 10.0


@dataclass(frozen=True)
class _Waiting:
    supervisor: subprocess.Popen[bytes]
    socket: socket.socket
    env: dict[str, str]
    """What both processes were started with."""


class Pair:
    """At most one pair that waits, for an app with these runs. Any thread may call."""

    def __init__(self, store: RunStore) -> None:
        """Nothing is started yet."""
        self._store = store
        self._lock = threading.Lock()
        self._starting = False
        self._waiting: _Waiting | None = None

    def begin(self, seconds: float = PAINT_SECONDS, *, offline: bool = False) -> None:
        """Has a pair started for runs that are `offline` or not, after some seconds and once no run is at work.

        Returns at once, and does nothing while a pair waits.
        """
        with self._lock:
            if self._starting or self.waits():
                return
            self._starting = True
        threading.Thread(target=self._start, args=(seconds, worker_env(offline=offline)), daemon=True).start()

    def waits(self) -> bool:
        """Whether a pair waits now, be it at its imports still."""
        waiting = self._waiting
        return waiting is not None and waiting.supervisor.poll() is None

    def take(self, run_dir: Path, lock_fd: int, env: dict[str, str]) -> subprocess.Popen[bytes] | None:
        """Gives a run and its lock to the pair: its supervisor, or None when there is none for this environment.

        A pair that cannot take the run is ended.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is None:
            return None
        with waiting.socket:
            if waiting.env == env and offer(waiting.socket, run_dir, [lock_fd], _OFFER_SECONDS):
                return waiting.supervisor
        if waiting.env == env:  # it had its time, and must not begin now
            waiting.supervisor.kill()
        waiting.supervisor.wait()
        return None

    def _start(self, seconds: float, env: dict[str, str]) -> None:
        try:
            time.sleep(seconds)
            while self._store.is_busy():
                time.sleep(LOOK_SECONDS)
            mine, its = socket.socketpair()
            with its:
                supervisor = subprocess.Popen(
                    [sys.executable, "-m", "ftspace.jobs", "--wait", str(its.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd=ROOT,
                    env=env,
                    pass_fds=[its.fileno()],
                    start_new_session=True,
                )
            with self._lock:
                if self._waiting:  # ended by itself
                    self._waiting.socket.close()
                self._waiting = _Waiting(supervisor, mine, env)
        finally:
            self._starting = False
        supervisor.wait()  # so that it leaves no zombie behind
