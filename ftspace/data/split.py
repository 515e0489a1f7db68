"""Which row goes where: by a hash of its content and the seed, and never apart from what it belongs to. Pure arrays.

Rows belong together when they are equal, near-duplicates, or begin with the same question: then one of them in the
test would be answered by another in the training. The place in the dataset plays no part, so rows added later move none
of the others, unless they join two groups.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from ftspace.data.duplicates import Ids, Pairs, equal, groups
from ftspace.sections import DataConfig

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_OPENING, _PROMPT, _LEAST = 0.05, 0.2, 20
"""An opening that more than this share of the rows have, and so many, is a greeting or an instruction and joins none;
then the whole prompt must be equal, unless so many rows have it that a split could not be made."""


def assign(key: int, config: DataConfig) -> Split:
    """The split of a group, by a hash of the seed and its key."""
    place = _place(f"{config.seed}\t{key}")
    if place < config.test_fraction:
        return "test"
    if place < config.test_fraction + config.validation_fraction:
        return "validation"
    return "train"


def learnt(key: int, config: DataConfig) -> bool:
    """Whether a group of the training rows is within `data.fraction`; a larger fraction holds all of a smaller one."""
    return config.fraction == 1 or _place(f"{config.seed}\tfraction\t{key}") < config.fraction


def belonging(table: npt.NDArray[np.void], alike: Sequence[Pairs]) -> tuple[Ids, int]:
    """For each row the first row of its group; `alike` are pairs of equal and of similar rows.

    Also how many rows have a prompt that is too common to keep them together.
    """
    opening, prompt = table["opening"], table["prompt"]
    rows = np.arange(len(table))
    common = _common(opening, _OPENING)
    joined = [equal(opening[~common], rows[~common])]
    too_common = _common(prompt, _PROMPT)
    beginnings = rows[common & ~too_common]
    joined.append(equal(prompt[beginnings], beginnings))
    return groups(len(table), [*alike, *joined]), int((common & too_common).sum())


def keys(table: npt.NDArray[np.void], group: Ids) -> npt.NDArray[np.uint64]:
    """For each row the smallest id of its group: what the group is assigned by, whatever its order."""
    smallest = np.full(len(table), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, group, table["id"])
    return smallest[group]


def _common(values: npt.NDArray[np.uint64], share: float) -> npt.NDArray[np.bool_]:
    _, kind, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[kind] > max(_LEAST, share * len(values))


def _place(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
