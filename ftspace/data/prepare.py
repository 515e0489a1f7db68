"""Rows to a seeded split of conversations, written once into a run's folder. Knows no model and no tokenizer.

The split goes by the content of a conversation, not by its place: equal rows stay together, and rows added later move
none of the others.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ftspace.config import DataConfig
from ftspace.data.columns import Row
from ftspace.data.formats import Conversation, Format, RowProblem, given_format, recognize, rows_in, to_conversation
from ftspace.data.load import Rows, load_rows, peek_rows
from ftspace.errors import DatasetError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
PEEK = 20
"""Rows looked at to recognize a format."""


class Manifest(BaseModel):
    """What was prepared: data/manifest.json of a run. Written last, so its existence means the split is whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    mapping: dict[str, str] = {}
    """Which column was read as what."""
    warnings: tuple[str, ...] = ()
    """What a person should know about how the rows were read."""
    rows: dict[Split, int]
    dropped: dict[str, int]
    """Rows left out, by reason."""
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


def preview(config: DataConfig, count: int = 5) -> Preview:
    """The first `count` usable conversations, without reading the whole dataset. Raises DatasetError."""
    peeked = peek_rows(config, max(PEEK, count))
    rows = list(islice(rows_in(peeked.rows()), max(PEEK, count)))
    fmt = understand(config, peeked, rows)
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
        columns=peeked.columns,
        used=list(fmt.columns),
        conversations=conversations[:count],
        dropped=dict(dropped),
        understood=fmt,
    )


def understand(config: DataConfig, loaded: Rows, first: list[Row]) -> Format:
    """How to read the rows: as the config says, or as their columns and first rows show. Raises DatasetError."""
    if config.mapping or config.prompt_template or config.completion_template:
        mapping = {str(role): column for role, column in (config.mapping or {}).items()}
        templates = (config.prompt_template, config.completion_template)
        return given_format(loaded.columns, first, mapping, *templates, labels=loaded.labels)
    return recognize(loaded.columns, first, loaded.labels)


def open_rows(config: DataConfig) -> tuple[Format, Iterator[Row], str | None]:
    """The format, all rows asked for, and the commit they are read at. Raises DatasetError, or HubError."""
    loaded = load_rows(config)
    rows = islice(rows_in(loaded.rows()), config.max_samples)
    first = list(islice(rows, PEEK))
    return understand(config, loaded, first), chain(first, rows), loaded.revision


def prepare(config: DataConfig, out_dir: Path) -> Manifest:
    """Writes train.jsonl, validation.jsonl, test.jsonl and manifest.json into `out_dir`; each line has `messages`.

    Raises DatasetError when no row is left to train on.
    """
    fmt, rows, revision = open_rows(config)
    out_dir.mkdir(parents=True, exist_ok=True)
    dropped: Counter[str] = Counter()
    counts: dict[Split, int] = dict.fromkeys(SPLITS, 0)
    files = {split: (out_dir / f"{split}.jsonl").open("w", encoding="utf-8") for split in SPLITS}
    content = hashlib.sha256()
    try:
        for row in rows:
            try:
                conversation = to_conversation(row, fmt, config.system)
            except RowProblem as problem:
                dropped[str(problem)] += 1
                continue
            line = json.dumps({"messages": conversation}, ensure_ascii=False)
            split = assign(line, config)
            counts[split] += 1
            content.update(f"{split}\t{line}\n".encode())
            files[split].write(line + "\n")
    finally:
        for file in files.values():
            file.close()
    if not counts["train"]:
        raise DatasetError(
            f"no row of {config.id} is left to train on: {_count(dropped) or 'the dataset is too small'}"
        )
    manifest = Manifest(
        format=fmt.name,
        mapping=fmt.mapping,
        warnings=fmt.warnings,
        rows=counts,
        dropped=dict(dropped),
        revision=revision,
        content_hash=content.hexdigest(),
    )
    (out_dir / "manifest.json").write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def assign(line: str, config: DataConfig) -> Split:
    """The split of a conversation, by a hash of the seed and its JSON line."""
    digest = hashlib.sha256(f"{config.seed}\t{line}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < config.test_fraction:
        return "test"
    if place < config.test_fraction + config.validation_fraction:
        return "validation"
    return "train"


def read_split(data_dir: Path, split: Split) -> Iterator[Conversation]:
    """The conversations of one prepared split, in their order."""
    with (data_dir / f"{split}.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["messages"]


def _count(dropped: Counter[str]) -> str:
    return ", ".join(f"{count} with {reason}" for reason, count in dropped.most_common())
