"""A dataset's id or file to rows, a batch at a time. Knows nothing of conversations.

Local files are read as they are (`records.py`): nothing is copied into a cache, and memory stays flat. Datasets of the
Hub come through the `datasets` library: with `max_samples` they are streamed, so that only what is needed is
downloaded; without, they are kept in its cache, so that the next run, also an offline one, has them at once. The order
of the rows is the same in both.
"""

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from logging import CRITICAL
from pathlib import Path
from typing import Any, cast

from evals.errors import one_line
from ftspace.data import records
from ftspace.data.files import files_in, kind_of, one_kind
from ftspace.data.kinds import BUILDERS, Kind
from ftspace.data.stored_rows import UNREADABLE, Batch
from ftspace.errors import DatasetError
from ftspace.hub.asker import hub_token
from ftspace.hub.finding.files import check_card
from ftspace.hub.finding.find import commit_of
from ftspace.sections import DataConfig
from ftspace.settings import resolve_local

__all__ = ["BUILDERS", "Batch", "Rows", "check_file", "count_rows", "load_rows", "peek_rows", "split_names"]

COLUMNS_FROM = 500
"""Rows whose keys are the columns of a JSON dataset: later ones may have others, which are not looked for."""
_BATCH = 256


@dataclass(frozen=True)
class Rows:
    """A dataset's columns, its rows, and the commit they were read at (None for local files)."""

    columns: list[str]
    read: Callable[[int], Iterator[Batch]]
    """Goes over the rows from the start, so many at a time, each time it is called."""
    revision: str | None
    labels: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The names of a label column's numbers, by column."""

    def batches(self, size: int = _BATCH) -> Iterator[Batch]:
        """Goes over the rows from the start, `size` at a time. Raises DatasetError where the dataset breaks."""
        if size < 1:
            raise ValueError(f"a batch of {size} rows cannot be")
        return self.read(size)

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Goes over the rows from the start, one at a time. Raises DatasetError where the dataset breaks."""
        return chain.from_iterable(self.batches())


def load_rows(config: DataConfig) -> Rows:
    """All rows asked for; they are read while they are gone over. Raises DatasetError, or HubError."""
    path = resolve_local(config.id)
    if path is not None:
        return _local_rows(config, path)
    commit = commit_of("dataset", config.id, config.revision)
    return _hub_rows(config, commit, streaming=config.max_samples is not None)


def peek_rows(config: DataConfig, count: int) -> Rows:
    """The first `count` rows, read now; of a Hub dataset little more is downloaded. DatasetError, or HubError."""
    few = config.model_copy(update={"max_samples": min(count, config.max_samples or count)})
    found = load_rows(few)
    first = list(islice(found.rows(), count))
    return Rows(found.columns or list(first[0] if first else {}), lambda size: _cut(first, size), *_rest(found))


def split_names(config: DataConfig) -> list[str]:
    """The dataset's splits; no rows are downloaded to know them. Raises DatasetError, or HubError."""
    path = resolve_local(config.id)
    if path is None:
        return _hub_splits(config, _builder(config, config.id, commit_of("dataset", config.id, config.revision)))
    if path.is_dir():
        return list(_folder_splits(config, path)[0])
    kind_of(path)
    return ["train"]


def count_rows(config: DataConfig, most: int) -> int | None:
    """Rows of the split: gone over, up to `most`; or what a Hub dataset says of itself, None when it says nothing."""
    if resolve_local(config.id) is None:
        splits = _builder(config, config.id, commit_of("dataset", config.id, config.revision)).info.splits or {}
        return splits[config.split].num_examples if config.split in splits else None
    count = 0
    for batch in load_rows(config).batches():
        count += len(batch)
        if count >= most:
            break
    return count


def check_file(path: Path, most: int | None = None) -> int:
    """Goes over the whole of a local file, and tells its number of rows. Raises DatasetError, also past `most` rows."""
    kind = kind_of(path)
    if kind != "json":
        records.stored_columns(path, kind)
    count = 0
    for batch in records.batches(path, kind, _BATCH):
        count += len(batch)
        if most is not None and count > most:
            raise DatasetError(f"{path} has more than {most:,} rows; give a part of it")
    if not count:
        raise DatasetError(f"{path} has no rows; give a file with at least a few")
    return count


def _rest(rows: Rows) -> tuple[str | None, dict[str, list[str]]]:
    return rows.revision, rows.labels


def _cut(rows: list[Any], size: int) -> Iterator[Batch]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _at_most(count: int | None, read: Callable[[int], Iterator[Batch]]) -> Callable[[int], Iterator[Batch]]:
    """`read`, ending after `count` rows and asking for no more than them."""

    def limited(size: int) -> Iterator[Batch]:
        left = count
        for batch in read(size if left is None else min(size, left)):
            yield batch if left is None else batch[:left]
            if left is not None:
                left -= len(batch)
                if left <= 0:
                    return

    return limited


# Local files


def _local_rows(config: DataConfig, path: Path) -> Rows:
    labels: dict[str, list[str]] = {}
    if path.is_dir():
        splits, labels = _folder_splits(config, path)
        _check_split(config, list(splits))
        files = splits[config.split]
    else:
        files = [path]
        kind_of(path)
        if config.split != "train":
            raise DatasetError(f"data.split: {path} is one file, so its only split is train (given: {config.split!r})")
    kinds: list[tuple[Path, Kind]] = [(file, kind_of(file)) for file in files]
    read = _at_most(config.max_samples, lambda size: _over(kinds, size))
    first_file, kind = kinds[0]
    if kind != "json":
        columns, stored = records.stored_columns(first_file, kind)
        labels = stored | labels
    else:
        few = _at_most(min(COLUMNS_FROM, config.max_samples or COLUMNS_FROM), read)
        columns = list(dict.fromkeys(name for batch in few(50) for row in batch for name in row))
    return Rows(columns, read, None, labels)


def _over(files: list[tuple[Path, Kind]], size: int) -> Iterator[Batch]:
    for path, kind in files:
        try:
            yield from records.batches(path, kind, size)
        except DatasetError as error:
            raise DatasetError(f"cannot read the dataset: {error}") from error


def _folder_splits(config: DataConfig, folder: Path) -> tuple[dict[str, list[Path]], dict[str, list[str]]]:
    """A folder's files by split, as `datasets` finds them, and the names of labels that its card gives."""
    known = files_in(folder)
    if _has_configs(folder):
        builder = _builder(config, str(folder), None)
    else:
        # Given the kind, `datasets` neither minds a script in the folder nor guesses by what else lies there.
        builder = _builder(config, one_kind(folder, known), None, data_dir=str(folder))
    files = set(known)
    found: Mapping[str, list[Any]] = builder.config.data_files or {}
    splits = {str(name): [path for one in paths if (path := Path(one)) in files] for name, paths in found.items()}
    splits = {name: paths for name, paths in splits.items() if paths}
    if not splits:
        raise DatasetError(f"{folder} holds no files of rows where its card says; see `configs` in its README.md")
    for paths in splits.values():
        one_kind(folder, paths)
    return splits, _labels(builder.info.features)


def _has_configs(folder: Path) -> bool:
    """Whether a folder's card says which files are which split or configuration."""
    if (folder / ".huggingface.yaml").is_file():
        return True
    card = folder / "README.md"
    with card.open(encoding="utf-8", errors="replace") if card.is_file() else _nothing() as text:
        head = text.read(1 << 16) if text else ""
    front = head.split("---", 2)[1] if head.startswith("---") and head.count("---") > 1 else ""
    return re.search(r"^(configs|dataset_info):", front, re.MULTILINE) is not None


@contextmanager
def _nothing() -> Generator[None]:
    yield None


# The Hub


def _hub_rows(config: DataConfig, commit: str | None, *, streaming: bool) -> Rows:
    builder = _builder(config, config.id, commit)
    sliced = re.search(r"[\[+]", config.split) is not None
    if not sliced:
        _check_split(config, _hub_splits(config, builder))
    # Offline there is only what the cache holds; a slice of a split cannot be streamed.
    if streaming and commit is not None and not sliced:
        with _explained(config):
            stream: Any = builder.as_streaming_dataset(split=config.split)
        read = _at_most(config.max_samples, lambda size: _read_streamed(config, stream, size))
        columns = list(stream.column_names or next((list(row) for batch in read(1) for row in batch), []))
        return Rows(columns, read, commit, _labels(stream.features))
    with _explained(config):
        builder.download_and_prepare()
        dataset: Any = builder.as_dataset(split=config.split)
    read = _at_most(config.max_samples, lambda size: _read_table(config, dataset, size))
    return Rows(list(dataset.column_names), read, commit, _labels(dataset.features))


def _read_streamed(config: DataConfig, dataset: Any, size: int) -> Iterator[Batch]:
    with _explained(config):
        rows = iter(dataset)
        while batch := list(islice(rows, size)):
            yield batch


def _read_table(config: DataConfig, dataset: Any, size: int) -> Iterator[Batch]:
    with _explained(config):
        for columns in dataset.iter(size):
            yield [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _hub_splits(config: DataConfig, builder: Any) -> list[str]:
    if found := builder.config.data_files or builder.info.splits:
        return [str(name) for name in found]
    with _explained(config):
        import datasets

        return [str(name) for name in datasets.get_dataset_split_names(config.id, config.config, token=hub_token())]


def _builder(config: DataConfig, path: str, commit: str | None, data_dir: str | None = None) -> Any:
    """What `datasets` makes of a dataset: its files and splits, nothing read yet. Raises DatasetError."""
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(CRITICAL)  # what goes wrong is raised, too
    revision = commit or config.revision if path == config.id and not resolve_local(path) else None
    if commit is not None and revision is not None:
        check_card(path, commit)
    with _explained(config):
        try:
            name = None if data_dir else config.config
            return datasets.load_dataset_builder(path, name, data_dir=data_dir, revision=revision, token=hub_token())
        except ValueError as error:
            if "BuilderConfig" not in str(error) and "Config name is missing" not in str(error):
                raise
            names = datasets.get_dataset_config_names(path, revision=revision, token=hub_token())
            asked = f"has no configuration {config.config}" if config.config else "has several configurations"
            raise DatasetError(f"data.config: {config.id} {asked}; give one of: {', '.join(names)}") from error
        except ConnectionError as error:
            if "OfflineModeIsEnabled" not in str(error):
                raise
            raise DatasetError(
                f"the dataset {config.id} is not in this machine's cache, and offline the Hub is not asked; "
                "load it once online, without data.max_samples"
            ) from error
        except RuntimeError as error:
            if "scripts are no longer supported" not in str(error):
                raise
            raise DatasetError(
                f"{config.id} is a dataset script, and scripts are never run; look for a copy of it in Parquet, "
                "for instance at its revision refs/convert/parquet"
            ) from error


def _check_split(config: DataConfig, splits: list[str]) -> None:
    if config.split not in splits:
        raise DatasetError(f"data.split: {config.id} has no split {config.split}; it has: {', '.join(splits)}")


def _labels(features: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """The names of the label columns' numbers."""
    kinds = cast("Mapping[str, Any]", features or {})
    return {name: list(names) for name, kind in kinds.items() if (names := getattr(kind, "names", None))}


@contextmanager
def _explained(config: DataConfig) -> Generator[None]:
    """Turns what `datasets` and the Hub's client raise into a DatasetError of one line."""
    from datasets.exceptions import DatasetsError
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except (DatasetsError, HfHubHTTPError, HTTPError, *UNREADABLE) as error:
        cause = error.__cause__ or error
        raise DatasetError(f"cannot read the dataset {config.id}: {one_line(cause)}") from error
