"""One round: a run is started, its processes are killed, a person does what a person would, and the rest is judged."""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.chaos import processes, wholeness
from benchmarks.chaos.person import AppError, Person, end_of
from benchmarks.chaos.plan import Blow, Phase, Plan, begun, config, ended
from benchmarks.chaos.wholeness import Outcome
from evals.errors import LogError
from ftspace.errors import FtspaceError
from ftspace.events import Event, Resumed, Started, read_events
from ftspace.runs import Run, RunReader
from ftspace.state import TERMINAL, Status, fold

Kind = Literal["lost", "orphans", "torn", "different"]

PATIENCE = 240.0
"""A run that has not come on for so long never will."""
BY_ITSELF = 60.0
"""After so long nobody believes any more that a run goes on by itself."""
ALONE = 30.0
"""For so long a run may be said to wait or to be at work when no process is there for it."""
QUIET = 30.0
"""How long processes may take to go."""
LOOK_SECONDS = 3.0
"""Between two looks of the person at the page."""
_PEEK_SECONDS = 0.002
_ATTEND_SECONDS = 0.2
_ASKED_TWICE = 20.0
"""Between two times that the person asks for a resume."""


@dataclass
class Report:
    """What came of a round."""

    wrong: dict[Kind, list[str]] = field(default_factory=lambda: defaultdict[Kind, list[str]](list))
    struck: list[Blow] = field(default_factory=list[Blow])
    """The kills that met a process."""
    story: list[str] = field(default_factory=list[str])
    """What was seen of the run's status, and what was done."""
    continued: bool = False
    """Whether the training went on from a checkpoint."""
    by_itself: bool = False
    """Whether a job was begun again without being asked for."""
    seconds: float = 0.0


class Round:
    """A plan and the person who lives with it."""

    def __init__(self, plan: Plan, person: Person, lasts: dict[Phase, float]) -> None:
        """`lasts` says how many seconds each phase takes."""
        self._plan, self._person, self._lasts = plan, person, lasts
        self.report = Report()
        self.run: Run = person.store.create(config(auto_resume=plan.auto_resume, evaluated=plan.evaluated))
        self.queued_at = 0.0
        """When the start was asked for: Unix time."""
        self._reader = RunReader(self.run)
        self._status: Status | None = None
        self._asked = 0
        now = time.monotonic()
        self._looked_at = self._since = self._attended_at = now
        self._asked_at = -_ASKED_TWICE
        self._size = self._offset = 0

    def play(self, like: Outcome | None) -> Report:
        """Plays it. What comes out must be as `like` is."""
        began, report = time.monotonic(), self.report
        try:
            self._person.open()
            if self._plan.warm:
                self._person.await_worker()
            self._since, self.queued_at = time.monotonic(), time.time()
            asking = self._person.asks("start", self.run)
            for blow in self._plan.blows:
                self._strike(blow)
            if end_of(asking, PATIENCE) is None:
                self._wrong("lost", "the start never came back")
            while not self._attend():
                time.sleep(_ATTEND_SECONDS)
            self._judge(like)
        except AppError as error:
            self._wrong("lost", str(error))
        report.seconds = time.monotonic() - began
        return report

    def _strike(self, blow: Blow) -> None:
        """Waits for the moment, and kills unless the run is over before."""
        again = bool(self.report.struck)
        _, self._offset = read_events(self.run.events) if again else ([], 0)
        seen: list[Event] = []
        while not begun(blow, seen, writing=self._see(seen)):
            if (again or seen) and time.monotonic() - self._attended_at > _ATTEND_SECONDS:
                over = self._attend() if again else self._reader.status() in TERMINAL
                self._attended_at = time.monotonic()
                if over:
                    return
            time.sleep(_PEEK_SECONDS)
        end = time.monotonic() + blow.share * self._lasts[blow.phase]
        while time.monotonic() < end and not ended(blow, seen, writing=self._see(seen)):
            time.sleep(_PEEK_SECONDS)
        hit = self._kill(blow)
        if hit:
            self.report.struck.append(blow)
            only = f", of whom there was {' and '.join(sorted(hit))}" if hit < set(blow.victims) else ""
            self.report.story.append(f"killed {blow}{only} after {time.time() - self.queued_at:.1f} s")
        if "worker" in hit:
            for what in wholeness.torn(self.run, len(self.report.struck), over=False):
                self._wrong("torn", f"after the kill: {what}")

    def _see(self, seen: list[Event]) -> bool:
        """Adds the new events to those that were seen; whether a checkpoint is being written now."""
        new, self._offset = read_events(self.run.events, self._offset)
        seen += new
        return any(self.run.checkpoints.glob(".new-*"))

    def _kill(self, blow: Blow) -> set[str]:
        """Kills the victims, waiting a moment for one that is not there; the roles of those that were."""
        end = time.monotonic() + 2.0
        while True:
            if not self.run.is_alive() and fold(read_events(self.run.events)[0]).end(self.run.jobs):
                return set()
            found = [one for role in blow.victims for one in processes.find(self._person.data_dir, role, self.run)]
            if {one.role for one in found} >= set(blow.victims) or time.monotonic() > end:
                break
            time.sleep(_PEEK_SECONDS)
        hit = {str(one.role) for one in found if processes.kill(one)}
        self._person.reap()
        while any(processes.lives(one) for one in found):
            time.sleep(_PEEK_SECONDS)
        return hit

    def _attend(self) -> bool:
        """One look of the person, who does what there is to do; whether the run is finished or given up."""
        now = time.monotonic()
        opened = self._person.try_to_open()
        if opened and now - self._looked_at > LOOK_SECONDS:
            self._looked_at = now
            self._person.look(self.run)
        status, size = self._reader.status(), self.run.events.stat().st_size if self.run.events.exists() else 0
        if status != self._status:
            self.report.story.append(f"{status} after {time.time() - self.queued_at:.1f} s")
        if (status, size) != (self._status, self._size):
            self._status, self._size, self._since = status, size, now
        if status == "finished":
            return opened
        waited = now - self._since
        if waited > PATIENCE:
            self._wrong("lost", f"is {status} and does not come on")
            return True
        if status in TERMINAL:
            return opened and self._go_on(status, waited)
        at_work = [one for one in processes.of_data_dir(self._person.data_dir) if one.role in ("supervisor", "worker")]
        if opened and waited > ALONE and not at_work:
            self._wrong("lost", f"is said to be {status} and nobody is at work")
            return True
        return False

    def _go_on(self, status: Status, waited: float) -> bool:
        """Has a run that is over go on, unless that is to happen by itself; whether it is given up."""
        by_itself = self._plan.auto_resume and status == "interrupted"
        if (by_itself and waited < BY_ITSELF) or time.monotonic() - self._asked_at < _ASKED_TWICE:
            return False
        if by_itself:
            self._wrong("lost", "did not go on by itself")
        if self._asked > len(self._plan.blows):
            self._wrong("lost", f"is {status} after {self._asked} resumes")
            return True
        taken = end_of(self._person.asks("resume", self.run), PATIENCE) == 0
        self._asked += taken
        self._asked_at = time.monotonic() - (0 if taken else _ASKED_TWICE - LOOK_SECONDS)
        self.report.story.append("resumed" if taken else "a resume was refused")
        return False

    def _judge(self, like: Outcome | None) -> None:
        """Looks at what is left once the run is over."""
        data_dir = self._person.data_dir
        for what in processes.patiently(lambda: processes.orphans(data_dir, self._person.app), QUIET):
            self._wrong("orphans", what)
        locks = processes.patiently(
            lambda: processes.held_locks(self._person.store.runs_dir, supervised=self._person.app is not None), QUIET
        )
        for what in locks:
            self._wrong("orphans", what)
        for what in processes.patiently(lambda: wholeness.torn(self.run, len(self.report.struck), over=True), QUIET):
            self._wrong("torn", what)
        self._read_again()
        events = read_events(self.run.events)[0]
        begun_jobs = Counter(event.job for event in events if isinstance(event, Started))
        self.report.continued = any(isinstance(event, Resumed) for event in events)
        self.report.by_itself = self._asked == 0 and max(begun_jobs.values(), default=0) > 1
        if like and self._status == "finished":
            for what in wholeness.outcome(self.run).unlike(like):
                self._wrong("different", what)

    def _read_again(self) -> None:
        """As somebody reads the run who has not seen it before."""
        try:
            run = self._person.store.get(self.run.id)
            status = RunReader(run).status()
            if run.id not in [one.id for one in self._person.store.list()]:
                self._wrong("lost", "is not listed")
            if status != self._status or run.config != self.run.config:
                self._wrong("lost", f"is read as {status} anew, and was {self._status}")
            wanted = [run.adapter, *([run.results] if run.config.eval.tasks else [])]
            if status == "finished" and not all(path.exists() for path in wanted):
                self._wrong("lost", "is said to be finished without adapter or results")
            self._person.look(run)
        except (FtspaceError, LogError, OSError) as error:
            self._wrong("lost", f"cannot be read: {error}")

    def _wrong(self, kind: Kind, what: str) -> None:
        self.report.wrong[kind].append(what)
        self.report.story.append(f"{kind.upper()}: {what}")
