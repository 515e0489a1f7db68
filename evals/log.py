"""What one model answered to one task: an EvalLog, its spec and its samples, as they lie on disk.

Knows nothing of models, tasks or statistics: only the shapes.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from evals.files import Record, read_record, write_record

Kind = Literal["generation", "choice", "checks"]


class EvalSpec(Record):
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
    few_shot: int = 0
    """How many solved examples stand before each question, where the task brings its own."""
    seed: int
    """The random seed. Decoding is greedy, so it should not matter."""
    versions: dict[str, str]
    """Versions of the libraries that compute answers and scores."""


class Sample(Record):
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
    scores: dict[str, float] = Field(default_factory=dict[str, float])
    """Metric to score. NaN is a score that is missing, never a bad one."""
    unscored: str | None = None
    """Why scores are missing."""
    group: str | None = None
    """Samples of one group are not independent of each other."""
    category: str | None = None
    """What kind of question it is, where the task says it."""
    overlap: bool = False
    """Whether what the model was tuned on repeats the sample, whole or in part: its score may be remembered."""
    item_hash: str = ""
    """Sixteen hex digits over the question and what is expected: the same in every log that asked just this."""
    stats: dict[str, tuple[float, ...]] = Field(default_factory=dict[str, tuple[float, ...]])
    """For metrics of a whole set (BLEU, perplexity): what is summed over samples before the score is computed."""


class EvalLog(Record):
    """One model's answers to one task."""

    spec: EvalSpec
    """What makes it comparable."""
    which: str
    """Whose answers these are: base, tuned, or another side by its name (`evals.plan`)."""
    role: Literal["gain", "forgetting"] = "gain"
    """Whether the task is asked for what tuning gives or for what it loses."""
    asked_with: str | None = None
    """A hash of what stands before every question for this side only, such as examples; None when nothing does."""
    model: str | None = None
    """What answered, where that is not `spec.base`: a reference model behind an endpoint."""
    adapter: str | None = None
    """The adapter in use: a Hub id or a path. None for the base."""
    adapter_hash: str | None = None
    """A hash of the adapter's weights."""
    embedding: str | None = None
    """Which embedding model semantic_similarity is by; None without that metric."""
    metrics: tuple[str, ...] = ()
    """The task's metrics, the one that counts first: chosen ones, or those that suit it. Those that describe are named
    only if chosen. Empty: the samples' scores are in order."""
    started: str
    """When it began: ISO 8601, UTC."""
    seconds: float
    """How long it took."""
    samples: tuple[Sample, ...]
    """In the task's order."""


def write_log(path: Path, log: EvalLog) -> None:
    """Write one log. Raises LogError if the disk refuses."""
    write_record(path, log)


def read_log(path: Path) -> EvalLog:
    """Read one log. Raises LogError if it is missing or is not a log."""
    return read_record(path, EvalLog)
