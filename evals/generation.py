"""Writes answers by transformers' own `generate`: for models whose caches or prompts `evals.decoding` leaves alone.

Knows token ids and sides; knows nothing of texts or tasks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from evals.decoding import Written
from evals.layout import Ids
from evals.sides import generate


def generated(
    model: Any,
    which: str,
    prompts: Sequence[Ids],
    max_new_tokens: int,
    *,
    ends: Callable[[Sequence[int]], bool],
    end_ids: Sequence[int],
    pad: int,
    before_token: Callable[[], None],
    device: torch.device,
) -> list[Written]:
    """Write an answer to each prompt; what is asked is as in `decoding.write`, and so is what is returned."""
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    watch = _NanWatch(len(prompts))
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        eos_token_id=list(end_ids) or None,
        pad_token_id=pad,
    )
    before_token()
    out = generate(
        model,
        which,
        ids,
        mask,
        generation_config=config,
        logits_processor=LogitsProcessorList([watch]),
        stopping_criteria=StoppingCriteriaList([_BeforeNext(before_token)]),
    )
    return [_until_end(row, bad, ends) for row, bad in zip(out.tolist(), watch.seen(), strict=True)]


def _until_end(tokens: list[int], bad: bool, ends: Callable[[Sequence[int]], bool]) -> Written:
    written = Written(bad=bad)
    for token in tokens:
        written.tokens.append(token)
        written.ended = ends(written.tokens)
        if written.ended:
            break
    return written


class _NanWatch(LogitsProcessor):
    """Remembers which rows ever had a NaN among their logits; changes nothing."""

    def __init__(self, rows: int) -> None:
        self._bad = torch.zeros(rows, dtype=torch.bool)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.Tensor) -> torch.FloatTensor:
        self._bad = self._bad.to(scores.device) | scores.isnan().any(-1)
        return scores  # pyright: ignore[reportReturnType]

    def seen(self) -> list[bool]:
        return self._bad.tolist()


class _BeforeNext(StoppingCriteria):
    """Calls back between two tokens; stops nothing but by what that raises."""

    def __init__(self, before_token: Callable[[], None]) -> None:
        self._before_token = before_token

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        self._before_token()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)  # pyright: ignore[reportReturnType]
