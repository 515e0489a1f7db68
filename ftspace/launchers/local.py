"""Starts a job's process on this machine, or has one waiting. Knows no torch: modules are named, not imported."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ftspace.events import JobName
from ftspace.launchers import apart
from ftspace.launchers.handover import Work, offer, taken
from ftspace.launchers.processes import check_processes, processes_of
from ftspace.launching import Launcher
from ftspace.runs import Run
from ftspace.settings import ROOT, group_env

WORKERS: dict[JobName, str] = {"train": "ftspace.training.worker", "evaluate": "ftspace.evaluate"}
ELSEWHERE: dict[Launcher, str] = {"zerogpu": "ftspace.launchers.zerogpu"}
"""What sees a job through that runs elsewhere: started in place of the worker, it finds itself which job is due."""
WAITING = "ftspace.training.waiting"
TOGETHER = "ftspace.training.together"
"""Starts several train workers by torchrun, and ends with them."""
HUB_JOB = "ftspace.launchers.hf_jobs"
"""In place of all workers, for a run whose jobs run on the Hub."""
IMPORT_SECONDS = 300.0
"""How long a waiting worker may still be at its imports when a run comes; then another is started without it."""
_LOOK_SECONDS = 0.1


class Unwanted(Exception):
    """The run was told to stop before its job had begun."""


def launch(run_dir: Path, module: str, *, locks: list[int], env: dict[str, str]) -> subprocess.Popen[bytes]:
    """A job's process, in a session of its own, printing to the run's worker.log.

    It inherits the locks of the run and of the slot: both are taken for as long as the job lives, whoever started it.
    """
    return apart.start([module, str(run_dir)], log=run_dir / "worker.log", env=env, locks=locks)


def launch_several(run: Run, *, locks: list[int], env: dict[str, str]) -> subprocess.Popen[bytes]:
    """The same for a training that several processes do together. The others end with the one that is given here.

    Raises ConfigError when there are fewer devices than processes.
    """
    check_processes(run.config)
    count = processes_of(run.config)
    env = group_env(env, count, run.config.launch.nnodes)
    return apart.start([TOGETHER, str(run.path), str(count)], log=run.log, env=env, locks=locks)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kills a process and whatever it left running."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class WaitingWorker:
    """A train job's process without a run: it does its imports, then waits for one. It ends with this process.

    What it prints before it has a run is lost: a worker that cannot import ends, and the one that is started in its
    place says why.
    """

    def __init__(self, env: dict[str, str]) -> None:
        """Starts the process, in a session of its own."""
        self._env = _without_token(env)
        self._mine = True
        self.socket, its = socket.socketpair()
        """Can be read from once the worker is gone."""
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-m", WAITING, str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=ROOT,
                env=self._env,
                pass_fds=[its.fileno()],
                start_new_session=True,
            )

    def suits(self, env: dict[str, str]) -> bool:
        """Whether a run with this environment would find the same here; its Hub token comes with it."""
        return _without_token(env) == self._env

    def give(
        self, run_dir: Path, *, token: str | None, locks: list[int], unwanted: Callable[[], bool]
    ) -> subprocess.Popen[bytes] | None:
        """The process, at work on the run as one that `launch` started; None when it is gone, and another is needed.

        Raises Unwanted, the worker ended, when `unwanted` says so before the run was taken.
        """
        there: bool | None = None if offer(self.socket, Work(run_dir, token, locks)) else False
        end = time.monotonic() + IMPORT_SECONDS
        while there is None and time.monotonic() < end:
            if unwanted():
                self.end()
                raise Unwanted
            there = taken(self.socket, _LOOK_SECONDS)
        if not there:
            self.end()
            return None
        self._mine = False
        self.socket.close()
        return self._process

    def end(self) -> None:
        """Ends the process, unless it was given a run."""
        self.socket.close()
        if self._mine:
            self._mine = False
            end_group(self._process)


def _without_token(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name != "HF_TOKEN"}
