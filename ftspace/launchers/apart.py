"""A module of ours as a process of its own, which goes on when whoever started it ends. Knows no runs."""

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from ftspace.settings import ROOT


def start(words: Sequence[str], *, log: Path, env: Mapping[str, str], locks: Sequence[int]) -> subprocess.Popen[bytes]:
    """`python -m WORDS...` in a session of its own, printing to the end of `log`. Raises OSError.

    It inherits the locks: they are held for as long as it lives, whoever started it.
    """
    with log.open("ab") as printed:
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            cwd=ROOT,
            env=env,
            pass_fds=locks,
            start_new_session=True,
        )


def leave(process: subprocess.Popen[bytes]) -> None:
    """Lets a process go its way: it is waited for aside, so that it leaves no zombie behind."""
    threading.Thread(target=process.wait, daemon=True).start()
