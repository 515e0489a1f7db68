"""What `inspect` finds out about a dataset, and how it looks on a terminal. Knows neither tokenizers nor files."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ftspace.data.report import DataReport
from ftspace.sections import LossOn

TRAINED: dict[LossOn, str] = {
    "assistant": "every answer and its end",
    "completion": "the last answer of each conversation and its end",
    "all": "all of a conversation but its first token",
}
"""What is trained, in words."""


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TokenCounts(_Plain):
    """Lengths of the conversations, in tokens of the model, before anything is cut."""

    p50: int
    """Half of the conversations are no longer."""
    p95: int
    """19 of 20 are no longer."""
    max: int
    total: int


class Shown(_Plain):
    """One conversation, and the text that the model reads."""

    messages: list[dict[str, Any]]
    rendered: str
    trained: list[tuple[int, int]]
    """Where in the text the characters lie that are trained."""


class Checked(_Plain):
    """One of the checks that come before a run."""

    level: str
    """ok, warning or stop."""
    what: str
    detail: str
    fix: str


class Inspection(_Plain):
    """A dataset as a run with this config would train on it."""

    dataset: str
    model: str
    """Whose tokenizer and chat template were used."""
    format: str
    mapping: dict[str, str]
    """Which column is what."""
    confidence: float
    """From 0 to 1; 1 when the config gave the mapping."""
    reason: str
    alternatives: list[str]
    """Other readings that the rows allow."""
    rows: int
    """All rows read, those left out included."""
    dropped: dict[str, int]
    """Rows left out, by reason: unusable ones, and those that `data.filters` and the review take."""
    splits: dict[str, int]
    """Rows by split, as a run would train and ask them."""
    overlap: int
    """Test rows that training rows repeat, whole or in part."""
    tokens: TokenCounts
    truncated_share: float
    """Share of the conversations that are longer than train.max_length."""
    loss_on: LossOn
    """What is trained of a conversation."""
    supervised_share: float
    """Share of the tokens kept that are trained."""
    report: DataReport | None
    """What was found in the rows."""
    checks: list[Checked]
    """What the first rows look like in the model's tokens."""
    warnings: list[str]
    preview: list[Shown]


def to_rich(found: Inspection) -> RenderableType:
    """The inspection for a person."""
    table = Table(show_header=False, title=Text(found.dataset), title_justify="left")
    table.add_column("what", no_wrap=True)
    table.add_column("found")
    for what, words in _lines(found):
        table.add_row(what, Text(words))
    warnings = [Text(f"warning: {warning}", style="yellow") for warning in found.warnings]
    panels = [
        Panel(_marked(shown), title=f"row {number} as the model reads it, green what is trained", title_align="left")
        for number, shown in enumerate(found.preview, start=1)
    ]
    return Group(table, *warnings, *panels)


def _marked(shown: Shown) -> Text:
    text = Text(shown.rendered)
    for start, stop in shown.trained:
        text.stylize("green", start, stop)
    return text


def _lines(found: Inspection) -> Iterator[tuple[str, str]]:
    dropped = sum(found.dropped.values())
    yield "read as", f"{found.format} (confidence {found.confidence:.2f})"
    yield "because", found.reason
    yield "mapping", ", ".join(f"{role} = {column}" for role, column in found.mapping.items())
    if found.alternatives:
        yield "or", ", ".join(found.alternatives)
    yield "rows", f"{found.rows}, of which {found.rows - dropped} can be used"
    if dropped:
        yield "left out", ", ".join(f"{count} with {reason}" for reason, count in found.dropped.items())
    if found.overlap:
        yield "overlap", f"{found.overlap} test rows are repeated by training rows, whole or in part"
    yield "split", ", ".join(f"{count} {split}" for split, count in found.splits.items())
    for one in found.report.found if found.report else []:
        example = f": {one.examples[0].excerpt}" if one.examples else ""
        rows = "1 row" if one.rows == 1 else f"{one.rows:,} rows"
        yield one.finding, f"{rows}{' left out' if one.removed else ''} ({one.share:.1%}), {one.words}{example}"
    tokens = found.tokens
    yield "tokens", f"{tokens.total} in all; a row {tokens.p50} (median), {tokens.p95} (95 %), {tokens.max} (longest)"
    yield "cut off", f"{found.truncated_share:.1%} of the rows are longer than train.max_length"
    yield "trained", f"{found.supervised_share:.1%} of the tokens: {TRAINED[found.loss_on]}"
    yield "model", f"{found.model}: its tokenizer"
    for check in found.checks:
        if check.level == "ok":
            yield check.what, check.detail
