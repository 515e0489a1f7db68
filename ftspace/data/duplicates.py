"""Near-duplicates among many rows, in memory that holds one band of the signatures at a time.

MinHash (Broder 1997) with locality-sensitive hashing in bands (Indyk and Motwani 1998): rows whose signatures agree in
all values of one band are candidates, and candidates count when their whole signatures agree enough.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evals.grams import PERMUTATIONS, Hashes, Mask, Words, grams, signatures

SHINGLE = 5
"""Words in a shingle."""
SIMILAR = 0.8
"""Estimated Jaccard similarity of the shingles from which on two rows are near-duplicates (as in Lee et al. 2022)."""
BANDS, ROWS = 21, 6
"""A pair at 0.8 becomes a candidate with a probability of 0.998, at 0.5 of 0.28."""
LEAST_SHINGLES = 4
"""Rows with fewer are compared as a whole only: one word more or less would be most of them."""
_BLOCK = 50_000
_WORDS = 1_000_000
"""Words whose signatures are made in one go."""

Ids = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int64]
"""(n, 2): places of two rows."""


def sign(words: Words, file: Path, boilerplate: Hashes) -> Mask:
    """Writes the signatures of all rows to `file`; for each row whether it is long enough for it to say something.

    `boilerplate` are the shingles, sorted, that so many questions have that they tell no two rows apart.
    """
    comparable = np.zeros(len(words.offsets) - 1, dtype=bool)
    with file.open("wb") as out:
        for rows, spoken in words.blocks(np.ones(len(comparable), dtype=bool), _WORDS):
            shingles = grams(spoken, SHINGLE, boilerplate)
            comparable[rows] = np.diff(shingles.offsets) >= LEAST_SHINGLES
            out.write(signatures(shingles).tobytes())
    return comparable


def near_duplicates(file: Path, rows: Ids) -> Pairs:
    """The pairs of near-duplicates among `rows`, enough of them to join all that belong together.

    `file` holds the signatures of all rows, PERMUTATIONS uint32 each, one behind the other.
    """
    if len(rows) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    stored = np.memmap(file, dtype=np.uint32, mode="r").reshape(-1, PERMUTATIONS)
    candidates = np.unique(np.concatenate([_candidates(stored, rows, band) for band in range(BANDS)]), axis=0)
    kept: list[Pairs] = []
    for start in range(0, len(candidates), _BLOCK):
        block = candidates[start : start + _BLOCK]
        alike = (stored[block[:, 0]] == stored[block[:, 1]]).mean(axis=1)
        kept.append(block[alike >= SIMILAR])
    return np.concatenate([np.zeros((0, 2), dtype=np.int64), *kept])


def groups(count: int, joined: Iterable[Pairs]) -> Ids:
    """For each of `count` rows the first row of its group, when every pair is in one group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.concatenate([np.zeros((0, 2), dtype=np.int64), *joined])
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    _, first = np.unique(labels, return_index=True)
    return first[labels].astype(np.int64)


def equal(keys: npt.NDArray[np.uint64], rows: Ids | None = None) -> Pairs:
    """Pairs that join the rows of equal key: each with the first of its kind."""
    rows = np.arange(len(keys)) if rows is None else rows
    order = np.argsort(keys, kind="stable")
    fresh = np.ones(len(keys), dtype=bool)
    fresh[1:] = keys[order][1:] != keys[order][:-1]
    heads = order[np.maximum.accumulate(np.where(fresh, np.arange(len(keys)), 0))] if len(keys) else order
    return np.stack([rows[heads[~fresh]], rows[order[~fresh]]], axis=1)


def _candidates(stored: npt.NDArray[np.uint32], rows: Ids, band: int) -> Pairs:
    values = stored[rows, band * ROWS : (band + 1) * ROWS]
    keys = np.zeros(len(rows), dtype=np.uint64)
    for column in range(ROWS):
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + values[:, column]
    return equal(keys, rows)
