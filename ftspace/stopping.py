"""How a run is asked to stop, and how nothing is kept of it when that is wished. Knows files and events, no process.

The wish is what stands in the run's stop flag, so it outlives whoever had it and whoever is at work on the run. What is
to go goes before the run's ticket does: where that is cut off, the next supervisor finds both and does it again.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from ftspace.events import EventLog, Finished, JobName, read_events
from ftspace.runs import Run, take_lock
from ftspace.state import fold

DISCARD = "discard"
"""What is written into the stop flag of a run of which nothing is to be kept."""
DISCARDED = "nothing is kept: what it had learnt is discarded"
_LEARNT = (
    ".room",
    ".adapter-building",
    "adapter",
    ".old-adapter",
    "checkpoints",
    "evals",
    "results.json",
    "chats.jsonl",
    "table.csv",
    "table.md",
)
_GONE = ".old-gone-"
"""Before the name of what is being removed; gc knows it as well."""


def ask(run: Run, said: str = "") -> None:
    """Asks a run to stop; `said` replaces what was asked before, and nothing said leaves it. Raises OSError."""
    if not said:
        run.stop_flag.touch()
        return
    beside = run.path / ".stop-new"
    beside.write_text(said)
    beside.replace(run.stop_flag)


def is_discarded(run: Run) -> bool:
    """Whether nothing of the run is to be kept."""
    try:
        return run.stop_flag.read_text() == DISCARD
    except OSError:
        return False


def remove(run: Run) -> None:
    """Takes away what a run has learnt and what was found of it; each at once or not at all. Raises OSError."""
    for name in _LEARNT:
        with suppress(FileNotFoundError):
            (run.path / name).rename(_aside(run.path / (_GONE + name)))
    for gone in run.path.glob(f"{_GONE}*"):
        _remove(gone)
    for lock in run.path.glob("push/*/lock"):
        if (held := take_lock(lock, tries=3)) is not None:  # a push that is at work ends with what it has
            _remove(lock.parent / "bundle")
            os.close(held)
    _remove(run.merged)


def discard(run: Run) -> None:
    """The same, and says so, for a run that nobody is at work on. It may be cut off and done again. Raises OSError."""
    remove(run)
    ended = fold(read_events(run.events)[0]).ended
    void: list[JobName] = [job for job, end in ended.items() if end.status == "finished"]
    if "train" not in ended:
        void.append("train")
    log = EventLog(run.events)
    for job in void:
        log.append(Finished(job=job, status="cancelled", message=DISCARDED))
    log.close()


def _aside(path: Path) -> Path:
    _remove(path)
    return path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
