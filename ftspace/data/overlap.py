"""Which test rows have been seen in training: runs of 13 words that both hold. Knows arrays, no conversations.

Thirteen words in a row are the usual measure of contamination (Brown et al. 2020, GPT-3, appendix C).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ftspace.data.grams import Flat, Hashes, contains, grams

GRAM = 13
"""Words in a row that count as the same passage."""
_BLOCK = 2_000_000
"""Words looked at in one go."""
_TEST_BLOCK = 4_000_000
"""Words of test rows kept in memory at a time; a larger test split is compared in several passes."""
_TABLE = np.uint64(2**26)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Words:
    """The hashed words of all rows, in a file."""

    file: Path
    offsets: npt.NDArray[np.int64]
    """One more than there are rows; starts with 0."""

    def blocks(self, wanted: Mask, most: int) -> Iterator[tuple[npt.NDArray[np.int64], Flat]]:
        """The words of the wanted rows, some millions at a time, with the rows' places."""
        stored = np.memmap(self.file, dtype=np.uint64, mode="r") if self.offsets[-1] else np.zeros(0, dtype=np.uint64)
        lengths = np.where(wanted, np.diff(self.offsets), 0)
        ends = np.cumsum(lengths)
        start = 0
        while start < len(wanted):
            before = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
            rows = np.flatnonzero(wanted[start:stop]) + start
            if len(rows):
                values = np.concatenate([stored[self.offsets[row] : self.offsets[row + 1]] for row in rows])
                yield rows, Flat(values, np.concatenate([[0], np.cumsum(lengths[rows])]).astype(np.int64))
            start = stop


def shared_passages(words: Words, train: Mask, test: Mask, boilerplate: Hashes) -> tuple[Mask, Mask]:
    """The training rows and the test rows that hold a passage of the other side.

    `boilerplate` are hashed passages, sorted, that most rows have and that therefore say nothing.
    """
    seen = np.zeros(len(train), dtype=bool)
    asked = np.zeros(len(train), dtype=bool)
    for test_rows, test_words in words.blocks(test, _TEST_BLOCK):
        passages = grams(test_words, GRAM).without(boilerplate)
        known = np.unique(passages.values)
        if not len(known):
            continue
        found = np.zeros(len(known), dtype=bool)
        likely = np.zeros(_TABLE, dtype=bool)  # a quick look that lets few others through spares most searches
        likely[known % _TABLE] = True
        for train_rows, train_words in words.blocks(train, _BLOCK):
            looked = grams(train_words, GRAM)
            hits = likely[looked.values % _TABLE]
            hits[hits] = contains(known, looked.values[hits])
            found[np.searchsorted(known, looked.values[hits])] = True
            seen[train_rows[looked.rows[hits]]] = True
        asked[test_rows[np.unique(passages.rows[contains(known[found], passages.values)])]] = True
    return seen, asked
