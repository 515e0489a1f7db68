"""The prepared conversations as the token ids and labels that a trainer takes: made once, and kept by content.

Knows tokenizing and files, not the trainer. The files of one key are the same for every run, so a run with the same
rows, tokenizer, template and length finds them made. They may be deleted at any time.
"""

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from datasets import Dataset

from ftspace.data.prepare import Split, read_split
from ftspace.errors import DatasetError, ModelError
from ftspace.events import Warned
from ftspace.sections import LossOn
from ftspace.supervision import Side, Tally
from ftspace.training.tokens import Portable, Tokens, tokenize
from ftspace.workers import Job

VERSION = 2
"""Of what the files hold: raised when the renderer or the labels change."""
KEEP_BYTES = 20 * 2**30
"""Size up to which files of earlier runs are kept."""
ABANDONED = 24 * 60 * 60
"""Seconds after which files that were begun and are not written to any more are a dead process's."""
ROWS, INFO, BUILDING = "rows.arrow", "info.json", ".new-"
_SCHEMA = pa.schema([("input_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32()))])


@dataclass(frozen=True)
class SupervisedRows:
    """A prepared split in tokens."""

    dataset: Dataset
    """Rows of `input_ids` and `labels`, mapped from a file."""
    lost: int
    """Rows left out, since the cut takes their whole answer."""
    tally: Tally
    made: bool
    """Whether they were tokenized now; False when they were there."""


@dataclass(frozen=True)
class TrainingRows:
    """What a run trains on, and measures itself by, in tokens."""

    train: Dataset
    validation: Dataset
    mean_tokens: float
    """Of a training row."""
    dropped: dict[str, int]
    """Training rows left out, by reason."""


def training_rows(job: Job, tokenizer: Any) -> TrainingRows:
    """The run's prepared training and validation rows in tokens; tells what a person should know of them.

    Raises DatasetError when every answer is cut off, or the best weights are to be told and there is no validation row;
    ModelError when the chat template refuses all rows.
    """
    run, recipe = job.run, job.run.config.train
    length, side, cache = recipe.max_length, recipe.truncation_side, job.run.cache / "tokens"
    splits: tuple[Split, ...] = ("train", "validation")
    train, validation = (
        supervised_rows(tokenizer, run.data, split, length, side, recipe.loss_on, cache=cache, check=job.stop_here)
        for split in splits
    )
    for warning in train.tally.warnings():
        job.tell(Warned(message=warning))
    refused = sum(train.tally.refused.values())
    if not len(train.dataset) and refused > train.lost:
        raise ModelError(train.tally.refused.most_common(1)[0][0])
    if not len(train.dataset):
        raise DatasetError(
            f"in all {train.lost} training rows the answer is cut off: they are cut after {length} tokens; "
            "raise train.max_length"
        )
    if not len(validation.dataset) and (recipe.keep == "best" or recipe.patience):
        raise DatasetError(
            "train.keep best and train.patience go by validation rows, and this dataset leaves none; raise "
            "data.validation_fraction, or leave them out"
        )
    if train.lost:
        job.tell(Warned(message=f"{train.lost} rows are left out: train.max_length cuts their answer off"))
    dropped = {"answer cut off": train.lost, "refused by the chat template": refused}
    tokens = sum(len(chunk.flatten()) for chunk in train.dataset.data.column("input_ids").chunks)
    return TrainingRows(
        train.dataset,
        validation.dataset,
        tokens / len(train.dataset),
        {why: count for why, count in dropped.items() if count},
    )


def supervised_rows(
    tokenizer: Any,
    data_dir: Path,
    split: Split,
    max_length: int,
    side: Side = "right",
    loss_on: LossOn = "assistant",
    *,
    cache: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> SupervisedRows:
    """A prepared split in tokens, from `cache` (the data folder when None) if the same content was tokenized before.

    `check` is called now and then, and may raise to end the work.
    """
    portable = Portable.of(tokenizer)
    store = cache if cache and portable else data_dir / "tokens"
    rows = data_dir / f"{split}.jsonl"
    place = store / (_key(portable, rows, max_length, side, loss_on) if portable else split)
    made = portable is None or not (place / INFO).exists()
    if made:
        store.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=BUILDING, dir=store) as building:
            conversations = read_split(data_dir, split)
            tokens = tokenize(tokenizer, conversations, max_length, side, loss_on=loss_on)
            _make(Path(building), tokens, check)
            shutil.rmtree(place, ignore_errors=True)
            Path(building).rename(place)
    (place / INFO).touch()
    _prune(store, spare=place)
    return _read(place, made=made)


def _key(portable: Portable, rows: Path, max_length: int, side: Side, loss_on: LossOn) -> str:
    with rows.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    parts = [VERSION, content, portable.backend, portable.special_tokens, portable.extra, portable.chat_template]
    if "strftime_now" in json.dumps(portable.chat_template):
        parts.append(date.today().isoformat())
    return hashlib.sha256(json.dumps([*parts, max_length, side, loss_on]).encode()).hexdigest()[:40]


def _make(folder: Path, tokens: Iterable[Tokens], check: Callable[[], None]) -> None:
    """Writes the rows as they come, and at last what is to be said of them."""
    lost, tally = 0, Tally()
    with pa.OSFile(str(folder / ROWS), "wb") as file, pa.ipc.new_stream(file, _SCHEMA) as writer:
        for part in tokens:
            check()
            columns = [pa.ListArray.from_arrays(part.offsets.astype("int32"), one) for one in (part.ids, part.labels)]
            writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
            lost += part.lost
            tally.merge(part.tally)
    said = {"lost": lost, "folded": tally.folded, "untrained": tally.untrained, "refused": dict(tally.refused)}
    (folder / INFO).write_text(json.dumps(said), encoding="utf-8")


def _read(place: Path, *, made: bool) -> SupervisedRows:
    said: dict[str, Any] = json.loads((place / INFO).read_text(encoding="utf-8"))
    tally = Tally(said["folded"], said["untrained"], Counter(said["refused"]))
    return SupervisedRows(Dataset.from_file(str(place / ROWS)), said["lost"], tally, made)


def _prune(store: Path, spare: Path) -> None:
    """Takes away what killed processes left, and the files not used for longest until the rest is within KEEP_BYTES."""
    for begun in store.glob(f"{BUILDING}*"):
        with suppress(FileNotFoundError):
            if max(path.stat().st_mtime for path in (begun, *begun.iterdir())) < time.time() - ABANDONED:
                shutil.rmtree(begun, ignore_errors=True)
    kept = 0
    for info in sorted(store.glob(f"*/{INFO}"), key=lambda file: -file.stat().st_mtime):
        kept += sum(file.stat().st_size for file in info.parent.iterdir())
        if kept > KEEP_BYTES and info.parent != spare:
            shutil.rmtree(info.parent, ignore_errors=True)
