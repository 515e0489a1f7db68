"""All answers and scores of a folder in one file: a row for each task, side and sample. Knows logs only."""

import csv
import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evals.errors import LogError
from evals.log import EvalLog, read_log

COLUMNS = {
    "task": "the task's name",
    "kind": "generation, choice or checks",
    "role": "gain or forgetting: what the task is asked for",
    "side": "whose answer it is: base, tuned, or another by its name",
    "model": "what answered, where that is not the base with or without an adapter",
    "adapter": "the adapter in use; empty for the base",
    "id": "the sample's id: the same for all sides",
    "item_hash": "a hash of the question and what is expected",
    "group": "samples of one group are not independent of each other",
    "category": "what kind of question it is, where the task says it",
    "overlap": "whether the training rows repeat the sample",
    "prompt": "the text that the model was given",
    "expected": "a list: accepted answers, the right choice, or the checks in words",
    "output": "what the model wrote, or the choice it found most likely",
    "finish": "end or length: whether a written answer ended by itself or was cut off",
    "unscored": "why scores are missing",
}
"""The columns before those of scores. For each metric there is one more, `score.NAME`: null where there is no score."""


def to_parquet(folder: Path, path: Path) -> int:
    """Write all logs under `folder/<task>/<side>.json` into one file, whole or not at all.

    Returns:
        How many rows it has.

    Raises:
        LogError: there are no logs, one is damaged, or the disk refuses.
    """
    import pyarrow as pa
    from pyarrow import parquet

    rows, metrics = _table(folder)
    text = pa.string()
    kinds = dict.fromkeys(COLUMNS, text) | {"overlap": pa.bool_(), "expected": pa.list_(text)}
    schema = pa.schema([*kinds.items(), *((name, pa.float64()) for name in metrics)])
    with _beside(path) as beside:
        parquet.write_table(pa.Table.from_pylist(rows, schema=schema), beside)
    return len(rows)


def to_csv(folder: Path, path: Path) -> int:
    """The same as CSV: what is expected is a JSON list, and a missing score is empty."""
    rows, metrics = _table(folder)
    with _beside(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *metrics])
        writer.writeheader()
        writer.writerows({**row, "expected": json.dumps(row["expected"], ensure_ascii=False)} for row in rows)
    return len(rows)


def _table(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of all logs, and the columns of scores. Raises LogError."""
    logs = [read_log(one) for one in sorted(folder.glob("*/*.json"))] if folder.is_dir() else []
    if not logs:
        raise LogError(f"{folder}: there are no logs: name a folder that `python -m evals run` wrote")
    rows = [row for log in logs for row in _rows(log)]
    return rows, list(dict.fromkeys(name for row in rows for name in row if name not in COLUMNS))


@contextmanager
def _beside(path: Path) -> Generator[Path]:
    """A file beside `path` that takes its place once it is written. Raises LogError if the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)
        beside = Path(name)
        try:
            yield beside
            beside.chmod(0o644)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise LogError(f"{path}: can't be written: {error.strerror or error}") from error


def _rows(log: EvalLog) -> list[dict[str, Any]]:
    of_log = {
        "task": log.spec.task,
        "kind": log.spec.kind,
        "role": log.role,
        "side": log.which,
        "model": log.model,
        "adapter": log.adapter,
    }
    own = [name for name in COLUMNS if name not in of_log]
    return [
        {
            **of_log,
            **{name: getattr(sample, name) for name in own},
            **{f"score.{name}": None if score != score else score for name, score in sample.scores.items()},
        }
        for sample in log.samples
    ]
