"""What belongs to a word, in any script. Knows nothing of answers or scores.

Python's `\\w` leaves out the marks that stand on letters, and with them the vowels of a billion people.
"""

import re
from unicodedata import category

_LETTER = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MARK = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059\u105e-\u1060"
    "\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d\u17b4-\u17d3\u17dd\u3099\u309a"
)
UNSPACED = re.compile(f"[{_LETTER}][{_MARK}]*")
"""A letter, with its marks, of a script that puts no space between words.

Thai, Lao, Burmese, Khmer, Japanese and Chinese.
"""


def is_letter(character: str) -> bool:
    """Return whether a character is part of a word: a letter, a digit or a mark on one."""
    return character.isalnum() or is_mark(character)


def is_mark(character: str) -> bool:
    """Return whether a character is a mark on the one before it: an accent, a vowel sign."""
    return category(character)[0] == "M"


def bare(word: str) -> str:
    """Return a word without what is no letter around it; marks stay on their letter."""
    if word[:1].isalnum() and word[-1:].isalnum():
        return word
    letters = [place for place, one in enumerate(word) if one.isalnum()]
    if not letters:
        return ""
    end = letters[-1] + 1
    while end < len(word) and is_mark(word[end]):
        end += 1
    return word[letters[0] : end]


def mostly_unspaced(text: str) -> bool:
    """Return whether most letters of a text are of scripts that put no space between words."""
    letters = sum(one.isalnum() for one in text)
    return 2 * len(UNSPACED.findall(text)) > letters
