"""A dataset's id or file to rows, through the `datasets` library. Knows nothing of conversations."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from evals.errors import one_line
from ftspace.config import DataConfig
from ftspace.errors import DatasetError
from ftspace.hub.find import commit_of
from ftspace.settings import resolve_local

BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet", ".arrow": "arrow"}
"""The `datasets` builder for each kind of local file."""


@dataclass(frozen=True)
class Rows:
    """A dataset's columns, its rows, and the commit they were read at (None for local files)."""

    columns: list[str]
    rows: Callable[[], Iterator[Mapping[str, Any]]]
    """Goes over the rows from the start, each time it is called."""
    revision: str | None
    labels: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The names of a label column's numbers, by column."""


def load_rows(config: DataConfig) -> Rows:
    """All rows asked for, materialized in the cache of `datasets`. Raises DatasetError, or HubError."""
    commit = _commit(config)
    with _explained(config):
        dataset = _load(config, commit, streaming=False)
        if config.max_samples is not None:
            dataset = dataset.select(range(min(config.max_samples, len(dataset))))
        return Rows(list(dataset.column_names), lambda: iter(dataset), commit, _labels(dataset))


def peek_rows(config: DataConfig, count: int) -> Rows:
    """The first `count` rows; of a Hub dataset only they are downloaded. Raises DatasetError, or HubError."""
    commit = _commit(config)
    with _explained(config):
        dataset = _load(config, commit, streaming=True)
        first: list[Mapping[str, Any]] = list(islice(dataset, count))
        columns = list(dataset.column_names or (first[0] if first else []))
        return Rows(columns, lambda: iter(first), commit, _labels(dataset))


def _commit(config: DataConfig) -> str | None:
    """The commit that a Hub dataset is at now; None for local files, and offline."""
    return None if resolve_local(config.id) else commit_of("dataset", config.id, config.revision)


def _load(config: DataConfig, commit: str | None, *, streaming: bool) -> Any:
    import datasets

    datasets.disable_progress_bars()
    path = resolve_local(config.id)
    if path is None:
        revision = commit or config.revision
        return datasets.load_dataset(
            config.id, config.config, split=config.split, revision=revision, streaming=streaming
        )
    if path.is_dir():
        return datasets.load_dataset(str(path), config.config, split=config.split, streaming=streaming)
    builder = BUILDERS.get(path.suffix.lower())
    if builder is None:
        raise DatasetError(f"{path} is no file of a known kind; known are {', '.join(BUILDERS)}")
    if path.stat().st_size == 0:
        raise DatasetError(f"{path} is empty; give a file with at least a few rows")
    if config.split != "train":
        raise DatasetError(f"data.split: {path} is one file, so its only split is train (given: {config.split!r})")
    return datasets.load_dataset(builder, data_files=str(path), split="train", streaming=streaming)


def _labels(dataset: Any) -> dict[str, list[str]]:
    """The names of the label columns' numbers."""
    features: Mapping[str, Any] = dataset.features or {}
    return {name: list(names) for name, kind in features.items() if (names := getattr(kind, "names", None))}


@contextmanager
def _explained(config: DataConfig) -> Generator[None]:
    """Turns what `datasets` and the Hub's client raise into a DatasetError of one line."""
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except (DatasetsError, HfHubHTTPError, OSError, ValueError) as error:
        cause = error.__cause__ or error
        raise DatasetError(f"cannot read the dataset {config.id}: {one_line(cause)}") from error
