"""The processes of one data folder, as /proc shows them: which there are, whose they are, and their end. Linux only."""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.plan import Role
from ftspace.launchers.local import WAITING, WORKERS
from ftspace.runs import Run

SUPERVISORS = ("ftspace.supervisor", "ftspace.jobs", "ftspace.queue")
_WORKERS = (*WORKERS.values(), WAITING)


@dataclass(frozen=True)
class Process:
    """A process as it was when it was looked at."""

    pid: int
    parent: int
    words: tuple[str, ...]
    """Of its command line."""

    @property
    def module(self) -> str:
        """What it was started as with `python -m`, "" for anything else."""
        after = self.words.index("-m") + 1 if "-m" in self.words else len(self.words)
        return self.words[after] if after < len(self.words) else ""

    @property
    def role(self) -> Role | None:
        """What part of ftspace it is; None for any other."""
        if self.module in SUPERVISORS:
            return "supervisor"
        if self.module in _WORKERS:
            return "worker"
        return "app" if any(word.endswith("app.py") for word in self.words[:3]) else None

    @property
    def waits(self) -> bool:
        """Whether it was started as a worker without a run."""
        return self.module == WAITING

    def __str__(self) -> str:
        """For a report."""
        return f"process {self.pid}: {' '.join(self.words)[:200]}"

    def holds(self, path: Path) -> bool:
        """Whether it has a file open."""
        return str(path) in _links(self.pid)


def of_data_dir(data_dir: Path, *, thorough: bool = False) -> list[Process]:
    """The processes that were started with this data folder in their environment.

    A thorough look also finds those that have it in their command line, or that are or have a file open below it. This
    process and those that it descends from are none.
    """
    known = _known()
    spared = set(_line(os.getpid(), known))
    return [one for one in known.values() if one.pid not in spared and _belongs(one, data_dir, thorough=thorough)]


def find(data_dir: Path, role: Role, run: Run) -> list[Process]:
    """The processes of a role: those at work on the run if there are any, else all."""
    alike = [one for one in of_data_dir(data_dir) if one.role == role]
    if role == "app":
        return alike
    return [one for one in alike if one.holds(run.lock)] or alike


def kill(process: Process) -> bool:
    """Ends it, and what it started when it leads a group of its own; whether it was there to be ended."""
    with suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid and process.role == "worker":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)
        return True
    return False


def lives(process: Process) -> bool:
    """Whether it is there still, and no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def orphans(data_dir: Path, app: int | None) -> list[str]:
    """The processes that nobody is left to need: of a living app, all but it, one supervisor and its waiting worker."""
    found = of_data_dir(data_dir, thorough=True)
    supervisors = [one for one in found if one.role == "supervisor"]
    needed = {app, *(one.pid for one in supervisors[:1])} if app is not None else set[int | None]()
    kept = [one for one in found if one.waits and supervisors and one.parent == supervisors[0].pid]
    needed |= {one.pid for one in kept[:1]} if app is not None else set()
    return [str(one) for one in found if one.pid not in needed]


def held_locks(runs_dir: Path, *, supervised: bool) -> list[str]:
    """The locks of runs and of the machine that somebody holds; `supervised` leaves out the supervisor's own."""
    if not runs_dir.is_dir():
        return []
    locks = [*runs_dir.glob("*/lock"), *(path for path in runs_dir.glob(".*") if path.is_file())]
    held = [path for path in locks if _is_held(path)]
    return [f"lock {path}" for path in held if not (supervised and path.name.startswith(".supervisor"))]


def patiently(look: Callable[[], list[str]], seconds: float) -> list[str]:
    """What is still found after some seconds, at once when nothing is."""
    end = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def _is_held(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _known() -> dict[int, Process]:
    """All processes that run a program."""
    found: dict[int, Process] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError, ValueError):
                words = (folder / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0")
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if words != [""]:  # else it is the kernel's, or a zombie
                    found[int(folder.name)] = Process(int(folder.name), parent, tuple(words))
    return found


def _line(pid: int, known: dict[int, Process]) -> Iterator[int]:
    """A process and those that it descends from."""
    while pid in known:
        yield pid
        pid = known[pid].parent


def _belongs(process: Process, data_dir: Path, *, thorough: bool) -> bool:
    with suppress(OSError):
        if f"FTSPACE_DATA={data_dir}".encode() in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
            return True
        if thorough:
            inside = f"{data_dir}/"
            words = any(word == str(data_dir) or word.startswith(inside) for word in process.words)
            return words or any(link.startswith(inside) for link in _links(process.pid))
    return False


def _links(pid: int) -> set[str]:
    """What a process has open, and where it is."""
    found: set[str] = set()
    with suppress(OSError):
        for link in [Path(f"/proc/{pid}/cwd"), *Path(f"/proc/{pid}/fd").iterdir()]:
            with suppress(OSError):
                found.add(str(link.readlink()))
    return found
