"""What a job tells: one JSON line an event, appended to a run's events.jsonl. Knows nothing of what is made of them.

A line is one O_APPEND write, so a reader sees whole lines and perhaps a torn tail, left for later. On a full disk the
last events find room in `.reserve` beside the file, which a job keeps for them.
"""

import errno
import gc
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ftspace.disk import FULL, give_some, keep_aside
from ftspace.errors import Reason
from ftspace.redact import redact

VERSION = 1
RESERVE, RESERVED = ".reserve", 256 * 1024
_FREE_TEXT = ("message", "verdict", "prompt", "answer", "reference")

JobName = Literal["train", "evaluate", "push"]
EndStatus = Literal["finished", "failed", "cancelled"]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", use_attribute_docstrings=True)

    v: int = VERSION
    """Version of the event format."""
    seq: int = -1
    """Number of the line in its file, from 0; set by EventLog."""
    time: float = 0.0
    """Unix time in seconds; set by EventLog."""


class Started(_Event):
    """A job's process began."""

    type: Literal["started"] = "started"
    job: JobName
    pid: int
    versions: dict[str, str] = {}
    """Versions of the libraries in use, by name."""


class Submitted(_Event):
    """The run was given to the Hub as a job, which may have to wait there for its machine."""

    type: Literal["submitted"] = "submitted"
    flavor: str
    """Its hardware, as the Hub calls it."""
    url: str
    """Where a person sees it."""
    minutes: float
    """After which the Hub ends it."""


class Preparing(_Event):
    """How far the look at the dataset's rows is."""

    type: Literal["preparing"] = "preparing"
    rows: int
    """Rows looked at so far."""


class Prepared(_Event):
    """The data and the model are ready; the first step comes next."""

    type: Literal["prepared"] = "prepared"
    rows: dict[str, int]
    """Rows by split: train, validation, test."""
    dropped: dict[str, int] = {}
    """Rows left out, by reason."""
    format: str
    """The dataset's format as recognized."""
    total_steps: int
    trainable_parameters: int
    parameters: int
    device: str
    hardware: str = ""
    """The name of the GPU or processor."""
    processes: int = 1
    """Processes that train together."""
    dtype: str
    recipe: dict[str, bool | int | float | str] = {}
    """What the run chose where the config leaves it open, by the config's names."""
    predicted_bytes: int | None = None
    """Peak memory of a process as estimated before the first step."""
    predicted_seconds: float | None = None
    """Seconds of training as estimated before the first step."""
    step_flops: float | None = None
    """Floating-point operations of a step, on average."""


class Step(_Event):
    """One optimizer step."""

    type: Literal["step"] = "step"
    step: int
    """Steps done, from 1."""
    epoch: float
    loss: float
    """Mean loss over the step's supervised tokens, in nats."""
    learning_rate: float
    grad_norm: float | None = None
    tokens: int
    """Tokens seen since the training began, padding not counted."""
    seconds: float
    """Seconds of training up to here, evaluations included; a resumed run goes on counting."""
    token_accuracy: float | None = None
    """Share of the step's supervised tokens that the model would have chosen itself."""
    memory: int | None = None
    """Peak bytes so far: the allocator's on a GPU, else the process's resident memory."""


class Validation(_Event):
    """The validation loss after a step; step 0 is the base."""

    type: Literal["validation"] = "validation"
    step: int
    loss: float
    token_accuracy: float | None = None
    score: float | None = None
    """Mean F1 of the words of the sample answers; None when none was asked or their text cannot be compared."""


class Sample(_Event):
    """What the model answers to one of the fixed questions after a step; step 0 is the base."""

    type: Literal["sample"] = "sample"
    step: int
    index: int
    """Number of the question, from 0."""
    prompt: str
    answer: str
    reference: str


class Checkpoint(_Event):
    """A state to resume from lies whole on the disk."""

    type: Literal["checkpoint"] = "checkpoint"
    step: int
    bytes: int
    seconds: float
    """How long writing it took."""


class Resumed(_Event):
    """The training goes on from a checkpoint: what was told of later steps is void."""

    type: Literal["resumed"] = "resumed"
    step: int
    reason: Literal["interrupted", "rollback"] = "interrupted"


class Asking(_Event):
    """The evaluation begins: all that it is going to ask."""

    type: Literal["asking"] = "asking"
    samples: int
    """Samples of all tasks, once for each of the sides that are asked them."""


class Progress(_Event):
    """How far an evaluation is."""

    type: Literal["progress"] = "progress"
    task: str
    which: str
    """Who is asked: base, tuned, or another side by its name, such as base-again."""
    done: int
    total: int


class Warned(_Event):
    """Something the person should know that does not end the job."""

    type: Literal["warning"] = "warning"
    message: str


class Awaiting(_Event):
    """The run waits for GPU time: what the job has done is kept, and is gone on with in the next lease."""

    type: Literal["awaiting"] = "awaiting"
    job: JobName
    message: str = ""
    """Why it waits, where more is to be said than that a lease is over."""
    until: float | None = None
    """Unix time at which it is asked again, where that is known."""


class AdapterSaved(_Event):
    """The adapter lies whole in the run's folder."""

    type: Literal["adapter_saved"] = "adapter_saved"
    step: int
    bytes: int


class Evaluated(_Event):
    """results.json lies whole in the run's folder."""

    type: Literal["evaluated"] = "evaluated"
    verdict: str


class Uploading(_Event):
    """How far a push is in sending its files."""

    type: Literal["uploading"] = "uploading"
    done: int
    """Bytes that the Hub has."""
    total: int


class Verifying(_Event):
    """How far a push is in reading back what the Hub holds."""

    type: Literal["verifying"] = "verifying"
    done: int
    """Bytes that were compared."""
    total: int


class Finished(_Event):
    """The last event of a job."""

    type: Literal["finished"] = "finished"
    job: JobName
    status: EndStatus
    reason: Reason = ""
    """One word for a failure."""
    message: str = ""
    """What happened, why and what to do, in one line."""
    seconds: float = 0.0


Event = Annotated[
    Started
    | Submitted
    | Preparing
    | Prepared
    | Step
    | Validation
    | Sample
    | Checkpoint
    | Resumed
    | Asking
    | Progress
    | Warned
    | Awaiting
    | AdapterSaved
    | Evaluated
    | Uploading
    | Verifying
    | Finished,
    Field(discriminator="type"),
]
_VALIDATOR = TypeAdapter[Event](Event).validator
"""The adapter's own, called without what wraps it: a long run has a hundred thousand lines."""
_MANY_BYTES = 1_000_000


_PASSING = (Preparing, Prepared, Step, Validation, Sample, Asking, Progress, Uploading, Verifying)
"""Events that the reserve is not for: where one of them cannot be told, the job has to end."""


class EventLog:
    """The one writer of an events file. Continues the numbering of what is already there."""

    def __init__(self, path: Path) -> None:
        """Opens `path` for appending; a torn last line, left by a writer that died, is closed off. Raises OSError."""
        self._reserve = path.with_name(RESERVE)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        existing = path.read_bytes()
        self._torn = bool(existing) and not existing.endswith(b"\n")
        self._seq = existing.count(b"\n") + self._torn

    def reserve(self) -> None:
        """Keeps room aside for the last events, until the job's very last. Raises OSError where there is none."""
        keep_aside(self._reserve, RESERVED)

    def append(self, event: Event, at: float | None = None) -> Event:
        """Writes one event with its number and time, secrets taken out; returns it as written.

        `at` is when it was told, where that was on another machine.
        Raises OSError, when the disk is full only for one that the reserve is not for, or when that is used up.
        """
        stamped = event.model_copy(update={"seq": self._seq, "time": time.time() if at is None else at})
        clean = {name: redact(text) for name in _FREE_TEXT if isinstance(text := getattr(stamped, name, None), str)}
        line = (stamped.model_copy(update=clean).model_dump_json() + "\n").encode()
        while True:
            try:
                self._write(b"\n" + line if self._torn else line)
                break
            except OSError as error:
                if error.errno not in FULL or isinstance(event, _PASSING) or not give_some(self._reserve):
                    raise
        self._torn = False
        self._seq += 1
        if isinstance(event, Finished):
            with suppress(OSError):
                self._reserve.unlink(missing_ok=True)
        return stamped

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)

    def _write(self, line: bytes) -> None:
        """The whole line or nothing of it."""
        size = os.fstat(self._fd).st_size
        if os.write(self._fd, line) != len(line):
            os.ftruncate(self._fd, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_events(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """The whole events of `path` from byte `offset` on, and the offset to go on from. No file is no events.

    Lines that are no events of this version (a torn line that a later writer closed off) are passed over.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read()
    except FileNotFoundError:
        return [], offset
    whole = chunk[: chunk.rfind(b"\n") + 1]
    with _uncollected(len(whole)):
        events = [event for line in whole.splitlines() if (event := parse_event(line)) is not None]
    return events, offset + len(whole)


@contextmanager
def _uncollected(size: int) -> Generator[None, None, None]:
    """Keeps the garbage collector from walking again and again through events of which none is garbage."""
    pausing = size > _MANY_BYTES and gc.isenabled()
    if pausing:
        gc.disable()
    try:
        yield
    finally:
        if pausing:
            gc.enable()


def parse_event(line: bytes | str) -> Event | None:
    """The event on a line, or None when it is none."""
    try:
        return _VALIDATOR.validate_json(line)
    except ValidationError:
        return None
