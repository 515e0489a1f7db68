"""Passages that samples hold, looked for in any number of rows. Knows hashed words, no tasks and no models.

A passage is so many words in a row. One that many rows or samples hold is a template, and tells nothing of any sample.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from evals.grams import Flat, Hashes, contains, grams, hash_words, words

_WORDS = 500_000
"""Words of rows looked at in one go."""
_TABLE = np.uint64(2**22)

Found = npt.NDArray[np.int64]
"""(n, 2): pairs of two places."""


class Passages:
    """Passages of one length that samples hold, and which rows hold them too."""

    def __init__(self, size: int, common: int, texts: Sequence[Sequence[str]], owners: Sequence[int]) -> None:
        """Takes the words of some texts, and of each the owner, which may own several.

        What more than `common` rows or samples hold is a template.
        """
        self._size, self._common = size, common
        made = grams(hash_words(texts), size)
        self.known, place = np.unique(made.values, return_inverse=True)
        owner = np.asarray(owners, dtype=np.int64)[made.rows]
        self.owned = np.unique(np.stack([place.astype(np.int64), owner], axis=1), axis=0)
        """(n, 2): the place of a passage, and an owner of it."""
        self._holders = np.zeros(len(self.known), dtype=np.int64)
        self._likely = quick(self.known)
        self._hits: list[Found] = []

    def look(self, flat: Flat, start: int) -> None:
        """Remember which of some rows hold which run; `start` is the first row's place."""
        found = hits(grams(flat, self._size), self.known, self._likely)
        found = found[self._holders[found[:, 0]] <= self._common]
        self._holders += np.bincount(found[:, 0], minlength=len(self.known))
        self._hits.append(found + np.array([0, start]))

    def telling(self, samples: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Of each passage whether it is no template; `samples` says whose an owner is."""
        pairs = np.unique(np.stack([self.owned[:, 0], samples[self.owned[:, 1]]], axis=1), axis=0)
        shared = np.bincount(pairs[:, 0], minlength=len(self.known))
        return (self._holders <= self._common) & (shared <= self._common)

    def owners_and_rows(self, telling: npt.NDArray[np.bool_]) -> tuple[Found, npt.NDArray[np.int64]]:
        """Pairs of an owner and a row that holds telling passages of it, and how many."""
        held = np.concatenate([np.zeros((0, 2), dtype=np.int64), *self._hits])
        held = held[telling[held[:, 0]]]
        starts = np.searchsorted(self.owned[:, 0], np.arange(len(self.known) + 1))
        many = np.diff(starts)[held[:, 0]]
        within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        owner = self.owned[np.repeat(starts[held[:, 0]], many) + within, 1]
        return np.unique(np.stack([owner, np.repeat(held[:, 1], many)], axis=1), axis=0, return_counts=True)


def blocks(rows: Sequence[str]) -> Iterator[tuple[int, list[list[str]]]]:
    """The words of some rows at a time, with the place of the first."""
    spoken: list[list[str]] = []
    start = count = 0
    for place, text in enumerate(rows):
        spoken.append(words(text))
        count += len(spoken[-1])
        if count >= _WORDS or place == len(rows) - 1:
            yield start, spoken
            spoken, start, count = [], place + 1, 0


def hits(runs: Flat, known: Hashes, likely: npt.NDArray[np.bool_]) -> Found:
    """Pairs of a known passage's place and a row that holds it, each once."""
    at = np.flatnonzero(likely[runs.values % _TABLE])
    at = at[contains(known, runs.values[at])]
    if not len(at):
        return np.zeros((0, 2), dtype=np.int64)
    row = np.searchsorted(runs.offsets, at, side="right") - 1
    return np.unique(np.stack([np.searchsorted(known, runs.values[at]), row], axis=1), axis=0)


def quick(known: Hashes) -> npt.NDArray[np.bool_]:
    """A quick look that lets few others through and spares most searches."""
    likely = np.zeros(int(_TABLE), dtype=bool)
    likely[known % _TABLE] = True
    return likely
