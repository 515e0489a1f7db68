"""Starts a job's process on this machine. Knows no torch: the worker's module is named, not imported."""

import subprocess
import sys
from pathlib import Path

from ftspace.events import JobName
from ftspace.settings import ROOT

WORKERS: dict[JobName, str] = {"train": "ftspace.training.worker", "evaluate": "ftspace.evaluate"}


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
