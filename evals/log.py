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

Kind = Literal["generation", "choice", "checks"]
Verdict = Literal["better", "worse", "differs", "no difference shown", "too few to tell"]
Role = Literal["gain", "forgetting", "noise", "prompting", "reference", "earlier", "judge"]
"""Why two sides are compared: what tuning gave, what it lost, how far the base differs from itself, whether a good
prompt gives as much, how another model does, how this run did earlier or another run does, what a judge prefers."""
Better = Literal["higher", "lower", "neither"]
"""Which way a metric is good; neither: it describes, and no verdict is said of it."""
Subset = Literal["all", "clean"]
"""All samples, or those only that the training rows do not repeat."""
Tone = Literal["bad", "warning", "note"]
FindingKind = Literal[
    "adapter did nothing",
    "adapter not applied",
    "answers do not follow questions",
    "contaminated test",
    "forgetting",
    "prompting does as well",
    "never stops",
    "refuses more",
    "answers cut off",
    "scores missing",
    "noise",
    "judge favours a position",
    "judge favours length",
    "judge fails",
    "judge is family",
    "judge unproven",
    "judges disagree",
    "side not asked",
    "examples left out",
]


class _Record(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_inf_nan="strings",
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )


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
    few_shot: int = 0
    """How many solved examples stand before each question, where the task brings its own."""
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
    item_hash: str = ""
    """Sixteen hex digits over the question and what is expected: the same in every log that asked just this."""
    stats: dict[str, tuple[float, ...]] = {}
    """For metrics of a whole set (BLEU, perplexity): what is summed over samples before the score is computed."""


class EvalLog(_Record):
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


class Row(_Record):
    """One metric of one task, two sides; every number is over the same `n` pairs.

    `base` is the side named in `against`, and `tuned` the one named in `side`: mostly they are just these.
    """

    task: str
    """The task's name."""
    metric: str
    """The metric's name."""
    role: Role = "gain"
    """Why the two are compared."""
    side: str = "tuned"
    """Whose score stands in `tuned`."""
    against: str = "base"
    """Whose score stands in `base`."""
    subset: Subset = "all"
    """Of which samples. A row of the clean ones stands below that of all: its p is not adjusted, its verdict is what
    they alone would say, and the table's verdict leaves it out."""
    better: Better = "higher"
    """Which way the metric is good."""
    share: bool = True
    """Whether scores are shares of 1, to be shown in points of a hundred; other numbers are shown as they are."""
    base: float
    """The base's mean score, or the score of the whole set for a metric of the set."""
    base_stderr: float
    """Its standard error."""
    base_std: float = float("nan")
    """Standard deviation of the samples' scores."""
    base_min: float = float("nan")
    """The lowest of them."""
    base_max: float = float("nan")
    """The highest of them."""
    tuned: float
    """The tuned model's mean score."""
    tuned_stderr: float
    """Its standard error."""
    tuned_std: float = float("nan")
    """Standard deviation of the samples' scores."""
    tuned_min: float = float("nan")
    """The lowest of them."""
    tuned_max: float = float("nan")
    """The highest of them."""
    delta: float
    """Tuned minus base."""
    ci_low: float
    """Lower end of the 95 % paired interval of `delta`."""
    ci_high: float
    """Upper end of it."""
    p: float = float("nan")
    """Two-sided p value of "there is no difference", adjusted (Holm) for all rows of the table that carry a verdict."""
    test: str = ""
    """The test that gave it, and the interval's method, in words."""
    n: int
    """Pairs of samples in which both were scored."""
    groups: int | None = None
    """How many groups of dependent samples they are, where samples have groups."""
    changed: int | None = None
    """How many pairs differ, or groups that hold such a pair, where the interval is made of how they differ; fewer than
    10 are too few. None for 0/1 scores, which are counted, and where all are alike."""
    unscored: int
    """Pairs left out because one or both have no score."""
    detectable: float = float("nan")
    """The smallest true difference that a sample like this would have shown in 80 % of cases."""
    needed: int | None = None
    """How many pairs it would take to show the difference that was seen in 80 % of cases; None when none was seen."""
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
    """The base's score on the task's first metric that scores single samples."""
    tuned_score: float
    """The tuned model's."""


class Finding(_Record):
    """Something that a person must know before they believe the table."""

    kind: FindingKind
    """What it is called."""
    tone: Tone
    """How bad it is: bad takes the verdict away (a judge's: that judge's), a warning weakens it, a note explains."""
    message: str
    """What was seen, with figures, and what to do, in one or two sentences."""
    task: str | None = None
    """The task it was seen on; None when it is about all."""


class Change(_Record):
    """Did tuning change anything: the two models' own behaviour, whatever it is worth."""

    identical: float
    """Share of the greedy answers that are the same text in both."""
    answers: int
    """How many answers that is of."""
    kl: float
    """Kullback-Leibler divergence of tuned from base, nats a token, mean over the positions of expected answers."""
    kl_tokens: int
    """How many positions that is of."""
    update_norm: float
    """Frobenius norm of the adapter's updates over that of the weights they change."""
    updates: dict[str, float] = {}
    """The same for each kind of module, such as q_proj."""
    follows_base: float = float("nan")
    """How much likelier an expected answer is after its own question than after another one: mean of nats, base."""
    follows_tuned: float = float("nan")
    """The same of the tuned side. Near 0 its answers do not depend on what is asked."""
    follows_low: float = float("nan")
    """Lower end of the 95 % interval of `follows_tuned`."""
    follows_high: float = float("nan")
    """Upper end of it."""
    follows_change: float = float("nan")
    """`follows_tuned` minus `follows_base`."""
    follows_change_low: float = float("nan")
    """Lower end of its 95 % paired interval."""
    follows_change_high: float = float("nan")
    """Upper end of it."""
    follows_n: int = 0
    """How many samples that is of."""


class JudgeSummary(_Record):
    """What one judge said of two sides, and how far it can be believed."""

    judge: str
    """Its name: a model, and where it is asked."""
    kind: Literal["pairwise", "rubric"]
    """Asked which of two answers is better, or how good one is from 1 to 10."""
    side: str = "tuned"
    """The side whose wins are counted."""
    against: str = "base"
    """The other one."""
    n: int
    """Samples with a verdict in both orders (pairwise), or for both sides (rubric)."""
    missing: int
    """Samples without: failed calls and answers that are no verdict."""
    wins: int = 0
    """Preferred in both orders."""
    losses: int = 0
    """The other preferred in both orders."""
    ties: int = 0
    """Called equal, or another one preferred in each order."""
    flips: float = float("nan")
    """Share of samples in which the order of the answers changed the verdict."""
    first_share: float = float("nan")
    """Share of decided verdicts for the answer that stood first; 0.5 is fair."""
    longer_share: float = float("nan")
    """Share of decided samples in which the longer answer won."""
    controlled: float = float("nan")
    """Win rate if both answers were of one length (logistic regression): a diagnostic."""
    controlled_low: float = float("nan")
    """Lower end of its 95 % interval."""
    controlled_high: float = float("nan")
    """Upper end of it."""
    calls: int = 0
    """Calls made, those answered from the cache left out."""
    cost: float | None = None
    """What they cost, where a price was given."""


class Results(_Record):
    """A comparison: what `results.json` holds."""

    rows: tuple[Row, ...]
    """One for each task, metric and pair of sides."""
    verdict: str
    """The whole table in a sentence."""
    samples: tuple[SideBySide, ...] = ()
    """A few answers side by side, not chosen by their outcome."""
    findings: tuple[Finding, ...] = ()
    """What must be known before the table is believed, worst first."""
    change: Change | None = None
    """Whether tuning changed anything; None when there is no tuned side."""
    judges: tuple[JudgeSummary, ...] = ()
    """One for each judge and way of asking."""


class Asked(_Record):
    """What an evaluation asked of whom: `evaluation.json`, beside the folders of the tasks' logs."""

    sides: dict[str, tuple[str, ...]]
    """Tasks in order, and the sides that each was asked of: of `<task>/<side>.json`, these belong together."""
    findings: tuple[Finding, ...] = ()
    """What was seen while asking, such as a side that could not be asked."""
    change: Change | None = None
    """Whether tuning changed anything; only the loaded models can tell."""


RESULTS_FILE = "results.json"
"""What a comparison is called in an evaluation's folder."""
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


def write_asked(path: Path, asked: Asked) -> None:
    """Write what was asked. Raises LogError if the disk refuses."""
    write_text(path, asked.model_dump_json(indent=1) + "\n")


def read_asked(path: Path) -> Asked:
    """Read what was asked. Raises LogError if it is missing or is not that."""
    return _read(path, Asked)


def write_results(path: Path, results: Results) -> None:
    """Write a comparison as JSON. Raises LogError if the disk refuses."""
    write_text(path, results.model_dump_json(indent=1) + "\n")


def read_results(path: Path) -> Results:
    """Read a comparison. Raises LogError if it is missing or is not one."""
    return _read(path, Results)
