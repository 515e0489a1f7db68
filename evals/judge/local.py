"""A judge on this machine: which letter, A or B, a loaded model finds likelier when asked which answer is better.

One forward pass for each order of two answers, one prompt at a time: nothing stands beside it in a batch, so the same
prompt gives the same numbers. Knows prompts and letters; knows nothing of what is judged.
"""

import inspect
import json
import math
from collections.abc import Callable, Generator, Sequence
from typing import Any

import torch

from evals.endpoint import Failure, Result, Text
from evals.errors import ModelError, Stopped
from evals.models import load_base, load_tokenizer
from evals.places import fingerprint
from evals.prompts import Prompt, Prompter

LETTERS = ("A", "B")
_LEAD = "\n\nThe better answer is answer"


def identity(model: str, revision: str | None) -> str:
    """What tells the model's weights from others': of a folder a hash, of a Hub id its name and revision."""
    return fingerprint(model) or f"{model}@{revision or 'main'}"


class LocalModel:
    """A model and its tokenizer, loaded to judge.

    Args:
        model: a folder or a Hub id.
        revision: the Hub's branch, tag or commit.
        device: auto, cpu, cuda, ...
        dtype: auto, float32, bfloat16 or float16.

    Raises:
        ModelError: it can't be loaded, or its tokenizer can't tell the letters apart.
    """

    def __init__(self, model: str, *, revision: str | None = None, device: str = "auto", dtype: str = "auto") -> None:
        tokenizer: Any = load_tokenizer(model, revision)
        self._model: Any = load_base(model, revision=revision, device=device, dtype=dtype, tokenizer=tokenizer)
        self._prompter = Prompter(tokenizer)
        self._letters = [_ids(tokenizer, letter) for letter in LETTERS]
        if set(self._letters[0]) & set(self._letters[1]):
            raise ModelError(f"{model}: its tokenizer writes A and B with the same token, so it can't judge")
        limit = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        # No text that is judged may become a token of the template, and so end the judge's turn.
        self._marks = sorted(
            (one for one in tokenizer.get_added_vocab() if len(one.strip()) > 1), key=len, reverse=True
        )
        last = "logits_to_keep" in inspect.signature(self._model.forward).parameters
        self._keep = {"logits_to_keep": 1} if last else {}
        self._limit = limit if isinstance(limit, int) and limit > 0 else None

    def choose(
        self, prompts: Sequence[str], should_stop: Callable[[], bool] | None = None
    ) -> Generator[tuple[int, Result]]:
        """Give, for each prompt, its place and the log-probabilities of A and B as JSON; failures say why.

        Raises:
            Stopped: `should_stop` said so.
        """
        for place, prompt in enumerate(prompts):
            if should_stop is not None and should_stop():
                raise Stopped("stopped")
            yield place, self._ask(prompt)

    def _ask(self, prompt: str) -> Result:
        for mark in self._marks:
            prompt = prompt.replace(mark, f"{mark[0]} {mark[1:]}")
        ids = self._prompter.encode(self._rendered(prompt))
        if self._limit is not None and len(ids) > self._limit:
            return Failure(f"the prompt is longer than the judge's context of {self._limit} tokens")
        with torch.inference_mode():
            given = torch.tensor([ids], device=self._model.device)
            logits = self._model(input_ids=given, use_cache=False, **self._keep).logits[0, -1].float()
            likely = logits.log_softmax(-1)
            found = [float(likely[list(letter)].logsumexp(0)) for letter in self._letters]
        if not all(math.isfinite(one) for one in found):
            return Failure("the judge computed not-a-number: its weights may be damaged")
        return Text(json.dumps(dict(zip(LETTERS, found, strict=True))), tokens=len(ids))

    def _rendered(self, prompt: str) -> Prompt:
        if self._prompter.chat_template is None:
            return Prompt(prompt + _LEAD, rendered=False)
        return self._prompter.render([{"role": "user", "content": prompt}])


def _ids(tokenizer: Any, letter: str) -> tuple[int, ...]:
    """The tokens that begin the letter, with and without a space before it.

    A tokenizer may have one token for the letter, one for it after a space, or write the space as a token of its own:
    that one says nothing of the letter and is left out.
    """
    found: set[int] = set()
    for text in (letter, f" {letter}", f"\n{letter}"):
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
        if ids and tokenizer.decode(ids[:1]).strip() == letter:
            found.add(ids[0])
    if not found:
        raise ModelError(
            f"{tokenizer.name_or_path}: its tokenizer has no token for the letter {letter}: it can't judge"
        )
    return tuple(sorted(found))
