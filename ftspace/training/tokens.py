"""Conversations to the token ids and labels of training, in all cores. Knows the renderer, no files and no trainer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from ftspace.data.formats import Conversation
from ftspace.data.pool import spread
from ftspace.sections import LossOn
from ftspace.supervision import Side, Tally, cut, encode
from ftspace.tokenizer import LightTokenizer

CHUNK, CHUNK_CHARACTERS = 1000, 4_000_000
"""Conversations tokenized at a time."""


@dataclass(frozen=True)
class Portable:
    """A tokenizer with its template in a form that can be sent to another process, and be hashed."""

    backend: str
    """JSON of the `tokenizers` library."""
    special_tokens: tuple[tuple[str, str], ...]
    extra: tuple[str, ...]
    chat_template: str | tuple[tuple[str, str], ...] | None

    @classmethod
    def of(cls, tokenizer: Any) -> "Portable | None":
        """A fast tokenizer of transformers; None for one that has no other form than its Python code."""
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            return None
        named = tuple(dict(tokenizer.special_tokens_map).items())
        extra = tuple(one for one in tokenizer.all_special_tokens if one not in dict(named).values())
        template = tokenizer.chat_template
        return cls(backend.to_str(), named, extra, tuple(template.items()) if isinstance(template, dict) else template)

    def open(self) -> LightTokenizer:
        """The tokenizer, with the same ids."""
        template = dict(self.chat_template) if isinstance(self.chat_template, tuple) else self.chat_template
        return LightTokenizer(Tokenizer.from_str(self.backend), dict(self.special_tokens), self.extra, template)


@dataclass(frozen=True)
class Tokens:
    """Some conversations in tokens, cut to the longest length; those without a token to train are left out."""

    ids: npt.NDArray[np.int32]
    """Of all kept conversations, one behind the other."""
    labels: npt.NDArray[np.int32]
    """The same ids, IGNORED where a token is not trained."""
    offsets: npt.NDArray[np.int64]
    """Where each conversation begins, and the end."""
    lengths: npt.NDArray[np.int32]
    """Tokens of each conversation before anything is cut, those left out included."""
    read: int
    """Tokens that are left after the cut, those of conversations left out included."""
    truncated: int
    """Conversations that were cut."""
    lost: int
    """Conversations left out, since the cut takes their whole answer."""
    tally: Tally


class Encoder:
    """Tokenizes batches of conversations. Made once a process."""

    def __init__(self, tokenizer: Any, max_length: int, side: Side, loss_on: LossOn = "assistant") -> None:
        """`tokenizer` is one, or a Portable."""
        self._tokenizer = tokenizer.open() if isinstance(tokenizer, Portable) else tokenizer
        self._limit = max_length
        self._side: Side = side
        self._loss_on: LossOn = loss_on

    def __call__(self, conversations: list[Conversation]) -> Tokens:
        """Tokenizes a batch; rows that the template refuses are counted in the tally and left out."""
        tally = Tally()
        ids: list[int] = []
        labels: list[int] = []
        offsets, lengths = [0], []
        read = truncated = lost = 0
        bos = self._tokenizer.bos_token_id
        for whole in encode(self._tokenizer, conversations, tally, self._loss_on):
            kept = cut(whole, self._limit, self._side, bos)
            lengths.append(len(whole.input_ids))
            read += len(kept.input_ids)
            truncated += kept.truncated
            if not kept.supervised:
                lost += 1
                continue
            ids += kept.input_ids
            labels += kept.labels
            offsets.append(len(ids))
        return Tokens(
            np.array(ids, dtype=np.int32),
            np.array(labels, dtype=np.int32),
            np.array(offsets, dtype=np.int64),
            np.array(lengths, dtype=np.int32),
            read,
            truncated,
            lost,
            tally,
        )


def tokenize(
    tokenizer: Any,
    conversations: Iterable[Conversation],
    max_length: int,
    side: Side,
    workers: int | None = None,
    loss_on: LossOn = "assistant",
) -> Iterator[Tokens]:
    """All conversations in tokens, a thousand at a time and in order, by as many processes as there are cores.

    A tokenizer that cannot be sent to another process is used by this one alone.
    """
    portable = Portable.of(tokenizer)
    make = partial(Encoder, portable or tokenizer, max_length, side, loss_on)
    return spread(make, _chunks(conversations), workers if portable else 1)


def _chunks(conversations: Iterable[Conversation]) -> Iterator[list[Conversation]]:
    """Some conversations at a time, fewer where they are long."""
    chunk: list[Conversation] = []
    size = 0
    for conversation in conversations:
        chunk.append(conversation)
        size += sum(len(turn["content"]) for turn in conversation)
        if len(chunk) >= CHUNK or size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
