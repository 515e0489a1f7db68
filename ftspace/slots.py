"""The machine's slots: one run at a time may hold each. A slot is a GPU, or the whole machine where there is none.

A slot is a lock (flock) beside the runs. Whoever works on the machine takes one: the supervisor for its runs, and the
commands that measure. A job's process inherits it. Knows no torch.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ftspace.runs import take_lock
from ftspace.settings import visible_gpus

SLOT = ".slot"
_GPUS = Path("/proc/driver/nvidia/gpus")
_LIST_SECONDS = 20.0


@dataclass(frozen=True)
class Slot:
    """One slot, whoever holds it."""

    lock: Path
    gpu: str | None
    """As CUDA_VISIBLE_DEVICES names it; None on a machine without."""

    def take(self) -> int | None:
        """The lock, held, as an open file; None when another holds it."""
        return take_lock(self.lock)

    def fitted(self, env: dict[str, str]) -> dict[str, str]:
        """An environment with this slot's GPU in sight and no other; one that hides all GPUs stays as it is."""
        return fitted([self], env)


def fitted(slots: Sequence[Slot], env: dict[str, str]) -> dict[str, str]:
    """An environment with the GPUs of these slots in sight and no other; one that hides all GPUs stays as it is."""
    gpus = [slot.gpu for slot in slots if slot.gpu is not None]
    if not gpus or visible_gpus(env) == []:
        return env
    return env | {"CUDA_VISIBLE_DEVICES": ",".join(gpus)}


def slots_of(runs_dir: Path) -> list[Slot]:
    """The slots for the runs of a folder, at least one."""
    gpus: list[str | None] = [*gpus_here()]
    return [Slot(runs_dir / (f"{SLOT}-{place}" if place else SLOT), gpu) for place, gpu in enumerate(gpus or [None])]


@contextmanager
def hold_slot(runs_dir: Path, waiting: Callable[[], object]) -> Generator[tuple[Slot, int]]:
    """A slot and its lock, held; waits for the first one when none is free, and calls `waiting` before it does."""
    runs_dir.mkdir(parents=True, exist_ok=True)
    slots = slots_of(runs_dir)
    free = ((slot, fd) for slot in slots if (fd := slot.take()) is not None)
    slot, fd = next(free, (slots[0], None))
    waits = fd is None
    if fd is None:
        waiting()
        fd = os.open(slot.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if waits:
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield slot, fd
    finally:
        os.close(fd)


def gpus_here() -> list[str]:
    """The GPUs that jobs may see, as CUDA_VISIBLE_DEVICES names them."""
    named = visible_gpus()
    return _installed() if named is None else named


@cache
def _installed() -> list[str]:
    with suppress(OSError):
        return [str(number) for number, _ in enumerate(_GPUS.iterdir())]
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=_LIST_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = said.stdout.splitlines() if said.returncode == 0 else []
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in lines))]
