"""A dataset's id or file to rows, through the `datasets` library. Knows nothing of conversations."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ftspace.config import DataConfig
from ftspace.errors import DatasetError
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


def load_rows(config: DataConfig) -> Rows:
    """All rows asked for, materialized in the cache of `datasets`. Raises DatasetError."""
    with _explained(config):
        dataset = _load(config, streaming=False)
        if config.max_samples is not None:
            dataset = dataset.select(range(min(config.max_samples, len(dataset))))
        return Rows(list(dataset.column_names), lambda: iter(dataset), _revision(config))


def peek_rows(config: DataConfig, count: int) -> Rows:
    """The first `count` rows; of a Hub dataset only they are downloaded. Raises DatasetError."""
    with _explained(config):
        dataset = _load(config, streaming=True)
        first: list[Mapping[str, Any]] = list(islice(dataset, count))
        columns = list(dataset.column_names or (first[0] if first else []))
        return Rows(columns, lambda: iter(first), None)


def _load(config: DataConfig, *, streaming: bool) -> Any:
    import datasets

    datasets.disable_progress_bars()
    path = resolve_local(config.id)
    if path is None:
        return datasets.load_dataset(
            config.id, config.config, split=config.split, revision=config.revision, streaming=streaming
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


def _revision(config: DataConfig) -> str | None:
    if resolve_local(config.id) is not None:
        return None
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        return HfApi().dataset_info(config.id, revision=config.revision).sha
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return config.revision  # read from the cache: the commit cannot be asked for now


@contextmanager
def _explained(config: DataConfig) -> Generator[None]:
    """Turns what `datasets` and the Hub's client raise into a DatasetError of one line."""
    from datasets.exceptions import DatasetNotFoundError, DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except DatasetNotFoundError as error:
        raise DatasetError(not_found("dataset", config.id)) from error
    except (DatasetsError, HfHubHTTPError, OSError, ValueError) as error:
        cause = error.__cause__ or error
        raise DatasetError(f"cannot read the dataset {config.id}: {one_line(cause)}") from error


def not_found(kind: str, name: str) -> str:
    """One line for a model or dataset that is neither here nor on the Hub."""
    if name.startswith((".", "/", "~")) or Path(name).suffix in BUILDERS or name.count("/") > 1:
        return f"there is no {kind} at {name}; check the path"
    return (
        f"there is no {kind} {name}: no such file or folder here, and the Hub does not have it, is out of reach, or "
        "asks for access; check the name, set HF_TOKEN for a private or gated one, and see: ftspace doctor"
    )


def one_line(error: BaseException, limit: int = 300) -> str:
    """An exception's message on one line, cut at `limit` characters; its class's name when it has none."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
