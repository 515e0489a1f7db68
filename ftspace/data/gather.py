"""All rows of a dataset looked through once, in order, by several processes; what is known of them lies in files.

Only some bytes a row stay in memory: numbers and hashes. Texts and hashed words go to files in a folder.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evals.grams import Words
from ftspace.data.columns import Row
from ftspace.data.pool import spread
from ftspace.data.report import Tally
from ftspace.data.sift import KNOWN, Reading, Sieve

BATCH, BATCH_CHARACTERS = 1000, 4_000_000
"""Rows looked at by one process at a time, fewer where they are long."""

Check = Callable[[int], None]
"""Told how many rows have been looked at; raises to end the work."""


@dataclass(frozen=True)
class Source:
    """The rows of one split of the dataset, and how to read them."""

    name: str
    """What the dataset calls it."""
    reading: Reading
    rows: Iterable[Row]


@dataclass(frozen=True)
class Gathered:
    """What is known of all usable rows: entry i of the table, and line i of the file of lines, are the same row."""

    table: npt.NDArray[np.void]
    """Of dtype KNOWN; `source` is the place among the sources."""
    lines: Path
    """The conversations, one JSON object a line."""
    left_out: Path
    """The rows that cannot be used, one JSON object a line."""
    words: Words
    names: list[str]
    """What the sources are called."""
    read: int
    """All rows read."""
    dropped: dict[str, int]
    """Rows that cannot be used, by reason."""
    tally: Tally


def gather(
    sources: Sequence[Source], folder: Path, check: Check = lambda _: None, workers: int | None = None
) -> Gathered:
    """Looks through the rows of all sources, one source after the other, and leaves files in `folder`.

    `workers` are the processes to use, all cores when not given. Raises what `check` raises, and DatasetError.
    """
    paths = {name: folder / name for name in ("lines", "left_out", "words")}
    known: list[npt.NDArray[np.void]] = [np.zeros(0, dtype=KNOWN)]
    dropped: Counter[str] = Counter()
    tally = Tally()
    read = 0
    with ExitStack() as stack:
        files = {name: stack.enter_context(path.open("wb")) for name, path in paths.items()}
        for number, source in enumerate(sources):
            for sifted in spread(partial(Sieve, source.reading), _batches(source.rows), workers):
                files["lines"].writelines(line + b"\n" for line in sifted.lines)
                files["words"].write(sifted.words.values.tobytes())
                for row, reason in sifted.dropped:
                    what = {"split": source.name, "row": row, "reason": reason}
                    files["left_out"].write(json.dumps(what).encode() + b"\n")
                sifted.known["source"] = number
                known.append(sifted.known)
                dropped.update(reason for _, reason in sifted.dropped)
                tally.merge(sifted.tally)
                read += len(sifted.known) + len(sifted.dropped)
                check(read)
    table = np.concatenate(known)
    offsets = np.concatenate([[0], np.cumsum(table["words"], dtype=np.int64)])
    return Gathered(
        table=table,
        lines=paths["lines"],
        left_out=paths["left_out"],
        words=Words(paths["words"], offsets),
        names=[source.name for source in sources],
        read=read,
        dropped=dict(dropped),
        tally=tally,
    )


def _batches(rows: Iterable[Row]) -> Iterator[tuple[int, list[Row]]]:
    """The rows in order, each batch with the number of its first row, from 1; few at a time where they are long."""
    start, size = 1, 0
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        size += _size(row)
        if len(batch) >= BATCH or size >= BATCH_CHARACTERS:
            yield start, batch
            start, size, batch = start + len(batch), 0, []
    if batch:
        yield start, batch


def _size(value: Any) -> int:
    """About how many characters a value has, however it is nested."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 0
