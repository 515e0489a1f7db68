"""What two texts do not have in common, word by word. Pure: knows no model, no screen.

What both begin and end with is taken away first; the rest is aligned with difflib, which is quadratic. Where that rest
is long, each word is looked for anywhere in the other text instead, which is linear.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

from evals.scorers.letters import UNSPACED

ALIGNED = 1000
"""Words of either text, beyond what both begin and end with, up to which they are aligned."""
_WORD = re.compile(rf"(?:{UNSPACED.pattern}|\w(?:(?!{UNSPACED.pattern})[\w'’])*|[^\w\s])\s*|\s+")
"""A word, a letter of a script without spaces, or a sign, each with the space behind it."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a text."""

    text: str
    only: bool
    """Whether the other text does not have it there."""


@dataclass(frozen=True)
class Difference:
    """Two texts, each in pieces that together are the text."""

    first: tuple[Piece, ...]
    second: tuple[Piece, ...]
    same: bool
    """Whether they are one text, but for space around it."""
    only_first: int
    """Words that only the first has."""
    only_second: int
    aligned: bool = True
    """Whether words were looked for in their place; else anywhere."""

    @property
    def words(self) -> str:
        """What differs, as part of a sentence."""
        if self.same:
            return "the same answer"
        if not self.only_first + self.only_second:
            return "the same words, with other signs or spaces"
        found = max(self.only_first, self.only_second)
        return f"{found:,} word{'s' if found != 1 else ''} differ{'s' if found == 1 else ''}"


def differences(first: str, second: str) -> Difference:
    """What each of two texts has that the other has not."""
    if first.strip() == second.strip():
        return Difference(_whole(first), _whole(second), same=True, only_first=0, only_second=0)
    one, other = _WORD.findall(first), _WORD.findall(second)
    words, others = [word.strip() for word in one], [word.strip() for word in other]
    start, end = _shared(words, others)
    rest, others_rest = words[start : len(words) - end], others[start : len(others) - end]
    aligned = max(len(rest), len(others_rest)) <= ALIGNED
    alone, others_alone = (_aligned if aligned else _anywhere)(rest, others_rest)
    return Difference(
        first=_pieces(one, [False] * start + alone + [False] * end),
        second=_pieces(other, [False] * start + others_alone + [False] * end),
        same=False,
        only_first=_count(words, alone, start),
        only_second=_count(others, others_alone, start),
        aligned=aligned,
    )


def _shared(words: Sequence[str], others: Sequence[str]) -> tuple[int, int]:
    """How many words both begin with, and how many of the rest both end with."""
    most = min(len(words), len(others))
    start = next((place for place in range(most) if words[place] != others[place]), most)
    left = most - start
    return start, next((place for place in range(left) if words[-1 - place] != others[-1 - place]), left)


def _aligned(words: Sequence[str], others: Sequence[str]) -> tuple[list[bool], list[bool]]:
    alone, others_alone = [bool(word) for word in words], [bool(word) for word in others]
    for block in SequenceMatcher(None, words, others, autojunk=False).get_matching_blocks():
        alone[block.a : block.a + block.size] = [False] * block.size
        others_alone[block.b : block.b + block.size] = [False] * block.size
    return alone, others_alone


def _anywhere(words: Sequence[str], others: Sequence[str]) -> tuple[list[bool], list[bool]]:
    return _unmatched(words, Counter(others)), _unmatched(others, Counter(words))


def _unmatched(words: Sequence[str], there: Counter[str]) -> list[bool]:
    found: list[bool] = []
    for word in words:
        found.append(bool(word) and there[word] < 1)
        there[word] -= 1
    return found


def _count(words: Sequence[str], alone: Sequence[bool], start: int) -> int:
    """How many of those that stand alone are words, and no signs."""
    return sum(only and any(map(str.isalnum, words[start + place])) for place, only in enumerate(alone))


def _whole(text: str) -> tuple[Piece, ...]:
    return (Piece(text, only=False),) if text else ()


def _pieces(words: Sequence[str], only: Sequence[bool]) -> tuple[Piece, ...]:
    runs = groupby(zip(words, only, strict=True), key=lambda one: one[1])
    return tuple(Piece("".join(word for word, _ in run), alone) for alone, run in runs)
