"""Which splits of a dataset the rows of a run come from: the one that is asked for, and its own test and validation.

Knows no conversations beyond how they are read.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice

from ftspace.data.columns import Row
from ftspace.data.formats import Format, RowProblem, rows_in, to_conversation
from ftspace.data.gather import Source
from ftspace.data.load import Rows, load_rows, peek_rows, split_names
from ftspace.data.sift import Reading
from ftspace.data.split import SPLITS, Split
from ftspace.errors import DatasetError
from ftspace.sections import DataConfig

PEEK, FURTHEST = 20, 2000
"""Rows looked at to recognize a format; so many at most where the first ones cannot be used."""
OWN: dict[Split, tuple[str, ...]] = {"validation": ("validation", "valid", "val", "dev", "eval"), "test": ("test",)}
"""What datasets call the splits that `auto` takes."""
NONE, AUTO = "none", "auto"


@dataclass(frozen=True)
class Opened:
    """A dataset ready to be read."""

    format: Format
    sources: list[Source]
    """The rows of `data.split` first, then the dataset's own validation and test splits."""
    fixed: list[Split | None]
    """For each source the split that its rows are; None for those that are to be split."""
    names: dict[Split, str]
    """Where the rows of each split are from, in words."""
    warnings: list[str]
    revision: str | None


def first_usable(config: DataConfig, count: int = PEEK, peek: Callable[[DataConfig, int], Rows] = peek_rows) -> Reading:
    """How to read the dataset, with its first rows: `count`, or more, up to FURTHEST, when none of those can be used.

    `peek` gives the first rows. The whole dataset is not read. Raises DatasetError, or HubError.
    """
    reading, _ = _begin(config, peek(config, count), count)
    if _understood(reading) or count >= FURTHEST or len(reading.first) < count:
        return reading
    return _begin(config, peek(config, FURTHEST), count)[0]


def open_sources(config: DataConfig) -> Opened:
    """The rows of `data.split`, and those of the dataset's own test and validation splits. Raises DatasetError."""
    main, revision = _source(config)
    opened = Opened(
        format=main.reading.format(),
        sources=[main],
        fixed=[None],
        names=dict.fromkeys(SPLITS, f"kept back from {config.split}"),
        warnings=[],
        revision=revision,
    )
    opened.names["train"] = config.split
    pinned = config.model_copy(update={"revision": revision or config.revision})
    for split, name in own_splits(config).items():
        source, _ = _source(pinned.model_copy(update={"split": name}), like=main.reading)
        rows = iter(source.rows)
        first, found = _first(rows, PEEK, lambda rows: _any(rows, opened.format, config.system))
        if not found:
            opened.warnings.append(
                f"the dataset's own split {name} has no answers that can be read: {split} rows are kept back from "
                f"{config.split} instead"
            )
            continue
        opened.sources.append(Source(name, source.reading, chain(first, rows)))
        opened.fixed.append(split)
        opened.names[split] = f"the dataset's own split {name}"
    return opened


def _source(config: DataConfig, like: Reading | None = None) -> tuple[Source, str | None]:
    """The rows of one split, read as the others are when `like` is given."""
    loaded = load_rows(config)
    if like:
        return Source(config.split, like, islice(rows_in(loaded.rows()), config.max_samples)), loaded.revision
    reading, rows = _begin(config, loaded, PEEK)
    return Source(config.split, reading, chain(reading.first, rows)), loaded.revision


def _begin(config: DataConfig, loaded: Rows, count: int) -> tuple[Reading, Iterator[Row]]:
    """How to read the rows, by as many of the first as it takes to find some that can be used; and the rest of them."""
    rows = islice(rows_in(loaded.rows()), config.max_samples)

    def reading(first: list[Row]) -> Reading:
        return Reading(config, loaded.columns, first, loaded.labels)

    first, _ = _first(rows, count, lambda some: _understood(reading(some)))
    return reading(first), rows


def _first(rows: Iterator[Row], count: int, good: Callable[[list[Row]], bool]) -> tuple[list[Row], bool]:
    """The first `count` rows, or more, up to FURTHEST, until they are good and `count` more; and whether they are."""
    first = list(islice(rows, count))
    found = good(first)
    if found:
        return first, True
    while not found and (more := list(islice(rows, min(len(first), FURTHEST - len(first))))):
        first += more
        found = good(first)
    first += islice(rows, count if found else 0)
    return first, found


def _understood(reading: Reading) -> bool:
    """Whether any of the first rows can be used."""
    try:
        return _any(reading.first, reading.format(), reading.config.system)
    except DatasetError:
        return False


def own_splits(config: DataConfig) -> dict[Split, str]:
    """The dataset's own splits that the config asks for, or that are there when it says auto. Raises DatasetError."""
    asked: dict[Split, str] = {"validation": config.validation_split, "test": config.test_split}
    if all(name == NONE for name in asked.values()):
        return {}
    there = split_names(config)
    trained = [part.partition("[")[0].strip() for part in config.split.split("+")]
    found: dict[Split, str] = {}
    for split, name in asked.items():
        if name == AUTO:
            name = next((one for one in OWN[split] if one in there and one not in trained), NONE)
        elif name != NONE and name not in there:
            raise DatasetError(f"data.{split}_split: {config.id} has no split {name}; it has: {', '.join(there)}")
        elif name in trained:
            raise DatasetError(
                f"data.{split}_split: rows of {name} are trained on (data.split is {config.split}); name another"
            )
        if name != NONE:
            found[split] = name
    if len(set(found.values())) < len(found):
        raise DatasetError(
            f"data.validation_split and data.test_split are both {found['test']}; name two different ones"
        )
    return found


def _any(rows: list[Row], fmt: Format, system: str | None) -> bool:
    """Whether one of the rows can be used."""
    for row in rows:
        with suppress(RowProblem):
            to_conversation(row, fmt, system)
            return True
    return False
