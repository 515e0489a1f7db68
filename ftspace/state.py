"""What the events of a run add up to. Knows no file, no process and no screen."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

from ftspace.events import (
    AdapterSaved,
    Asking,
    Awaiting,
    Checkpoint,
    Evaluated,
    Event,
    Finished,
    JobName,
    Prepared,
    Preparing,
    Progress,
    Resumed,
    Sample,
    Started,
    Step,
    Submitted,
    Uploading,
    Validation,
    Verifying,
    Warned,
)

Status = Literal[
    "queued", "running", "waiting for GPU time", "stopping", "finished", "failed", "cancelled", "interrupted"
]
TERMINAL: frozenset[Status] = frozenset({"finished", "failed", "cancelled", "interrupted"})
_RECENT = 51
_TELLING = 0.03


@dataclass
class RunState:
    """What the events of a run add up to."""

    job: JobName | None = None
    """The job that began last."""
    submitted: Submitted | None = None
    """The job of the Hub that the run was given to, until it has begun there."""
    looked_at: int | None = None
    """Rows of the dataset looked at, while it is prepared."""
    prepared: Prepared | None = None
    steps: list[Step] = field(default_factory=list[Step])
    memory: int | None = None
    """The most bytes that a step told of."""
    resumed_at: int = 0
    """Steps in `steps` that were made before the training was resumed last."""
    validations: list[Validation] = field(default_factory=list[Validation])
    samples: list[Sample] = field(default_factory=list[Sample])
    """What was answered at the validations, in their order."""
    checkpoint: Checkpoint | None = None
    """The newest."""
    checkpoints: list[int] = field(default_factory=list[int])
    """The steps after which one was written."""
    resumes: list[Resumed] = field(default_factory=list[Resumed])
    """Where the training went on from a checkpoint, as far as that is not void itself."""
    warnings: list[str] = field(default_factory=list[str])
    progress: dict[tuple[str, str], Progress] = field(default_factory=dict[tuple[str, str], Progress])
    """How far the evaluation is, by task and which, the newest last."""
    asking: Asking | None = None
    """All that the evaluation asks, and when it began to."""
    awaiting: Awaiting | None = None
    """Since when the run waits for GPU time, and why; None while a job is at work."""
    adapter: AdapterSaved | None = None
    verdict: str | None = None
    versions: dict[str, str] = field(default_factory=dict[str, str])
    """Of the libraries that the newest job used, by name."""
    ended: dict[JobName, Finished] = field(default_factory=dict[JobName, Finished])
    """How each job that is over ended."""
    started_at: float | None = None
    last_at: float | None = None
    """Unix times of the first and the newest event."""

    def apply(self, event: Event) -> None:
        """Takes one more event into account."""
        self.started_at = self.started_at or event.time
        self.last_at = event.time
        match event:
            case Step():
                if self.steps and self.steps[-1].step >= event.step:
                    _forget(self.steps, lambda told: told.step >= event.step)
                    self.resumed_at = min(self.resumed_at, len(self.steps))
                self.steps.append(event)
                if event.memory is not None and (self.memory is None or event.memory > self.memory):
                    self.memory = event.memory
            case Started():
                self.job = event.job
                self.versions = event.versions or self.versions
                self.submitted = None if event.versions else self.submitted  # only a worker tells them
                self.ended.pop(event.job, None)
                self.awaiting = None
            case Submitted():
                self.submitted = event
            case Preparing():
                self.looked_at = event.rows
            case Prepared():
                self.prepared = event
            case Validation():
                _forget(self.validations, lambda told: told.step >= event.step)
                self.validations.append(event)
            case Sample():
                _forget(self.samples, lambda told: (told.step, told.index) >= (event.step, event.index))
                self.samples.append(event)
            case Checkpoint():
                self.checkpoint = event
                _forget(self.checkpoints, lambda told: told >= event.step)
                self.checkpoints.append(event.step)
            case Resumed():
                _forget(self.checkpoints, lambda told: told > event.step)
                _forget(self.resumes, lambda told: told.step > event.step)
                self.resumes.append(event)
                for told in (self.steps, self.validations, self.samples):
                    _forget(told, lambda one: one.step > event.step)
                self.resumed_at = len(self.steps)
                if self.checkpoint and self.checkpoint.step > event.step:
                    self.checkpoint = None
            case Warned():
                if event.message not in self.warnings:
                    self.warnings.append(event.message)
            case Asking():
                self.asking = event
                self.progress = {}
            case Progress():
                self.progress.pop((event.task, event.which), None)
                self.progress[event.task, event.which] = event
            case Awaiting():
                self.awaiting = event
            case AdapterSaved():
                self.adapter = event
            case Evaluated():
                self.verdict = event.verdict
            case Uploading() | Verifying():
                pass  # a push tells them, in a file of its own
            case Finished():
                self.awaiting = None
                self.ended[event.job] = event
            case _:
                assert_never(event)

    def end(self, jobs: list[JobName]) -> Finished | None:
        """The event that ended the run: the first job that failed or was cancelled, else the last job's end."""
        for job in jobs:
            finished = self.ended.get(job)
            if finished is None or finished.status != "finished":
                return finished
        return self.ended[jobs[-1]]

    def unfinished(self, jobs: list[JobName]) -> list[JobName]:
        """The jobs that are still to be done."""
        return [job for job in jobs if job not in self.ended or self.ended[job].status != "finished"]

    def status(self, jobs: list[JobName], *, alive: bool, stop_requested: bool, ticket: bool = False) -> Status:
        """The run's status, given whether a process holds its lock now, a stop was asked for, and it has a ticket."""
        end = self.end(jobs)
        if end is not None:
            return end.status
        if not alive:
            return "queued" if ticket else "interrupted"
        if stop_requested:
            return "stopping"
        if self.awaiting:
            return "waiting for GPU time"
        return "running" if self.job else "queued"

    @property
    def pace(self) -> float | None:
        """Seconds a step, by the newest 50 since the training was resumed, if it was; None before there are two."""
        since = self.resumed_at if len(self.steps) - self.resumed_at > 1 else 0
        recent = self.steps[max(since, len(self.steps) - _RECENT) :]
        if len(recent) < 2:
            return None
        return (recent[-1].seconds - recent[0].seconds) / max(1, recent[-1].step - recent[0].step)

    @property
    def asked(self) -> float | None:
        """The share of the evaluation's samples that were asked; None while it is not known how many there are."""
        if self.asking is None or not self.asking.samples:
            return None
        return min(1.0, sum(one.done for one in self.progress.values()) / self.asking.samples)

    @property
    def asking_seconds(self) -> float | None:
        """Seconds until all is asked, by the pace so far; None in the first few per cent, which say little."""
        if self.asked is None or self.asked < _TELLING or self.asking is None:
            return None
        began = self.asking.time
        return ((self.last_at or began) - began) * (1 - self.asked) / self.asked

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until the training is done, by its pace; None while that is not known."""
        if self.prepared is None or self.pace is None:
            return None
        return max(0.0, self.pace * (self.prepared.total_steps - self.steps[-1].step))


def _forget(told: list[Any], void: Callable[[Any], bool]) -> None:
    """Drops from the end what a job that was cut off had told and that another tells again."""
    while told and void(told[-1]):
        told.pop()


def fold(events: Iterable[Event]) -> RunState:
    """The state that a run's events add up to."""
    state = RunState()
    for event in events:
        state.apply(event)
    return state
