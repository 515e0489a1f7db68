"""The first look at every row, in as many processes as there are cores: what it says, what is in it, what it is like.

Knows no splits and no files: `Sieve` turns a batch of rows into a `Sifted`, which travels back to the process that
writes. A row that cannot be used is left out here, with its reason.
"""

import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evals.grams import Flat, Hashes, hash_words, words
from ftspace.data.columns import Labels, Row
from ftspace.data.formats import Conversation, Format, RowProblem, given_format, recognize, to_conversation
from ftspace.data.quality import language as language_of
from ftspace.data.quality import look
from ftspace.data.report import Tally
from ftspace.sections import FINDINGS, DataConfig, Finding


@dataclass(frozen=True)
class Reading:
    """All that it takes to read rows, in a form that can be sent to another process."""

    config: DataConfig
    columns: list[str]
    first: list[Row]
    """The rows by which the format is recognized."""
    labels: Labels

    def format(self) -> Format:
        """How to read the rows: as the config says, or as their columns and first rows show. Raises DatasetError."""
        config = self.config
        if config.mapping or config.prompt_template or config.completion_template:
            mapping = {str(role): column for role, column in (config.mapping or {}).items()}
            templates = (config.prompt_template, config.completion_template)
            return given_format(self.columns, self.first, mapping, *templates, labels=self.labels)
        return recognize(self.columns, self.first, self.labels)


KNOWN = np.dtype(
    [
        ("source", np.uint8),  # which of the dataset's splits the row is from
        ("row", np.int64),  # its number there, from 1
        ("id", np.uint64),  # hash of the conversation's line: equal for equal conversations
        ("opening", np.uint64),  # hash of the first question
        ("prompt", np.uint64),  # hash of all that stands before the last answer
        ("found", np.uint16),  # what was found in it: a bit for each of FINDINGS
        ("language", np.uint16),  # see `code_of`
        ("words", np.int32),
    ]
)
"""What is kept in memory of a row."""


@dataclass(frozen=True)
class Sifted:
    """What is known of a batch: entry i of all of them is the same row."""

    lines: list[bytes]
    """The conversations as JSON lines, without line ends."""
    known: npt.NDArray[np.void]
    """Of dtype KNOWN."""
    words: Flat
    dropped: list[tuple[int, str]]
    """The rows that cannot be used, with the reason."""
    tally: Tally


class Sieve:
    """Looks at batches of rows. Made once a process."""

    def __init__(self, reading: Reading) -> None:
        """Recognizes the format as the process that writes did."""
        self._format = reading.format()
        self._system = reading.config.system

    def __call__(self, batch: tuple[int, Sequence[Mapping[str, Any]]]) -> Sifted:
        """Looks at a batch: the number of its first row, and the rows."""
        start, rows = batch
        kept: list[tuple[int, Conversation]] = []
        dropped: list[tuple[int, str]] = []
        for number, row in enumerate(rows, start=start):
            try:
                kept.append((number, to_conversation(row, self._format, self._system)))
            except RowProblem as problem:
                dropped.append((number, str(problem)))
        lines = [line_of(conversation) for _, conversation in kept]
        spoken = hash_words([said(conversation) for _, conversation in kept])
        tally = Tally()
        known = np.zeros(len(kept), dtype=KNOWN)
        known["id"] = _digests(lines)
        known["opening"] = _digests([_opening(conversation) for _, conversation in kept])
        known["prompt"] = _digests([_prompt(conversation) for _, conversation in kept])
        known["words"] = np.diff(spoken.offsets)
        for place, (number, conversation) in enumerate(kept):
            flags, language = look(conversation), language_of(conversation)
            tally.add(number, conversation, flags, language)
            known[place]["row"] = number
            known[place]["language"] = code_of(language)
            known[place]["found"] = sum(bit(flag.finding) for flag in flags)
        return Sifted(lines, known, spoken, dropped, tally)


def bit(finding: Finding) -> int:
    """The bit that stands for a finding in a row's `found`."""
    return 1 << FINDINGS.index(finding)


def code_of(language: str) -> int:
    """A language of two letters as a number; 0 for none."""
    return int.from_bytes(language.encode(), "big") if len(language) == 2 else 0


def line_of(conversation: Conversation) -> bytes:
    """The conversation as it is written into a prepared split."""
    return json.dumps({"messages": conversation}, ensure_ascii=False).encode("utf-8", "replace")


def said(conversation: Conversation, roles: Container[str] = ("user", "assistant", "tool")) -> list[str]:
    """The words of questions and answers; system prompts are the same in many rows and left out."""
    return [word for turn in conversation if turn["role"] in roles for word in words(turn["content"])]


def _opening(conversation: Conversation) -> bytes:
    return next((" ".join(words(turn["content"])) for turn in conversation if turn["role"] == "user"), "").encode()


def _prompt(conversation: Conversation) -> bytes:
    turns = [turn for turn in conversation[:-1] if turn["role"] != "system"]
    return "\n".join(" ".join(words(turn["content"])) for turn in turns).encode()


def _digests(texts: Sequence[bytes]) -> Hashes:
    """The first eight bytes of each text's SHA-256."""
    return np.array([int.from_bytes(hashlib.sha256(text).digest()[:8], "big") for text in texts], dtype=np.uint64)
