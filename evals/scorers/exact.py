"""Exact match, after what a reader would overlook is taken away. Knows nothing of tasks or models."""

import unicodedata

_QUOTES = "\"'`*_“”‘’«»"
_STOPS = ".,;:!?…。"


def normalize(text: str) -> str:
    """Return `text` as it is compared: NFKC, case folded, one space between words, no quotes or stops around it.

    Punctuation inside stays, and so does a leading minus: 3.14 is not 314, -5 is not 5. Articles stay: the SQuAD rule
    takes them away, and then "A" is no answer. A text of nothing but punctuation stays as it is.
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    bare = folded.strip(_QUOTES + " ").rstrip(_STOPS + _QUOTES + " ").strip(_QUOTES + " ")
    return bare or folded
