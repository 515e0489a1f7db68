"""Writes greedy answers, a token a pass for all rows of a batch, with keys and values kept in place.

Rows that have ended leave the batch where that changes no answer: in float32. In low precision they stay, since what
else is in a batch changes roundings, and base and tuned end at different tokens. Knows nothing of texts or sides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

from evals.layout import Ids
from evals.reading import Prefix, Reader

LEAVE = 0.75
"""Rows are taken together when so many of them, or fewer, are still being written."""


@dataclass
class Written:
    """One row's answer as it grows."""

    tokens: list[int] = field(default_factory=list[int])
    ended: bool = False
    bad: bool = False
    """The model computed not-a-number."""


def write(
    reader: Reader,
    prompts: Sequence[Ids],
    prefix: Prefix,
    max_new_tokens: int,
    *,
    ends: Callable[[Sequence[int]], bool],
    pad: int,
    before_token: Callable[[], None],
    at_once: int,
) -> list[Written]:
    """Write an answer to each prompt.

    Args:
        reader: the model, with its side switched on.
        prompts: whole, what they have in common included.
        prefix: what was read of that.
        max_new_tokens: the longest answer.
        ends: whether the tokens of an answer complete it, asked after each one.
        pad: the id that fills short rows.
        before_token: called before each pass; what it raises ends the work.
        at_once: prompts are read so many tokens at a time, in whole rows; their keys and values are kept together.
    """
    device, read = reader.device, prefix[0][0].shape[2] if prefix else 0
    width = max(map(len, prompts)) - read
    empty = [width - (len(prompt) - read) for prompt in prompts]
    ids = torch.tensor([[pad] * gap + list(p[read:]) for gap, p in zip(empty, prompts, strict=True)], device=device)
    mask = torch.ones(len(prompts), read + width + max_new_tokens, dtype=torch.long, device=device)
    for row, gap in enumerate(empty):
        mask[row, read : read + gap] = 0
    layers = [
        _Growing(mask.shape[:2], *(prefix[number] if prefix else ())) for number in range(len(reader.cache().layers))
    ]
    cache: Any = reader.cache(layers)
    places = mask.cumsum(1) - 1
    answers = [Written() for _ in prompts]
    rows = list(range(len(prompts)))  # of the batch, by their places among the prompts
    done = read
    for _ in range(max_new_tokens):
        done += ids.shape[1]
        states: list[torch.Tensor] = []
        for part in _parts(len(ids), max(1, at_once // ids.shape[1])):
            before_token()
            for layer in layers:
                layer.read(part, done - ids.shape[1])
            options: dict[str, Any] = {"past_key_values": cache, "use_cache": True}
            if any(empty):
                options["attention_mask"] = mask[part, :done]
                options["position_ids"] = places[part, done - ids.shape[1] : done].clamp(min=0)
            states.append(reader.outputs.run(ids[part], 1, **options)[:, -1])
        tokens, bad = reader.outputs.likeliest(torch.cat(states))
        for row, token, wrong in zip(rows, tokens.tolist(), bad.tolist(), strict=True):
            answer = answers[row]
            if not (answer.ended or answer.bad):
                answer.tokens.append(token)
                answer.bad = wrong
                answer.ended = ends(answer.tokens)
        open_rows = [place for place, row in enumerate(rows) if not (answers[row].ended or answers[row].bad)]
        if not open_rows:
            break
        if reader.exact and len(open_rows) <= LEAVE * len(rows):
            index = torch.tensor(open_rows, device=device)
            for layer in layers:
                layer.select(index)
            rows = [rows[place] for place in open_rows]
            tokens, mask, places = tokens[index], mask[index], places[index]
        ids = tokens[:, None]
    return answers


def _parts(rows: int, step: int) -> list[slice]:
    """The rows of a batch that are read at a time."""
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


class _Growing(DynamicLayer):
    """Keys and values written into room that was set aside for all of them, instead of copied at each token.

    Args:
        room: rows and tokens.
        keys: what all rows begin with.
        values: the same.
    """

    def __init__(
        self, room: Sequence[int], keys: torch.Tensor | None = None, values: torch.Tensor | None = None
    ) -> None:
        super().__init__()
        self._room = room
        self._first = (keys, values)
        self._part, self._length = slice(None), 0

    def read(self, part: slice, length: int) -> None:
        """From now on these rows are read, behind so many tokens."""
        self._part, self._length = part, length

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write what was read behind what was there, and return all of it."""
        if not self.is_initialized:
            self._all = [self._set_aside(*pair) for pair in zip((key_states, value_states), self._first, strict=True)]
            self.is_initialized = True
        end = self._length + key_states.shape[2]
        for room, new in zip(self._all, (key_states, value_states), strict=True):
            room[self._part, :, self._length : end] = new
        self._length = end
        self.keys, self.values = (room[self._part, :, :end] for room in self._all)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """How many tokens there are."""
        return self._length

    def select(self, index: torch.Tensor) -> None:
        """Keep some rows."""
        for place in range(2):
            self._all[place] = self._all[place][index]

    def _set_aside(self, states: torch.Tensor, first: torch.Tensor | None) -> torch.Tensor:
        _, heads, _, size = states.shape
        rows, tokens = self._room
        room = states.new_empty(rows, heads, tokens, size)
        if first is not None:
            room[:, :, : first.shape[2]] = first
        return room
