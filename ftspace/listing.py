"""Runs in a list: status and verdict of each, from the end of its events alone. Knows no process and no screen.

A run of 100,000 steps is listed as fast as one of ten: what its jobs told last stands at the end of the file.
"""

import os
import re
from dataclasses import dataclass

from ftspace.errors import FtspaceError
from ftspace.events import Awaiting, Evaluated, Event, Finished, JobName, Prepared, Progress, Started, Step, parse_event
from ftspace.runs import Run, RunReader, RunStore
from ftspace.state import RunState, Status
from ftspace.words import asked_of, asked_what

WINDOW = 1 << 13
"""Bytes that are read of the end of a file first; more when they do not tell."""
_BEGIN = 1 << 16
"""Bytes of the beginning, in which a training tells how long it is."""
_MOVING = re.compile(rb'"type":"(?:started|prepared|step|progress|awaiting)"')
_PREPARED = re.compile(rb'"type":"prepared"')
_TELLING = re.compile(rb'"type":"(?:started|finished|evaluated|awaiting)"')


class Glance(RunReader):
    """A reader whose state knows the ends of the jobs, the job that began last and the verdict, and nothing else."""

    def refresh(self) -> list[Event]:
        """Takes a new look at the end of the events."""
        self.state = RunState()
        told = _last_words(self.run)
        for event in told:
            self.state.apply(event)
        self.state.job = self.state.job or next(iter(self.state.ended), None)
        return told


@dataclass(frozen=True)
class Listed:
    """A run in a list."""

    run: Run
    status: Status
    verdict: str


@dataclass(frozen=True)
class Damaged:
    """A run whose config cannot be read."""

    run: Run
    why: str


def look(run: Run) -> Listed | Damaged:
    """A run's status and verdict now."""
    glance = Glance(run)
    try:
        return Listed(run, glance.status(), glance.state.verdict or "")
    except FtspaceError as error:
        return Damaged(run, str(error))


def listed(store: RunStore, most: int | None = None) -> list[Listed | Damaged]:
    """The newest runs of a store, newest first."""
    return [look(run) for run in store.list()[:most]]


def progress(run: Run) -> tuple[str, float | None]:
    """How far a run at work is, in words and as a share of its training, from both ends of its events."""
    try:
        with run.events.open("rb") as file:
            begin = file.read(_BEGIN)
            file.seek(max(0, file.seek(0, os.SEEK_END) - WINDOW))
            newest = _newest(file.read(), _MOVING)
    except OSError:
        return "Running", None
    if isinstance(newest, Progress):
        what = asked_what(newest.task, newest.which)
        return f"Comparing: asking {asked_of(newest.which)}, {what}, {newest.done:,} of {newest.total:,}", None
    if isinstance(newest, Awaiting):
        return "Waiting for GPU time", None
    if isinstance(newest, Step):
        prepared = _newest(begin, _PREPARED)
        if not isinstance(prepared, Prepared):
            return f"Training: step {newest.step:,}", None
        total = prepared.total_steps
        return f"Training: step {newest.step:,} of {total:,}", min(1.0, newest.step / max(1, total))
    if isinstance(newest, Prepared):
        return "Training: before the first step", 0.0
    return (
        "Comparing base and tuned" if isinstance(newest, Started) and newest.job == "evaluate" else "Getting ready"
    ), None


def _newest(chunk: bytes, kinds: re.Pattern[bytes]) -> Event | None:
    """The last whole event of some kinds in a piece of the file."""
    for found in reversed(list(kinds.finditer(chunk))):
        end = chunk.find(b"\n", found.end())
        if end >= 0 and (event := parse_event(chunk[chunk.rfind(b"\n", 0, found.start()) + 1 : end])):
            return event
    return None


def _last_words(run: Run) -> list[Event]:
    """How the run's jobs began or ended last, and the verdict, in their order."""
    try:
        file = os.open(run.events, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        size = os.fstat(file).st_size
        window = WINDOW
        while True:
            told, enough = _telling(os.pread(file, window, max(0, size - window)), run.jobs)
            if enough or window >= size:
                return told
            window *= 8
    finally:
        os.close(file)


def _telling(chunk: bytes, jobs: list[JobName]) -> tuple[list[Event], bool]:
    """The events among the lines that decide the status, and whether earlier lines can add nothing to them.

    Once the newest word on the training is that it began, or did not finish, nothing else matters.
    """
    told: list[Event] = []
    left = set(jobs)
    verdict = False
    for found in reversed(list(_TELLING.finditer(chunk))):
        end = chunk.find(b"\n", found.end())
        event = parse_event(chunk[chunk.rfind(b"\n", 0, found.start()) + 1 : end]) if end >= 0 else None
        if isinstance(event, Evaluated) and not verdict:
            verdict = True
            told.append(event)
        if isinstance(event, Awaiting) and not told:
            told.append(event)
        if isinstance(event, Started | Finished) and event.job in left:
            told.append(event)
            left.remove(event.job)
            if event.job == jobs[0] and (isinstance(event, Started) or event.status != "finished"):
                left.clear()
        if not left:
            break
    return told[::-1], not left
