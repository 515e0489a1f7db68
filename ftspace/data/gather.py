"""All rows of a dataset looked through once, in order, by several processes; what is known of them lies in files.

Only some bytes a row stay in memory: numbers and hashes. Texts, words and signatures go to files in a folder.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ftspace.data.columns import Row
from ftspace.data.duplicates import SHINGLE
from ftspace.data.formats import RowProblem, to_conversation
from ftspace.data.grams import Hashes, frequent, grams, hash_words
from ftspace.data.overlap import GRAM, Words
from ftspace.data.pool import spread
from ftspace.data.report import Tally
from ftspace.data.sift import KNOWN, Reading, Sieve, said

BATCH = 1000
"""Rows looked at by one process at a time."""
COMMON, COMMON_ROWS = 0.1, 20
"""What this share of the first rows, and so many of them, have in common is boilerplate and tells no rows apart."""

Check = Callable[[int], None]
"""Told how many rows have been looked at; raises to end the work."""


@dataclass(frozen=True)
class Source:
    """The rows of one split of the dataset, and how to read them."""

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
    signatures: Path
    words: Words
    passages: Hashes
    """Passages, sorted, that are boilerplate."""
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
    paths = {name: folder / name for name in ("lines", "left_out", "signatures", "words")}
    known: list[npt.NDArray[np.void]] = [np.zeros(0, dtype=KNOWN)]
    passages = np.zeros(0, dtype=np.uint64)
    dropped: Counter[str] = Counter()
    tally = Tally()
    read = 0
    with ExitStack() as stack:
        files = {name: stack.enter_context(path.open("wb")) for name, path in paths.items()}
        for number, source in enumerate(sources):
            rows = iter(source.rows)
            first = list(islice(rows, BATCH))
            shingles, found = _boilerplate(source.reading, first)
            passages = np.union1d(passages, found)
            sieve = partial(Sieve, source.reading, shingles)
            for sifted in spread(sieve, _batches(chain(first, rows)), workers):
                files["lines"].writelines(line + b"\n" for line in sifted.lines)
                files["signatures"].write(sifted.signatures.tobytes())
                files["words"].write(sifted.words.values.tobytes())
                for row, reason in sifted.dropped:
                    files["left_out"].write(json.dumps({"row": row, "reason": reason}).encode() + b"\n")
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
        signatures=paths["signatures"],
        words=Words(paths["words"], offsets),
        passages=passages,
        read=read,
        dropped=dict(dropped),
        tally=tally,
    )


def _boilerplate(reading: Reading, rows: Sequence[Row]) -> tuple[Hashes, Hashes]:
    """The shingles and the passages that many of the rows have."""
    fmt = reading.format()
    texts: list[list[str]] = []
    for row in rows:
        try:
            texts.append(said(to_conversation(row, fmt, reading.config.system)))
        except RowProblem:
            continue
    spoken = hash_words(texts)
    shingles, passages = (frequent(grams(spoken, size), COMMON, COMMON_ROWS) for size in (SHINGLE, GRAM))
    return shingles, passages


def _batches(rows: Iterable[Row]) -> Iterator[tuple[int, list[Row]]]:
    """The rows by BATCH, each batch with the number of its first row, from 1."""
    start, rows = 1, iter(rows)
    while batch := list(islice(rows, BATCH)):
        yield start, batch
        start += len(batch)
