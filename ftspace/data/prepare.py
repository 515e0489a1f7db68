"""A dataset to a seeded split of conversations, written once into a run's folder. Knows no model and no tokenizer.

Three passes: every row is looked at (gather.py), it is settled what belongs together, what goes where and what is left
out (settle.py), and the files are written. A row that is left out is named in `removed.jsonl` with the reason.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict

from ftspace.data.formats import Conversation, Format, RowProblem, to_conversation
from ftspace.data.gather import Check, Gathered, gather
from ftspace.data.load import Rows, peek_rows
from ftspace.data.report import DataReport
from ftspace.data.review import Decision, find_review, read_review
from ftspace.data.settle import Settled, settle
from ftspace.data.sources import PEEK, Opened, first_usable, open_sources
from ftspace.data.split import SPLITS, Split
from ftspace.data.write import Written, write_splits
from ftspace.errors import DatasetError
from ftspace.sections import DataConfig

REVIEW = "review.jsonl"
"""The copy of the review's decisions that the preparation went by."""
_LARGE = 0.2
"""A group of rows that must stay together is worth a word from this share of all rows on."""


class Manifest(BaseModel):
    """What was prepared: data/manifest.json of a run. Written last, so its existence means the split is whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    mapping: dict[str, str] = {}
    """Which column was read as what."""
    confidence: float = 1.0
    """From 0 to 1: how well this reading fits."""
    reason: str = ""
    alternatives: tuple[str, ...] = ()
    """Other readings that the rows allow."""
    warnings: tuple[str, ...] = ()
    """What a person should know about how the rows were read."""
    read: int = 0
    """All rows read, those left out included."""
    rows: dict[Split, int]
    splits: dict[Split, str] = {}
    """Where the rows of each split are from."""
    dropped: dict[str, int]
    """Rows that cannot be used, by reason."""
    removed: dict[str, int] = {}
    """Rows that a filter or the review took out, by reason."""
    unused: int = 0
    """Training rows beyond `data.fraction`."""
    overlap: int = 0
    """Test rows that training rows repeat, whole or in part; each is marked in test.jsonl."""
    report: DataReport | None = None
    """What was found in the rows."""
    revision: str | None
    """Commit of a Hub dataset."""
    content_hash: str
    """SHA-256 over the prepared files."""


@dataclass(frozen=True)
class Preview:
    """The first conversations of a dataset, as they would be trained."""

    format: str
    columns: list[str]
    """All columns of the dataset."""
    used: list[str]
    """The columns that make the conversation."""
    conversations: list[Conversation]
    dropped: dict[str, int]
    """Rows among those looked at that cannot be used, by reason."""
    understood: Format
    """How the rows were read: mapping, confidence, reason, warnings."""


@dataclass(frozen=True)
class PreparedRow:
    """A line of a prepared split."""

    messages: Conversation
    overlap: bool = False
    """Whether training rows repeat this test row, whole or in part."""


def preview(config: DataConfig, count: int = 5, peek: Callable[[DataConfig, int], Rows] = peek_rows) -> Preview:
    """The first `count` usable conversations, without reading the whole dataset; `peek` gives its first rows.

    Raises DatasetError.
    """
    reading = first_usable(config, max(PEEK, count), peek)
    rows, fmt = reading.first, reading.format()
    conversations: list[Conversation] = []
    dropped: Counter[str] = Counter()
    for row in rows:
        try:
            conversations.append(to_conversation(row, fmt, config.system))
        except RowProblem as problem:
            dropped[str(problem)] += 1
    if not conversations:
        raise DatasetError(f"none of the first {len(rows)} rows of {config.id} can be used: {_count(dropped)}")
    return Preview(
        format=fmt.name,
        columns=reading.columns,
        used=list(fmt.columns),
        conversations=conversations[:count],
        dropped=dict(dropped),
        understood=fmt,
    )


def prepare(
    config: DataConfig,
    out_dir: Path,
    check: Check = lambda _: None,
    workers: int | None = None,
    *,
    needs: Split | None = "train",
) -> Manifest:
    """Writes train.jsonl, validation.jsonl, test.jsonl, removed.jsonl and manifest.json into `out_dir`.

    Each line of a split has `messages`; one of the test split that training rows repeat also has `"overlap": true`.
    `check` is told how many rows have been looked at, and may raise to end the work. `workers` are the processes to
    use, all cores when not given. Raises DatasetError when no row is left in the split that `needs` names, in any split
    when it is None.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / "manifest.json").unlink(missing_ok=True)  # until all is written again
    for split in SPLITS:  # the files may be another run's too, by another name
        (out_dir / f"{split}.jsonl").unlink(missing_ok=True)
    for left in out_dir.glob(".gathering-*"):  # by a preparation that was killed
        shutil.rmtree(left, ignore_errors=True)
    review = _take_review(config, out_dir)
    opened = open_sources(config)
    with TemporaryDirectory(prefix=".gathering-", dir=out_dir) as folder:
        gathered = gather(opened.sources, Path(folder), check, workers)
        settled = settle(gathered, config, opened.fixed)
        written = write_splits(out_dir, gathered, settled, review, config.system)
    if not (written.rows[needs] if needs else sum(written.rows.values())):
        why = _count(Counter(gathered.dropped) + written.removed)
        if written.unused:
            why = f"data.fraction of {config.fraction:g} takes none of {written.unused} training rows; raise it"
        raise DatasetError(f"no row of {config.id} is left to train on: {why or 'the dataset is too small'}")
    report = gathered.tally.report(config.filters)
    manifest = Manifest(
        format=opened.format.name,
        mapping=opened.format.mapping,
        confidence=opened.format.confidence,
        reason=opened.format.reason,
        alternatives=opened.format.alternatives,
        warnings=(*opened.format.warnings, *_warnings(config, opened, gathered, settled, written), *report.warnings),
        read=gathered.read,
        rows={split: written.rows[split] for split in SPLITS},
        splits=opened.names,
        dropped=gathered.dropped,
        removed=dict(written.removed),
        unused=written.unused,
        overlap=written.overlap,
        report=report,
        revision=opened.revision,
        content_hash=written.content.hexdigest(),
    )
    (out_dir / "manifest.json").write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def read_manifest(data_dir: Path) -> Manifest | None:
    """What was prepared in a run's data folder; None while nothing is, or when it is of another version."""
    try:
        return Manifest.model_validate_json((data_dir / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_rows(data_dir: Path, split: Split) -> Iterator[PreparedRow]:
    """The rows of one prepared split, in their order."""
    with (data_dir / f"{split}.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield PreparedRow(row["messages"], row.get("overlap", False))


def read_split(data_dir: Path, split: Split) -> Iterator[Conversation]:
    """The conversations of one prepared split, in their order."""
    return (row.messages for row in read_rows(data_dir, split))


def _take_review(config: DataConfig, out_dir: Path) -> Mapping[str, Decision]:
    """The decisions of the review, copied beside what they decide. Raises DatasetError."""
    path = find_review(config.review)
    if path is None:
        return {}
    decisions = read_review(path)
    shutil.copyfile(path, out_dir / REVIEW)
    return decisions


def _warnings(
    config: DataConfig, opened: Opened, gathered: Gathered, settled: Settled, written: Written
) -> Iterator[str]:
    """What a person should know about the split."""
    yield from opened.warnings
    if settled.largest > max(PEEK, _LARGE * len(gathered.table)):
        yield (
            f"{settled.largest} of {len(gathered.table)} rows are alike or begin with the same question, and so stay "
            "in one split: the shares of validation and test may differ from what was asked"
        )
    if settled.asked_alike:
        yield (
            f"{settled.asked_alike} rows have a prompt that more than a fifth of all rows have: they are split all the "
            "same, and test rows among them are marked as repeated by training rows"
        )
    if not written.rows["test"]:
        if (settled.where == SPLITS.index("test")).any():
            yield "data.filters or the review took all test rows, so `heldout` has nothing to ask; filter less"
        elif config.test_fraction:
            yield "no row fell to the test, so `heldout` has nothing to ask; raise data.test_fraction or add rows"


def _count(dropped: Counter[str]) -> str:
    return ", ".join(f"{count} with {reason}" for reason, count in dropped.most_common())
