"""One loaded base with its adapters, writing answers a token at a time. Knows no HTTP.

Greedy answers are those of the evaluation: same tokens in, same end tokens, adapter on or off, nothing of the
checkpoint's own generation settings. Each answer has keys and values and chance of its own, so that several can be
written in turn, whoever answers. docs/design/0041-serving.md says how.
"""

from collections.abc import Generator as Steps
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache

from evals.adapters import add_adapters
from evals.answers import NOT_A_NUMBER
from evals.errors import ModelError, TaskError
from evals.executor import Executor
from evals.outputs import Outputs
from evals.sides import names, plain, prefix, virtual_tokens
from ftspace.inference.protocol import ApiError, ChatRequest, Finish
from ftspace.inference.spelling import Spelling
from ftspace.inference.switch import Switch

_CACHES = ("past_key_values", "cache_params")
"""How models call what they keep of the tokens they have read."""


@dataclass(frozen=True)
class Written:
    """What became of an answer."""

    finish: Finish
    tokens: int
    """Tokens written, the one that ended the answer included."""


class Generator:
    """Answers as base, as tuned, or as another adapter loaded.

    Not for several threads at once: the adapter is switched in the one model. What `write` gives can be gone through by
    turns with others'.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        """`model` and `tokenizer` are what `evals.models.load_comparison` gave."""
        self._model = model
        self._plain = plain(model)
        self._tokenizer = tokenizer
        self._executor = Executor(model, tokenizer)
        self._outputs = Outputs(self._plain, self._plain)
        self._switch = Switch(model)

    @property
    def sides(self) -> list[str]:
        """The sides that can be asked."""
        return names(self._model)

    def add(self, name: str, folder: Path) -> None:
        """Loads one more adapter, to be asked by its name. Raises evals' ModelError, and all is as it was."""
        self._switch.forget()
        before = self.sides
        try:
            add_adapters(self._model, self._tokenizer, {name: folder})
        except ModelError:
            if name in self.sides and name not in before:
                self._model.delete_adapter(name)
            raise

    def encode(self, request: ChatRequest) -> tuple[list[int], int]:
        """The prompt's tokens, and how many may follow. Raises ApiError (400) when the context is too short."""
        prompter = self._executor.prompter
        try:
            ids = prompter.encode(prompter.render([turn.model_dump() for turn in request.messages]))
        except (ModelError, TaskError) as error:
            raise ApiError(400, str(error), param="messages") from error
        limit = self._executor.max_length
        room = request.max_tokens if limit is None else min(request.max_tokens, limit - len(ids))
        if room < 1:
            message = f"the conversation has {len(ids)} tokens, the model's context is {limit}; shorten it"
            raise ApiError(400, message, param="messages", code="context_length_exceeded")
        return ids, room

    def write(self, side: str, ids: Sequence[int], max_tokens: int, request: ChatRequest) -> Steps[str, None, Written]:
        """Writes an answer: each step is a token, and gives the text that can be told with it.

        Raises RuntimeError when the model fails or computes no numbers.
        """
        reading = _Reading(self._outputs, self._plain, ids)
        draw = _Draw(request, reading.device)
        spelling = Spelling(self._executor.prompter.decode)
        for count in range(1, max_tokens + 1):
            with torch.inference_mode(), self._switch.on(side):
                if count == 1 and side != "base" and virtual_tokens(self._model):
                    reading.go_on_from(prefix(self._model, 1))
                token = draw.from_logits(reading.next_logits())
            if token in self._executor.end_ids:
                yield spelling.rest()
                return Written("stop", count)
            reading.take(token)
            yield spelling.add(token)
        yield spelling.rest()
        return Written("length", max_tokens)


class _Reading:
    """One answer as the model reads it: what it keeps of the tokens so far, and those that it has not read yet.

    A model that takes no cache of transformers' reads everything anew at each token.
    """

    def __init__(self, outputs: Outputs, model: Any, ids: Sequence[int]) -> None:
        self._outputs = outputs
        self.device: torch.device = next(model.parameters()).device
        self._ids = torch.tensor([list(ids)], device=self.device)
        self._kept: dict[str, Any] = {}
        called = next((name for name in _CACHES if name in outputs.takes), None)
        if called and "use_cache" in outputs.takes and model._supports_default_dynamic_cache():
            self._kept = {called: DynamicCache(config=model.config.get_text_config(decoder=True)), "use_cache": True}

    def go_on_from(self, cache: Any) -> None:
        """Puts a trained prompt or prefix in front of what is read."""
        self._kept = {"past_key_values": cache, "use_cache": True}

    def next_logits(self) -> torch.Tensor:
        """The logits of the token to come: (1, vocabulary)."""
        return self._outputs.logits(self._outputs.run(self._ids, 1, **self._kept)[:, -1])

    def take(self, token: int) -> None:
        """The token that came."""
        new = torch.tensor([[token]], device=self.device)
        self._ids = new if self._kept else torch.cat([self._ids, new], dim=1)


class _Draw:
    """How the next token is chosen: the likeliest, or by a chance that no other answer shares."""

    def __init__(self, request: ChatRequest, device: torch.device) -> None:
        self._temperature, self._top_p = request.temperature, request.top_p
        self._chance = torch.Generator(device)
        if request.seed is None:
            self._chance.seed()
        else:
            self._chance.manual_seed(request.seed)

    def from_logits(self, logits: torch.Tensor) -> int:
        """A token. Raises RuntimeError where the logits are not numbers."""
        if bool(logits.amax(-1).isnan()):
            raise RuntimeError(NOT_A_NUMBER)
        if not self._temperature:
            return int(logits.argmax(-1))
        chances, order = (logits / self._temperature).softmax(-1).sort(descending=True)
        ahead = chances.cumsum(-1) - chances
        chances = chances.masked_fill(ahead >= self._top_p, 0.0)  # the likeliest always stays: nothing is ahead of it
        return int(order.gather(-1, torch.multinomial(chances, 1, generator=self._chance)))
