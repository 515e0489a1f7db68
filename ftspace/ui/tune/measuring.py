"""Has this machine measured before its first run, by a process of its own: torch stays out of the app."""

import asyncio
import subprocess
import sys
from pathlib import Path
from threading import Lock

from ftspace.devices import known_speed
from ftspace.settings import ROOT, worker_env

_SECONDS = 90
"""A measurement takes some ten, most of them imports; after so long nobody waits for it any more."""
_LOOK_SECONDS = 0.5


class Measuring:
    """One app's measurement, begun at most once."""

    def __init__(self, data_dir: Path, *, wanted: bool) -> None:
        """What is measured is kept in `data_dir`; nothing is, where it is not `wanted`."""
        self._data_dir, self._wanted = data_dir, wanted
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    async def done(self) -> bool:
        """Whether the machine was measured meanwhile, begun now if nobody has; False where it was known before."""
        if not self._wanted or known_speed(self._data_dir):
            return False
        self._begin()
        for _ in range(int(_SECONDS / _LOOK_SECONDS)):
            await asyncio.sleep(_LOOK_SECONDS)
            if known_speed(self._data_dir):
                return True
            if self._child is None or self._child.poll() is not None:
                break
        return known_speed(self._data_dir) is not None

    def _begin(self) -> None:
        with self._lock:
            if self._child is not None:
                return
            self._data_dir.mkdir(parents=True, exist_ok=True)
            self._child = subprocess.Popen(
                [sys.executable, "-m", "ftspace.training.calibrate", str(self._data_dir)],
                cwd=ROOT,
                env=worker_env(offline=True),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
