"""Texts as runs of words, hashed: what near-duplicates and overlap are found by. Knows arrays, no files and no splits.

All rows of a chunk lie in one flat array with an array of offsets: row i is `flat[offsets[i]:offsets[i + 1]]`.
"""

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  (compiled, without stubs)

Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

PERMUTATIONS = 128
"""Values of one signature."""
_SEED = 20
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
"""A word; scripts that write none apart count by their signs."""


@dataclass(frozen=True)
class Flat:
    """Hashes of several rows, one row behind the other."""

    values: Hashes
    offsets: Offsets
    """One more than there are rows; starts with 0."""

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """For each value the row that it belongs to."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


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


def words(text: str) -> list[str]:
    """The words of a text, lower case and without punctuation."""
    if text.isascii():
        return text.lower().translate(_PUNCTUATION).split()
    return _WORD.findall(text.lower())


def hash_words(rows: Sequence[Sequence[str]]) -> Flat:
    """The words of rows, hashed. The same word has the same hash in every process."""
    hashed = RMinHash.hash_token_sets([list(row) for row in rows])
    lengths = np.fromiter((len(row) for row in hashed), dtype=np.int64, count=len(hashed))
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    return Flat(np.array([one for row in hashed for one in row], dtype=np.uint64), offsets)


def grams(flat: Flat, size: int, boilerplate: Hashes | None = None) -> Flat:
    """Every run of `size` words of each row, hashed in order; a shorter row has none.

    Runs that hold a word of a run in `boilerplate` (sorted) are left out, also those that only begin or end in one.
    """
    total = max(len(flat.values) - size + 1, 0)
    rolled = np.zeros(total, dtype=np.uint64)
    for place in range(size):
        rolled = rolled * _FACTOR + flat.values[place : total + place]
    rolled = _mixed(rolled)
    ends = np.repeat(flat.offsets[1:], np.diff(flat.offsets))[:total]
    kept = np.arange(total) + size <= ends
    if boilerplate is not None and len(boilerplate):
        common = np.flatnonzero(contains(boilerplate, rolled) & kept)
        steps = np.zeros(len(flat.values) + 1, dtype=np.int64)
        np.add.at(steps, common, 1)
        np.add.at(steps, common + size, -1)
        covered = np.concatenate([[0], np.cumsum(np.cumsum(steps[:-1]) > 0)])
        kept &= covered[size:] == covered[:total]
    counted = np.concatenate([[0], np.cumsum(kept)])
    return Flat(rolled[kept], counted[np.minimum(flat.offsets, total)])


def signatures(shingles: Flat) -> npt.NDArray[np.uint32]:
    """MinHash signatures, (rows, PERMUTATIONS): the share of equal values estimates the Jaccard similarity (rensa)."""
    if len(shingles.offsets) == 1:
        return np.zeros((0, PERMUTATIONS), dtype=np.uint32)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        shingles.values, shingles.offsets.astype(np.uint64), PERMUTATIONS, _SEED
    )
    return np.array(matrix.to_rows(), dtype=np.uint32)


def frequent(shingles: Flat, share: float, least: int) -> Hashes:
    """The values, sorted, that at least `share` of the rows have, and no fewer than `least` rows: boilerplate."""
    pairs = np.unique(np.stack([shingles.values, shingles.rows.astype(np.uint64)], axis=1), axis=0)
    values, counts = np.unique(pairs[:, 0], return_counts=True)
    return values[counts >= max(least, share * (len(shingles.offsets) - 1))]


def contains(ordered: Hashes, values: Hashes) -> npt.NDArray[np.bool_]:
    """For each value whether it is among the sorted ones."""
    if not len(ordered):
        return np.zeros(len(values), dtype=bool)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return ordered[places] == values


def _mixed(values: Hashes) -> Hashes:
    """Spreads what a rolling sum left unevenly spread over all bits (the finalizer of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
