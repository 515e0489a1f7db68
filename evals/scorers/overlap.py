"""How many words an answer shares with the expected one. Knows nothing of tasks or models."""

import math
import re
from collections import Counter

from evals.scorers.exact import normalize

_EDGE = re.compile(r"^\W+|\W+$")
_WITHOUT_SPACES = re.compile(r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")
"""Letters of scripts that put no space between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""


def words(text: str) -> list[str]:
    """Return the words of a text as they are compared: normalized, without punctuation around them.

    Where a script puts no space between words, each of its letters is one.
    """
    spaced = _WITHOUT_SPACES.sub(r" \1 ", normalize(text))
    return [bare for word in spaced.split() if (bare := _EDGE.sub("", word))]


def word_f1(answer: str, expected: str) -> float:
    """Return the harmonic mean of two shares: of the answer's words that are expected, and of the expected given.

    A word counts as often as it stands in both. NaN when nothing but punctuation is expected.
    """
    given, wanted = Counter(words(answer)), Counter(words(expected))
    if not wanted:
        return math.nan
    return 2 * (given & wanted).total() / (given.total() + wanted.total())
