"""Exact match and containment, after what a reader would overlook is taken away. Knows nothing of tasks or models."""

import re
import unicodedata
from collections.abc import Sequence

from evals.scorers.letters import UNSPACED, is_letter, is_mark

_QUOTES = "\"'`*_“”‘’«»"
_STOPS = ".,;:!?…。"
_IN_A_NUMBER = re.compile(r"(?:\d[.,]|(?<![\w)])[-−])$")
_NUMBER_GOES_ON = re.compile(r"[.,]\d")


def normalize(text: str) -> str:
    """Return `text` as it is compared: NFKC, case folded, one space between words, no quotes or stops around it.

    Punctuation inside stays, and so does a leading minus: 3.14 is not 314, -5 is not 5. Articles stay: the SQuAD rule
    takes them away, and then "A" is no answer. A text of nothing but punctuation stays as it is.
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    bare = folded.strip(_QUOTES + " ").rstrip(_STOPS + _QUOTES + " ").strip(_QUOTES + " ")
    return bare or folded


def exact_match(answer: str, accepted: Sequence[str]) -> float:
    """Return 1 if the answer is one of the accepted, once both are normalized, else 0."""
    return float(bool(answer) and normalize(answer) in {normalize(one) for one in accepted})


def contains(answer: str, accepted: Sequence[str]) -> float:
    """Return 1 if an accepted answer stands in the answer as whole words, else 0.

    Parts of words and of numbers don't count: "art" is not in "party", 3 not in 3.14, 5 not in -5, C not in C++. Where
    a script puts no space between words, any place counts.
    """
    text = normalize(answer)
    return float(any(_stands_in(normalize(one), text) for one in accepted))


def _stands_in(wanted: str, text: str) -> bool:
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        if _begins(text, at) and _ends(text, at + len(wanted)):
            return True
        at = text.find(wanted, at + 1)
    return False


def _begins(text: str, at: int) -> bool:
    before, first = text[at - 1 : at] if at else "", text[at]
    if not before:
        return True
    if is_letter(before) and is_letter(first):
        return bool(UNSPACED.match(first))
    return not (first.isdigit() and _IN_A_NUMBER.search(text, 0, at))


def _ends(text: str, at: int) -> bool:
    last, after = text[at - 1], text[at : at + 1]
    if not after:
        return True
    if is_letter(last) and is_letter(after):
        return not is_mark(after) and bool(UNSPACED.match(after) or UNSPACED.match(last))
    if last.isdigit():
        return not _NUMBER_GOES_ON.match(text, at)
    return not (last.isalpha() and after in "+#")
