"""Rendered conversations to token ids and labels: what is trained of them, and what is cut.

The loss is on every answer and the token that ends it, and on nothing else, unless `train.loss_on` says otherwise.
Knows tokenizers by what they do.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ftspace.chat import Rendered, render_answers, template_of
from ftspace.data.formats import Conversation
from ftspace.errors import ModelError
from ftspace.sections import LossOn

Side = Literal["right", "left"]
IGNORED = -100
"""The label of a token that is not trained, as torch's cross entropy has it."""


@dataclass(frozen=True)
class Supervised:
    """A conversation as a model is trained on it: token ids, and the same ids as labels or IGNORED."""

    input_ids: list[int]
    labels: list[int]
    truncated: bool

    @property
    def supervised(self) -> int:
        """How many tokens are trained."""
        return len(self.labels) - self.labels.count(IGNORED)


@dataclass
class Tally:
    """What happened to conversations on their way to tokens that a person should know."""

    folded: int = 0
    """Conversations whose system prompt stands at the head of the question."""
    untrained: int = 0
    """Earlier answers that are not trained."""
    refused: Counter[str] = field(default_factory=Counter[str])
    """Conversations left out, by what the template said."""

    def merge(self, other: "Tally") -> None:
        """Adds what another one counted."""
        self.folded += other.folded
        self.untrained += other.untrained
        self.refused += other.refused

    def warnings(self) -> list[str]:
        """One line for each."""
        said: list[str] = []
        if self.folded:
            said.append(
                f"the chat template takes no system prompt: {self.folded} are written at the head of the first question"
            )
        if self.untrained:
            said.append(
                f"{self.untrained} earlier answers are not trained: the template rewrites them when the conversation "
                "goes on"
            )
        said += [f"{count} rows are left out: {reason}" for reason, count in self.refused.most_common(3)]
        return said


@dataclass(frozen=True)
class Encoded:
    """A whole conversation in tokens, before anything is cut."""

    text: str
    input_ids: list[int]
    labels: list[int]
    ends: list[int]
    """Where in the text each token ends; an eos put behind the text has none."""
    end: int | None
    """The place of the token that ends the last answer."""


def supervise(
    tokenizer: Any,
    conversations: Sequence[Conversation],
    max_length: int,
    side: Side = "right",
    tally: Tally | None = None,
    loss_on: LossOn = "assistant",
) -> Iterator[Supervised]:
    """Tokenizes conversations with a loss on every assistant turn and the token that ends it, and on nothing else.

    With `loss_on` completion that is the last one alone; with all, it is every token but the first. Where a template
    leaves the last answer without an end token, the tokenizer's eos is put right behind it. What is longer than
    `max_length` is cut on `side`. Raises ModelError for a conversation that the template refuses, or whose last answer
    changes what stands before it; with a `tally`, such ones are counted there and left out.
    """
    bos = tokenizer.bos_token_id
    for whole in encode(tokenizer, conversations, tally, loss_on):
        yield cut(whole, max_length, side, bos)


def cut(whole: Encoded, max_length: int, side: Side, bos: int | None) -> Supervised:
    """What is left of a conversation; its first token is never trained, since nothing stands before it."""
    low, high = cut_range(whole.input_ids, max_length, side, bos)
    labels = whole.labels[:low] + whole.labels[high:]
    labels[:1] = [IGNORED]
    return Supervised(whole.input_ids[:low] + whole.input_ids[high:], labels, truncated=low < high)


def cut_range(ids: Sequence[int], max_length: int, side: Side, bos: int | None) -> tuple[int, int]:
    """Which tokens are cut, from and up to; a begin token stays at the front."""
    over = len(ids) - max_length
    if over <= 0:
        return len(ids), len(ids)
    if side == "right":
        return max_length, len(ids)
    keep = int(bos is not None and ids[0] == bos and max_length > 1)
    return keep, keep + over


def encode(
    tokenizer: Any,
    conversations: Sequence[Conversation],
    tally: Tally | None = None,
    loss_on: LossOn = "assistant",
) -> Iterator[Encoded]:
    """Conversations in tokens, whole; what `supervise` cuts. Raises ModelError as it does."""
    template = template_of(tokenizer)
    rows: list[Rendered] = []
    for conversation in conversations:
        try:
            rows.append(render_answers(template, conversation))
        except ModelError as error:
            if tally is None:
                raise
            tally.refused[str(error)] += 1
            continue
        if tally is not None:
            tally.untrained += rows[-1].untrained if loss_on == "assistant" else 0
            tally.folded += template.folds_system and any(turn["role"] == "system" for turn in conversation)
    if not rows:
        return
    encoded = tokenizer([row.text for row in rows], add_special_tokens=False, return_offsets_mapping=True)
    special = end_tokens(tokenizer)
    for row, ids, offsets in zip(rows, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        ends = [end for _, end in offsets]
        labels = _labels(ids, ends, row.spans[-1:] if loss_on == "completion" else row.spans)
        last = next((place for place in range(len(labels) - 1, -1, -1) if labels[place] != IGNORED), None)
        if last is not None and labels[last] not in special:
            if tokenizer.eos_token_id is None:
                raise ModelError(
                    "neither the model's chat template nor its tokenizer has a token that ends an answer, so the model "
                    "could not learn to stop; choose a model.chat_template such as chatml"
                )
            ids, labels = ([*tokens[: last + 1], tokenizer.eos_token_id] for tokens in (ids, labels))
            ends = ends[: last + 1]
            last += 1
        if loss_on == "all":
            labels = [IGNORED, *ids[1:]]
        yield Encoded(row.text, ids, labels, ends, last)


def _labels(ids: list[int], ends: list[int], spans: Sequence[tuple[int, int]]) -> list[int]:
    """The ids of the tokens that end in a span, IGNORED for all others."""
    if ends != sorted(ends):  # a tokenizer whose tokens are not in the text's order: none is known
        return [
            token if any(start < end <= stop for start, stop in spans) else IGNORED
            for token, end in zip(ids, ends, strict=True)
        ]
    labels = [IGNORED] * len(ids)
    for start, stop in spans:
        low, high = bisect_right(ends, start), bisect_right(ends, stop)
        labels[low:high] = ids[low:high]
    return labels


def end_tokens(tokenizer: Any) -> set[int]:
    """The ids of all special tokens, those included that only the vocabulary calls special."""
    added = tokenizer.added_tokens_decoder
    return {*tokenizer.all_special_ids, *(token for token, one in added.items() if one.special)}
