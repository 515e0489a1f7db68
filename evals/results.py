"""What is made of logs: the Results of a comparison and what was asked of whom, as they lie on disk.

Knows nothing of models, tasks or statistics: only the shapes.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from evals.files import Record, read_record, write_record

RESULTS_FILE = "results.json"
"""What a comparison is called in an evaluation's folder."""
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


class Row(Record):
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
    10 are too few. None for 0/1 scores, which are counted unless many are in groups, and where all are alike."""
    unscored: int
    """Pairs left out because one or both have no score."""
    detectable: float = float("nan")
    """The smallest true difference that a sample like this would have shown in 80 % of cases."""
    needed: int | None = None
    """How many pairs it would take to show the difference that was seen in 80 % of cases; None when none was seen."""
    verdict: Verdict
    """The difference in words."""


class SideBySide(Record):
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


class Finding(Record):
    """Something that a person must know before they believe the table."""

    kind: FindingKind
    """What it is called."""
    tone: Tone
    """How bad it is: bad takes the verdict away (a judge's: that judge's), a warning weakens it, a note explains."""
    message: str
    """What was seen, with figures, and what to do, in one or two sentences."""
    task: str | None = None
    """The task it was seen on; None when it is about all."""


class Change(Record):
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
    updates: dict[str, float] = Field(default_factory=dict[str, float])
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


class JudgeSummary(Record):
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


class Results(Record):
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


class Asked(Record):
    """What an evaluation asked of whom: `evaluation.json`, beside the folders of the tasks' logs."""

    sides: dict[str, tuple[str, ...]]
    """Tasks in order, and the sides that each was asked of: of `<task>/<side>.json`, these belong together."""
    findings: tuple[Finding, ...] = ()
    """What was seen while asking, such as a side that could not be asked."""
    change: Change | None = None
    """Whether tuning changed anything; only the loaded models can tell."""


def write_asked(path: Path, asked: Asked) -> None:
    """Write what was asked. Raises LogError if the disk refuses."""
    write_record(path, asked)


def read_asked(path: Path) -> Asked:
    """Read what was asked. Raises LogError if it is missing or is not that."""
    return read_record(path, Asked)


def write_results(path: Path, results: Results) -> None:
    """Write a comparison as JSON. Raises LogError if the disk refuses."""
    write_record(path, results)


def read_results(path: Path) -> Results:
    """Read a comparison. Raises LogError if it is missing or is not one."""
    return read_record(path, Results)
