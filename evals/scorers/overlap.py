"""How much of its words an answer shares with an expected one. Knows nothing of tasks or models."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from evals.scorers.exact import normalize
from evals.scorers.letters import UNSPACED, bare, is_letter


def words(text: str) -> list[str]:
    """Return the words of a text as they are compared: normalized, without punctuation around them.

    Where a script puts no space between words, each of its letters is one.
    """
    return [word for part in _spaced(normalize(text)).split() if (word := bare(part))]


def word_f1(answer: str, expected: str) -> float:
    """Return the harmonic mean of two shares: of the answer's words that are expected, and of the expected given.

    A word counts as often as it stands in both. NaN when nothing but punctuation is expected.
    """
    given, wanted = Counter(words(answer)), Counter(words(expected))
    if not wanted:
        return math.nan
    return 2 * (given & wanted).total() / (given.total() + wanted.total())


def word_similarity(answer: str, expected: str) -> float:
    """Return how many different words both have, of all that either has (Jaccard). NaN when none is expected."""
    given, wanted = set(words(answer)), set(words(expected))
    return len(given & wanted) / len(given | wanted) if wanted else math.nan


def rouge_words(text: str) -> list[str]:
    """Return the words that ROUGE compares: lower case, only letters and digits.

    Of ASCII texts they are those of rouge-score, without its stemmer. It knows no other letters; here all are known,
    and where a script puts no space between words, each letter is one.
    """
    if text.isascii():
        return re.findall("[a-z0-9]+", text.lower())
    spaced = _spaced(unicodedata.normalize("NFKC", text).lower())
    kept = "".join(one if is_letter(one) else " " for one in spaced)
    return [word for part in kept.split() if (word := bare(part))]


def rouge_l(answer: str, expected: str) -> float:
    """Return ROUGE-L's F measure: of the longest run of words, gaps allowed, that both have in the same order.

    Lin, "ROUGE: a package for automatic evaluation of summaries", 2004. NaN when no word is expected.
    """
    given, wanted = rouge_words(answer), rouge_words(expected)
    if not wanted:
        return math.nan
    return 2 * _common(given, wanted) / (len(given) + len(wanted))


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence, a row of its table in the bits of one number.

    Crochemore, Iliopoulos, Pinzon, Reid, "A fast and practical bit-vector algorithm for the longest common subsequence
    problem", Information Processing Letters 80 (2001) 279-285.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    whole = (1 << len(first)) - 1
    row = whole
    for word in second:
        matched = row & places.get(word, 0)
        row = (row + matched | row - matched) & whole
    return len(first) - row.bit_count()


def _spaced(text: str) -> str:
    return text if text.isascii() else UNSPACED.sub(r" \g<0> ", text)
