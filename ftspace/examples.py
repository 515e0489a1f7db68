"""Which training rows stand as solved examples before a question: a few short ones that differ, and always the same.

Pure: knows conversations, no models and no files.
"""

import hashlib
import heapq
from collections.abc import Collection, Iterable

from ftspace.data.messages import Conversation, uses_tools

POOL = 400
"""Rows among which the examples are chosen; which ones, a hash of seed and row decides."""
MOST_WORDS = 200
"""Words of an example, question and answer together: longer ones leave no room for the question."""


def choose_examples(
    rows: Iterable[Conversation], asked: Collection[str], count: int, seed: int
) -> list[tuple[str, str]]:
    """Question and answer of `count` rows, or of as many as there are.

    Of a pool drawn by the seed, the shorter half is kept, and of that each time the row that is least like those taken
    before, by its words.

    Args:
        rows: conversations; the first exchange of each counts.
        asked: questions that no example may show, told by `plain`.
        count: how many.
        seed: for what is drawn.
    """
    found = {pair[0]: pair for row in rows if (pair := _exchange(row)) and plain(pair[0]) not in asked}
    fits = (pair for pair in found.values() if len(_words(pair)) <= MOST_WORDS)
    pool = heapq.nsmallest(POOL, fits, key=lambda pair: _drawn(pair, seed))
    by_length = sorted(len("".join(pair)) for pair in pool)
    longest = max(by_length[len(pool) // 2], by_length[min(count, len(pool)) - 1]) if pool else 0
    left = [pair for pair in pool if len("".join(pair)) <= longest]
    taken: list[tuple[str, str]] = []
    while left and len(taken) < count:
        best = min(left, key=lambda pair: max((_alike(pair, other) for other in taken), default=0.0))
        left.remove(best)
        taken.append(best)
    return taken


def plain(question: str) -> str:
    """A question without what does not tell it from another: letter case and spaces."""
    return " ".join(question.split()).casefold()


def _exchange(row: Conversation) -> tuple[str, str] | None:
    """The first question of a conversation and its answer; None where there is no plain one."""
    turns = [turn for turn in row if turn["role"] != "system"][:2]
    if uses_tools(row) or [turn["role"] for turn in turns] != ["user", "assistant"]:
        return None
    question, answer = (turn["content"].strip() for turn in turns)
    return (question, answer) if question and answer else None


def _drawn(pair: tuple[str, str], seed: int) -> bytes:
    return hashlib.sha256("\0".join((str(seed), *pair)).encode(errors="surrogatepass")).digest()


def _words(pair: tuple[str, str]) -> list[str]:
    return " ".join(pair).casefold().split()


def _alike(pair: tuple[str, str], other: tuple[str, str]) -> float:
    """The share of their words that two have in common."""
    first, second = set(_words(pair)), set(_words(other))
    return len(first & second) / len(first | second)
