"""One loaded base with its adapter, answering one conversation at a time, piece by piece. Knows no HTTP.

Greedy answers are those of the evaluation: same tokens in, same end tokens, adapter on or off, nothing of the
checkpoint's own generation settings.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList, TextStreamer

from evals.errors import TaskError
from evals.executor import Executor
from evals.sides import generate, names, plain, switched
from ftspace.inference.protocol import ApiError, ChatRequest, Finish


@dataclass(frozen=True)
class Written:
    """What became of an answer."""

    finish: Finish
    tokens: int
    """Tokens written, the one that ended the answer included."""


class Generator:
    """Answers as base, as tuned, or as another adapter loaded.

    Not for several threads at once: the adapter is switched in the one model.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        """`model` and `tokenizer` are what `evals.models.load_comparison` gave."""
        self._model = model
        self._tokenizer = tokenizer
        self._executor = Executor(model, tokenizer)
        self.sides = names(model)
        plain(model).generation_config = GenerationConfig()  # after Executor has read its end tokens

    def encode(self, request: ChatRequest) -> tuple[list[int], int]:
        """The prompt's tokens, and how many may follow. Raises ApiError (400) when the context is too short."""
        prompter = self._executor.prompter
        try:
            ids = prompter.encode(prompter.render([turn.model_dump() for turn in request.messages]))
        except TaskError as error:
            raise ApiError(400, str(error), param="messages") from error
        limit = self._executor.max_length
        room = request.max_tokens if limit is None else min(request.max_tokens, limit - len(ids))
        if room < 1:
            message = f"the conversation has {len(ids)} tokens, the model's context is {limit}; shorten it"
            raise ApiError(400, message, param="messages", code="context_length_exceeded")
        return ids, room

    def write(
        self,
        side: str,
        ids: Sequence[int],
        max_tokens: int,
        request: ChatRequest,
        on_text: Callable[[str], None],
        cancelled: threading.Event,
    ) -> Written:
        """Writes an answer, telling each piece of text; ends early once `cancelled` is set."""
        if request.seed is not None:
            torch.manual_seed(request.seed)
        sampling: dict[str, Any] = {"do_sample": False}
        if request.temperature > 0:
            sampling = {"do_sample": True, "temperature": request.temperature, "top_p": request.top_p, "top_k": 0}
        end_ids = self._executor.end_ids
        config = GenerationConfig(
            max_new_tokens=max_tokens,
            eos_token_id=list(end_ids) or None,
            pad_token_id=next(iter(end_ids), 0),
            **sampling,
        )
        prompt = torch.tensor([list(ids)], device=next(self._model.parameters()).device)
        with torch.inference_mode(), switched(self._model, side):
            out = generate(
                self._model,
                side,
                prompt,
                torch.ones_like(prompt),
                generation_config=config,
                streamer=_Pieces(self._tokenizer, on_text),
                stopping_criteria=StoppingCriteriaList([_Cancelled(cancelled)]),
            )
        written = out[0].tolist()
        ended = bool(written) and written[-1] in end_ids
        return Written("stop" if ended else "length", len(written))


class _Pieces(TextStreamer):
    """Hands on the answer's text as it can be told, special tokens left out."""

    def __init__(self, tokenizer: Any, on_text: Callable[[str], None]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        self._on_text = on_text

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        if text:
            self._on_text(text)


class _Cancelled(StoppingCriteria):
    """Ends the answer when nobody waits for it any more."""

    def __init__(self, cancelled: threading.Event) -> None:
        self._cancelled = cancelled

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        ended = self._cancelled.is_set()
        return torch.full((input_ids.shape[0],), ended, device=input_ids.device)  # pyright: ignore[reportReturnType]
