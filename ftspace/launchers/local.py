"""Starts a job's process on this machine, or has one waiting. Knows no torch: modules are named, not imported."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from ftspace.events import JobName
from ftspace.launchers.handover import offer
from ftspace.settings import ROOT

WORKERS: dict[JobName, str] = {"train": "ftspace.training.worker", "evaluate": "ftspace.evaluate"}
WAITING = "ftspace.training.waiting"
IMPORT_SECONDS = 300.0
"""How long a waiting worker may still be at its imports when a run comes; then another is started without it."""


def launch(run_dir: Path, job: JobName, *, locks: list[int]) -> subprocess.Popen[bytes]:
    """The job's process, in a session of its own, printing to the run's worker.log.

    It inherits the locks of the run and of the slot: both are taken for as long as the job lives, whoever started it.
    """
    with (run_dir / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", WORKERS[job], str(run_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            pass_fds=locks,
            start_new_session=True,
        )


class WaitingWorker:
    """A train job's process without a run: it does its imports, then waits for one. It ends with this process.

    What it prints before it has a run is lost: a worker that cannot import ends, and the one that is started in its
    place says why.
    """

    def __init__(self) -> None:
        """Starts the process, in a session of its own."""
        self.socket, its = socket.socketpair()
        """Can be read from once the worker is gone."""
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-m", WAITING, str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=ROOT,
                pass_fds=[its.fileno()],
                start_new_session=True,
            )
        self._given = False

    def give(self, run_dir: Path, *, locks: list[int]) -> subprocess.Popen[bytes] | None:
        """The process, at work on the run as one that `launch` started; None when it is gone, and another is needed."""
        self._given = offer(self.socket, run_dir, locks, IMPORT_SECONDS)
        if self._given:
            return self._process
        self.end()
        return None

    def end(self) -> None:
        """Ends the process, unless it was given a run."""
        self.socket.close()
        if not self._given:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
