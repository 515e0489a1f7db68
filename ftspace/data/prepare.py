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
from ftspace.data.formats import Conversation, RowProblem, recognize, to_conversation
from ftspace.data.load import load_rows, peek_rows
from ftspace.errors import DatasetError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
PEEK = 20
"""Rows looked at to recognize a format."""


class Manifest(BaseModel):
    """What was prepared: data/manifest.json of a run. Written last, so its existence means the split is whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
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


def preview(config: DataConfig, count: int = 5) -> Preview:
    """The first `count` usable conversations, without reading the whole dataset. Raises DatasetError."""
    peeked = peek_rows(config, max(PEEK, count))
    rows = list(peeked.rows())
    fmt = recognize(peeked.columns, rows)
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
    )


def prepare(config: DataConfig, out_dir: Path) -> Manifest:
    """Writes train.jsonl, validation.jsonl, test.jsonl and manifest.json into `out_dir`; each line has `messages`.

    Raises DatasetError when no row is left to train on.
    """
    loaded = load_rows(config)
    rows = loaded.rows()
    first = list(islice(rows, PEEK))
    fmt = recognize(loaded.columns, first)
    out_dir.mkdir(parents=True, exist_ok=True)
    dropped: Counter[str] = Counter()
    counts: dict[Split, int] = dict.fromkeys(SPLITS, 0)
    files = {split: (out_dir / f"{split}.jsonl").open("w", encoding="utf-8") for split in SPLITS}
    content = hashlib.sha256()
    try:
        for row in chain(first, rows):
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
        rows=counts,
        dropped=dict(dropped),
        revision=loaded.revision,
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
