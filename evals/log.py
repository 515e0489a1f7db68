"""What an evaluation leaves on disk: one EvalLog for each task and model, and the Results of a comparison.

Knows nothing of models, tasks or statistics: only the shapes, and how to write and read them whole. A file is written
beside its place and renamed into it, so a file that is there is complete. NaN and infinities are written as strings.
"""

import os
import tempfile
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from evals.errors import LogError, one_line

Which = Literal["base", "tuned", "reference"]
Kind = Literal["generation", "choice", "checks"]
Verdict = Literal["better", "worse", "no difference shown", "too few to tell"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", protected_namespaces=())


class EvalSpec(_Record):
    """Everything that must be the same in two logs before their scores may be compared."""

    base: str
    """The base model: a Hub id or a path, as it was given."""
    base_revision: str | None = None
    """A Hub commit, or a fingerprint of a local model's files."""
    task: str
    """The task's name."""
    task_hash: str
    """A hash of the task's samples, in order."""
    kind: Kind
    """How the task is asked and scored."""
    n: int
    """How many samples were asked."""
    dtype: str
    """The floating type of the weights, such as float32."""
    quantization: str = "none"
    """How the base's weights are held: none, nf4 or int8."""
    device: str
    """The kind of device: cpu, cuda, mps."""
    tokenizer_hash: str
    """A hash of the tokenizer, so that the same text is the same tokens."""
    template_hash: str | None = None
    """A hash of the chat template; None when the task uses none."""
    max_new_tokens: int
    """The longest answer, in tokens."""
    end_ids: tuple[int, ...]
    """The token ids that end an answer."""
    batch_tokens: int
    """The budget that makes up the batches: in low precision a batch's composition changes answers."""
    seed: int
    """The random seed. Decoding is greedy, so it should not matter."""
    versions: dict[str, str]
    """Versions of the libraries that compute answers and scores."""


class Sample(_Record):
    """One question, what the model answered and what that is worth."""

    id: str
    """The sample's index in its task, as text: the same in every log of the task."""
    prompt: str
    """The text that the model was given, chat template and all."""
    expected: tuple[str, ...] = ()
    """Accepted answers, the right choice, or the checks in words."""
    output: str
    """What the model wrote, or the choice it found most likely."""
    finish: Literal["end", "length"] | None = None
    """Whether a written answer ended by itself or was cut off."""
    choices: tuple[str, ...] = ()
    """The choices of a multiple-choice sample."""
    logprobs: tuple[float, ...] = ()
    """The natural logarithm of each choice's probability given the prompt."""
    scores: dict[str, float] = {}
    """Metric to score. NaN is a score that is missing, never a bad one."""
    unscored: str | None = None
    """Why scores are missing."""
    group: str | None = None
    """Samples of one group are not independent of each other."""
    overlap: bool = False
    """Whether what the model was tuned on repeats the sample, whole or in part: its score may be remembered."""


class EvalLog(_Record):
    """One model's answers to one task."""

    spec: EvalSpec
    """What makes it comparable."""
    which: Which
    """Whose answers these are."""
    adapter: str | None = None
    """The adapter in use: a Hub id or a path. None for the base."""
    adapter_hash: str | None = None
    """A hash of the adapter's weights."""
    started: str
    """When it began: ISO 8601, UTC."""
    seconds: float
    """How long it took."""
    samples: tuple[Sample, ...]
    """In the task's order."""


class Row(_Record):
    """One metric of one task, base against tuned. Scores are fractions; every number is over the same `n` pairs."""

    task: str
    """The task's name."""
    metric: str
    """The metric's name."""
    base: float
    """The base's mean score."""
    base_stderr: float
    """Its standard error."""
    tuned: float
    """The tuned model's mean score."""
    tuned_stderr: float
    """Its standard error."""
    delta: float
    """Tuned minus base."""
    ci_low: float
    """Lower end of the 95 % paired interval of `delta`."""
    ci_high: float
    """Upper end of it."""
    n: int
    """Pairs of samples in which both were scored."""
    unscored: int
    """Pairs left out because one or both have no score."""
    verdict: Verdict
    """The difference in words."""


class SideBySide(_Record):
    """One sample with both answers, to be read by a person."""

    task: str
    """The task's name."""
    id: str
    """The sample's id."""
    prompt: str
    """The text that both were given."""
    expected: str
    """What would have been right."""
    base: str
    """The base's answer."""
    tuned: str
    """The tuned model's answer."""
    base_score: float
    """The base's score on the task's first metric."""
    tuned_score: float
    """The tuned model's."""


class Results(_Record):
    """A comparison: what `results.json` holds."""

    rows: tuple[Row, ...]
    """One for each task and metric."""
    verdict: str
    """The whole table in a sentence."""
    samples: tuple[SideBySide, ...] = ()
    """A few answers side by side, not chosen by their outcome."""


RecordT = TypeVar("RecordT", bound=_Record)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` whole or not at all; parent folders are made. Raises LogError if the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.iterdir():  # by a writer that was killed
            if left.name.startswith(f".{path.name}."):
                left.unlink(missing_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).chmod(0o644)
            Path(beside).replace(path)
        finally:
            Path(beside).unlink(missing_ok=True)
    except OSError as error:
        raise LogError(f"{path}: can't be written: {error.strerror or error}") from error


def _read(path: Path, model: type[RecordT]) -> RecordT:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise LogError(f"{path}: can't be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise LogError(f"{path}: not a {model.__name__} file: {where}: {one_line(Exception(first['msg']))}") from error


def write_log(path: Path, log: EvalLog) -> None:
    """Write one log. Raises LogError if the disk refuses."""
    write_text(path, log.model_dump_json(indent=1) + "\n")


def read_log(path: Path) -> EvalLog:
    """Read one log. Raises LogError if it is missing or is not a log."""
    return _read(path, EvalLog)


def write_results(path: Path, results: Results) -> None:
    """Write a comparison as JSON. Raises LogError if the disk refuses."""
    write_text(path, results.model_dump_json(indent=1) + "\n")


def read_results(path: Path) -> Results:
    """Read a comparison. Raises LogError if it is missing or is not one."""
    return _read(path, Results)
