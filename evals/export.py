"""All answers and scores of a folder in one parquet file: a row for each task, side and sample. Knows logs only."""

import os
import tempfile
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
    logs = [read_log(one) for one in sorted(folder.glob("*/*.json"))] if folder.is_dir() else []
    if not logs:
        raise LogError(f"{folder}: there are no logs: name a folder that `python -m evals run` wrote")
    import pyarrow as pa
    from pyarrow import parquet

    rows = [row for log in logs for row in _rows(log)]
    metrics = list(dict.fromkeys(name for row in rows for name in row if name not in COLUMNS))
    text = pa.string()
    kinds = dict.fromkeys(COLUMNS, text) | {"overlap": pa.bool_(), "expected": pa.list_(text)}
    schema = pa.schema([*kinds.items(), *((name, pa.float64()) for name in metrics)])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)
        try:
            parquet.write_table(pa.Table.from_pylist(rows, schema=schema), beside)
            Path(beside).chmod(0o644)
            Path(beside).replace(path)
        finally:
            Path(beside).unlink(missing_ok=True)
    except OSError as error:
        raise LogError(f"{path}: can't be written: {error.strerror or error}") from error
    return len(rows)


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
