"""How prompts and their continuations are laid into rows and batches. Pure: knows token ids, and no model.

All continuations of one prompt stand behind it in one row, so that the prompt is read once. Batches are made of the
prompts alone, never of what a side answers, so that all sides are asked in equal ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Ids = tuple[int, ...]
SHORT = 256
"""Continuations of one prompt share a row while they are together no longer than this, or than the prompt."""
WORTH = 16
"""What all prompts have in common is read apart only from so many tokens on."""


@dataclass(frozen=True)
class Row:
    """A prompt and the continuations that are read behind it."""

    prompt: Ids
    afters: tuple[Ids, ...]
    indices: tuple[int, ...]
    """Which pair of the caller's each continuation is."""

    @property
    def width(self) -> int:
        """Tokens to be read: the last one of a continuation predicts nothing that is asked."""
        return len(self.prompt) + sum(len(after) - 1 for after in self.afters)


def plainly(unit: Row | Ids) -> list[Any]:
    """Return a row, or the ids of a prompt, as JSON writes them."""
    return [unit.prompt, unit.afters] if isinstance(unit, Row) else list(unit)


@dataclass(frozen=True)
class Laid:
    """Rows as a model reads them, all of one width, and where it is looked at."""

    ids: list[list[int]] = field(default_factory=list[list[int]])
    """Token ids, padded on the right."""
    positions: list[list[int]] = field(default_factory=list[list[int]])
    """Each token's distance from its text's beginning."""
    parts: list[list[int]] = field(default_factory=list[list[int]])
    """0 for the prompt, then a number for each continuation; -1 for padding."""
    places: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Row and column of each state that predicts something."""
    looks: list[int] = field(default_factory=list[int])
    """For each token of all continuations, the place that predicts it."""


def rows(pairs: Mapping[int, tuple[Ids, Ids]], *, together: bool) -> list[Row]:
    """Put continuations of the same prompt into one row.

    Args:
        pairs: an index and a prompt with what goes on with it.
        together: False gives each a row of its own.
    """
    behind: dict[Ids, list[list[int]]] = {}
    for index, (before, after) in pairs.items():
        groups = behind.setdefault(before, [])
        length = sum(len(pairs[other][1]) for other in groups[-1]) + len(after) if groups else 0
        if groups and together and length <= max(SHORT, len(before)):
            groups[-1].append(index)
        else:
            groups.append([index])
    return [
        Row(before, tuple(pairs[index][1] for index in group), tuple(group))
        for before, groups in behind.items()
        for group in groups
    ]


def lay(batch: Sequence[Row], skip: int, pad: int) -> Laid:
    """Lay out rows without their first `skip` tokens, which the model has read already."""
    laid = Laid()
    width = max(row.width for row in batch) - skip
    for number, row in enumerate(batch):
        start = len(row.prompt)
        ids, positions, parts = list(row.prompt[skip:]), list(range(skip, start)), [0] * (start - skip)
        border = len(laid.places)
        laid.places.append((number, start - 1 - skip))
        for part, after in enumerate(row.afters, start=1 if len(row.afters) > 1 else 0):
            inner = range(len(laid.places), len(laid.places) + len(after) - 1)
            laid.looks.extend((border, *inner))
            laid.places.extend((number, len(ids) + place) for place in range(len(after) - 1))
            ids += after[:-1]
            positions += range(start, start + len(after) - 1)
            parts += [part] * (len(after) - 1)
        empty = width - len(ids)
        laid.ids.append(ids + [pad] * empty)
        laid.positions.append(positions + [0] * empty)
        laid.parts.append(parts + [-1] * empty)
    return laid


def common(prompts: Iterable[Ids]) -> Ids:
    """Return what all prompts begin with, if it is worth reading apart; each keeps a token of its own."""
    given = list(prompts)
    if len(given) < 2:
        return ()
    low, high = min(given), max(given)
    most = min(map(len, given)) - 1
    length = next((place for place in range(most) if low[place] != high[place]), most)
    return low[:length] if length >= WORTH else ()


def batches(lengths: Mapping[int, int], budget: int) -> list[list[int]]:
    """Group indices, longest first, so that the longest of a group times its size stays within the budget of tokens.

    Args:
        lengths: index to tokens.
        budget: tokens a group; a single longer index makes a group of its own.
    """
    groups: list[list[int]] = []
    for index in sorted(lengths, key=lambda i: (-lengths[i], i)):
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
