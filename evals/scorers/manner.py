"""How an answer is written, whatever it says: how long, in a loop, cut off. Knows nothing of tasks or models."""

import math
import re
from collections.abc import Sequence
from typing import Literal

from evals.scorers.overlap import words

LOOKED_AT = 2000
"""Characters at the end of an answer in which a loop is looked for."""
COPIES = 2.5
"""So many times over must it say the same: the last time may be cut off. Refrains and emphasis say it twice."""
LEAST = 20
"""Fewer repeated characters are none: "no, no, no"."""
MUCH = 100
"""So many are a loop however long the answer is; fewer must be a quarter of it."""
_MARKER = re.compile(r"(?m)^\s*(?:\d{1,4}[.):]|[-*•–])\s+")
_LAST_STOP = re.compile(r"(?<=[^.!?…])[.!?…]{1,3}$")
_SAYS = re.compile(r"[^\W\d_]")


def length(answer: str) -> float:
    """Return the number of words; where a script puts no space between words, of letters."""
    return float(len(words(answer)))


def cut_off(finish: Literal["end", "length"] | None) -> float:
    """Return 1 for an answer that was cut off at the longest length, 0 for one that ended, NaN if that isn't known."""
    return math.nan if finish is None else float(finish == "length")


def repetition(answer: str, expected: Sequence[str] = ()) -> float:
    """Return the share of an answer that says again and again what has just been said, up to its end.

    That is how a model writes that can't stop: "He likes red. He likes red. He likes red. He li". The numbers and
    bullets of a list play no part, so a list of the same item is a loop. A list of different items is none, nor is a
    refrain: the same must stand at least two and a half times in a row, at the end. Loops without a letter (zeros,
    dots) must be half of the answer. Where an expected answer loops as well, that is right, so 0.
    """
    score = _looping(answer)
    return 0.0 if score and any(_looping(one) for one in expected) else score


def _looping(answer: str) -> float:
    text = " ".join(_MARKER.sub("\n", f"\n{answer}").casefold().split())[-LOOKED_AT:]
    text = _LAST_STOP.sub("", text)
    if text.count(text[-LEAST // 2 :]) < 2:
        return 0.0
    backwards = text[::-1]
    found = [(same, period) for period, same in enumerate(_begins_again(backwards)) if period > 0]
    loops = [(same, period) for same, period in found if same >= LEAST and same + period >= COPIES * period]
    repeated, period = max(loops, default=(0, 0))
    share = repeated / max(len(text), 1)
    least = 0.25 if _SAYS.search(backwards[:period]) else 0.5
    return share if share >= least or (least < 0.5 and repeated >= MUCH) else 0.0


def _begins_again(text: str) -> list[int]:
    """For each place, how many characters from there on are those that the text begins with (its Z array)."""
    same, left, right = [0] * len(text), 0, 0
    for place in range(1, len(text)):
        if place < right:
            same[place] = min(right - place, same[place - left])
        while place + same[place] < len(text) and text[same[place]] == text[place + same[place]]:
            same[place] += 1
        if place + same[place] > right:
            left, right = place, place + same[place]
    return same
