"""What is asked of whom: the plan of an evaluation. Says what is to be done; loads nothing and asks nobody.

Two sides are always there: the `base`, and with an adapter the `tuned` one. More can be added, each with a name that
also names its logs; all of them answer the same samples.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evals.errors import TaskError
from evals.metrics import check_chosen
from evals.tasks import Message, Task

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
BASE, TUNED, AGAIN, PROMPTED = "base", "tuned", "base-again", "base-prompted"


@dataclass(frozen=True)
class Again:
    """The base once more, in other batches: how far a model differs from itself is the noise floor."""

    name: str = AGAIN


@dataclass(frozen=True)
class Prompted:
    """The base with solved examples before each question: what tuning has to beat."""

    examples: tuple[tuple[Message, ...], ...]
    """Conversations, each ending with the assistant's turn; never of the samples asked."""
    system: str | None = None
    """A system message for questions that have none."""
    name: str = PROMPTED


@dataclass(frozen=True)
class Earlier:
    """The same base with another adapter: a checkpoint of this run, or another run."""

    name: str
    """Letters, digits, dash and underscore."""
    adapter: str | Path
    """A Hub id or a folder."""


@dataclass(frozen=True)
class Reference:
    """Any other model, behind an endpoint that speaks OpenAI's chat completions: a scale to read the scores by."""

    url: str
    """Its base address, such as http://127.0.0.1:8000/v1."""
    model: str
    """The model's name there."""
    token: str | None = field(default=None, repr=False)
    """What the endpoint asks for; it is never written down."""
    name: str = "reference"


Other = Again | Prompted | Earlier | Reference


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One base, what was tuned of it, the tasks, and how they are asked."""

    base: str | Path
    """A Hub id or a folder."""
    adapter: str | Path | None
    """A Hub id or a folder of a PEFT adapter, or of a whole tuned model; None asks the base alone."""
    tasks: Sequence[Task]
    """What to ask, each with a name of its own."""
    others: Sequence[Other] = ()
    """Sides beside base and tuned."""
    trained_on: Sequence[str] | None = None
    """The texts of the rows the adapter was trained on, to find test samples in; None when they are not known."""
    revision: str | None = None
    """The base's revision on the Hub."""
    dtype: str = "auto"
    """auto, float32, bfloat16 or float16."""
    device: str = "auto"
    """auto, cpu, cuda, ..."""
    quantization: str = "none"
    """none, nf4 or int8, of all sides alike."""
    trust_code: str | None = None
    """The commit of the base at which its own code may run."""
    chat_template: str | None = None
    """A Jinja template instead of the tokenizer's own."""
    max_new_tokens: int = 64
    """The longest answer, in tokens."""
    limit: int | None = None
    """At most so many samples of each task, from its start."""
    batch_tokens: int = 8192
    """The budget of a batch, in tokens."""
    metrics: Sequence[str] = ()
    """Metrics to compute of written answers (`evals.metrics`); none: those that suit the task."""
    embedding_model: str | Path | None = None
    """A local model for semantic similarity; None leaves that metric out."""
    seed: int = 0
    """For torch, and for what is drawn. Decoding is greedy."""

    def check(self) -> None:
        """Raise TaskError for a plan that can't be carried out, before anything is loaded."""
        if self.limit is not None and self.limit < 1:
            raise TaskError(f"the limit of samples is {self.limit}: it must be at least 1")
        if self.max_new_tokens < 1 or self.batch_tokens < 1:
            raise TaskError("max_new_tokens and batch_tokens must be at least 1")
        check_chosen(self.metrics, embedding=self.embedding_model is not None)
        if not self.tasks:
            raise TaskError("no tasks to ask")
        names = [BASE, TUNED, *(other.name for other in self.others)]
        if odd := next((name for name in names if not _NAME.fullmatch(name)), None):
            raise TaskError(f"a side's name may hold letters, digits, dash and underscore; rename {odd!r}")
        if doubled := next((name for name in names if names.count(name) > 1), None):
            raise TaskError(f"two sides are called {doubled}: give each a name of its own")
