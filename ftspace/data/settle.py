"""What becomes of each row: where it goes, what is found in it besides its own text, whether it is left out. Pure.

Knows arrays only; texts stay in the files that were gathered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evals.grams import Hashes, Mask
from ftspace.data.boilerplate import boilerplate
from ftspace.data.duplicates import Ids, equal, groups, near_duplicates, sign
from ftspace.data.gather import Gathered
from ftspace.data.overlap import shared_passages
from ftspace.data.sift import bit
from ftspace.data.split import SPLITS, Split, assign, belonging, keys, learnt
from ftspace.sections import DataConfig, Finding

TRAIN, TEST = SPLITS.index("train"), SPLITS.index("test")


@dataclass(frozen=True)
class Settled:
    """One entry for each usable row."""

    where: npt.NDArray[np.uint8]
    """The place of its split in SPLITS."""
    found: npt.NDArray[np.uint16]
    """All that was found in it, a bit for each finding."""
    removed: npt.NDArray[np.uint16]
    """The findings that leave it out, a bit for each; 0 for a row that stays."""
    unused: Mask
    """A training row beyond `data.fraction`."""
    repeated: Mask
    """A test row that the training rows that stay repeat, whole or in part."""
    largest: int
    """Rows of the largest group that had to stay together."""
    asked_alike: int
    """Rows whose prompt so many others have too that they were split all the same."""


def settle(gathered: Gathered, config: DataConfig, fixed: Sequence[Split | None]) -> Settled:
    """Settles every row. `fixed` names for each source the split that its rows are, None where they are to be split."""
    table = gathered.table
    count = len(table)
    common = boilerplate(gathered)
    signed = gathered.lines.with_name("signatures")
    comparable = sign(gathered.words, signed, common.shingles)
    same = equal(table["id"])
    first = np.ones(count, dtype=bool)
    first[same[:, 1]] = False
    near = near_duplicates(signed, np.flatnonzero(comparable & first))
    group, asked_alike = belonging(table, [same, near])
    key = keys(table, group)
    where = _places(key, table["source"], config, fixed)

    found = table["found"].copy()
    found[_foreign(table["language"])] |= bit("other_language")
    unwanted = _bits(config.filters)
    out = found & unwanted != 0
    exact, kin = groups(count, [same]), groups(count, [same, near])
    doubled = _repeated(exact, where, out)
    found[doubled] |= bit("duplicate")
    found[_repeated(kin, where, out) & ~doubled] |= bit("near_duplicate")
    asking = groups(count, [same, near, equal(table["prompt"])])
    train, test = where == TRAIN, where == TEST
    seen, asked = _overlapping(gathered, train, test, asking, common.passages)
    found[seen] |= bit("overlap")

    removed = found & unwanted
    unused = train & ~_each(key, lambda one: learnt(one, config), bool)
    learns = train & (removed == 0) & ~unused
    if (learns != train).any() and asked.any():
        _, asked = _overlapping(gathered, learns, test, asking, common.passages)
    largest = int(np.bincount(group, minlength=1).max()) if count else 0
    return Settled(where, found, removed, unused, asked, largest, asked_alike)


def _places(
    key: npt.NDArray[np.uint64], source: npt.NDArray[np.uint8], config: DataConfig, fixed: Sequence[Split | None]
) -> npt.NDArray[np.uint8]:
    """The split of each row: its source's own, else by its group's key among those that the dataset does not bring."""
    own = {split for split in fixed if split}
    config = config.model_copy(update={f"{split}_fraction": 0.0 for split in own if split != "train"})
    where = _each(key, lambda one: SPLITS.index(assign(one, config)), np.uint8)
    for number, split in enumerate(fixed):
        if split:
            where[source == number] = SPLITS.index(split)
    return where


def _each(key: npt.NDArray[np.uint64], decide: Callable[[int], Any], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """What `decide` says of each key, asked once for every different one."""
    different, place = np.unique(key, return_inverse=True)
    return np.array([decide(int(one)) for one in different], dtype=kind)[place]


def _repeated(kind: Ids, where: npt.NDArray[np.uint8], out: Mask) -> Mask:
    """The rows that are not the first of their kind in their split; one that is left out anyhow is no first."""
    order = np.lexsort((np.arange(len(kind)), out, kind * len(SPLITS) + where))
    sorted_kinds = (kind * len(SPLITS) + where)[order]
    repeated = np.zeros(len(kind), dtype=bool)
    repeated[order[1:]] = sorted_kinds[1:] == sorted_kinds[:-1]
    return repeated


def _foreign(language: npt.NDArray[np.uint16]) -> Mask:
    """The rows in another language than most; where none was made out, none is foreign."""
    known = language[language > 0]
    return (language > 0) & (language != np.bincount(known).argmax()) if len(known) else language > 0


def _overlapping(gathered: Gathered, train: Mask, test: Mask, kin: Ids, passages: Hashes) -> tuple[Mask, Mask]:
    """Training rows that a test row repeats, and test rows that repeat one: of a kind, or with a passage in common."""
    seen, asked = shared_passages(gathered.words, train, test, passages)
    in_train, in_test = (np.zeros(len(kin), dtype=bool) for _ in range(2))
    in_train[kin[train]] = True
    in_test[kin[test]] = True
    return seen | (train & in_test[kin]), asked | (test & in_train[kin])


def _bits(findings: Sequence[Finding]) -> np.uint16:
    return np.uint16(sum(bit(finding) for finding in set(findings)))
