"""Texts as runs of words, hashed: what near-duplicates and overlap are found by. Knows arrays, no files and no splits.

All rows of a chunk lie in one flat array with an array of offsets: row i is `flat[offsets[i]:offsets[i + 1]]`.
"""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  (compiled, without stubs)

Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

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

    def without(self, unwanted: Hashes) -> "Flat":
        """The same rows without some values; `unwanted` is sorted."""
        if not len(unwanted) or not len(self.values):
            return self
        keep = ~contains(unwanted, self.values)
        ends = np.concatenate([[0], np.cumsum(keep)])
        return Flat(self.values[keep], ends[self.offsets])


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


def grams(flat: Flat, size: int) -> Flat:
    """Every run of `size` words of each row, hashed in order; a shorter row has none."""
    lengths = np.diff(flat.offsets)
    counts = np.maximum(lengths - size + 1, 0)
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
    total = max(len(flat.values) - size + 1, 0)
    rolled = np.zeros(total, dtype=np.uint64)
    for place in range(size):
        rolled = rolled * _FACTOR + flat.values[place : total + place]
    ends = np.repeat(flat.offsets[1:], lengths)[:total]
    inside = np.arange(total) + size <= ends
    return Flat(_mixed(rolled[inside]), offsets)


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
