"""Answers and log-probabilities from one loaded model, its adapter switched on ("tuned") or off ("base").

Knows nothing of tasks, scores or LightEval. What goes into a batch depends on the prompts alone, so base and tuned see
the same batches: in low precision a batch's composition changes greedy answers.
"""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
    StopStringCriteria,
)

from evals.errors import Stopped
from evals.outputs import Outputs
from evals.prompts import Prompt, Prompter
from evals.sides import generate, plain, switched, virtual_tokens

Progress = Callable[[int, int], None]
DEFAULT_BATCH_TOKENS = 8192
_NAN = "the model computed not-a-number: its weights may be damaged"


@dataclass(frozen=True)
class Answer:
    """What the model wrote after a prompt."""

    text: str
    tokens: tuple[int, ...]
    """Without what ends it."""
    finish: Literal["end", "length"]
    problem: str | None = None
    """Why this is no answer at all."""


@dataclass(frozen=True)
class Likelihood:
    """How likely a continuation is after a prompt."""

    logprob: float
    """Sum over its tokens of the natural logarithm; NaN when there is a problem."""
    tokens: tuple[int, ...]
    greedy: bool
    """Whether greedy decoding would have written it."""
    problem: str | None = None


@dataclass(frozen=True)
class Divergence:
    """How far one side's predictions are from another's, over the tokens of a continuation."""

    nats: float
    """Kullback-Leibler divergence, summed over the tokens; NaN when there is a problem."""
    tokens: int
    """How many tokens that is of."""
    problem: str | None = None


class Executor:
    """One model, its tokenizer and a batch budget.

    Args:
        model: what `models.load_comparison` gave: a plain model answers as "base" only.
        tokenizer: of the same pair.
        chat_template: a Jinja template to use instead of the tokenizer's own.
        batch_tokens: at most so many tokens in a batch, padding and answer included; one prompt always fits.
        should_stop: asked before each token; when it says True the work ends with `Stopped`.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        chat_template: str | None = None,
        batch_tokens: int = DEFAULT_BATCH_TOKENS,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self.model: Any = model
        self.prompter = Prompter(tokenizer, chat_template)
        self.batch_tokens = batch_tokens
        self._should_stop = should_stop or (lambda: False)
        self._plain: Any = plain(model)
        self._device: torch.device = next(self._plain.parameters()).device
        self.end_ids = self.prompter.end_ids(self._plain.generation_config, self._plain.config.get_text_config())
        self._outputs = Outputs(self.model, self._plain)
        self._pad_id = next((i for i in (tokenizer.pad_token_id, *self.end_ids) if isinstance(i, int)), 0)

    @property
    def max_length(self) -> int | None:
        """The model's context in tokens, or None if it has no limit of its own; a trained prompt takes some of it."""
        limit = getattr(self._plain.config.get_text_config(), "max_position_embeddings", None)
        return limit - virtual_tokens(self.model) if isinstance(limit, int) and limit > 0 else None

    @property
    def dtype(self) -> str:
        """The weights' dtype, such as float32."""
        return str(self._plain.dtype).removeprefix("torch.")

    @property
    def device(self) -> str:
        """The kind of device the model is on."""
        return self._device.type

    def generate(
        self,
        prompts: Sequence[Prompt],
        max_new_tokens: int,
        which: str,
        progress: Progress | None = None,
        stop: Sequence[str] = (),
    ) -> list[Answer]:
        """Write an answer to each prompt, greedily, until an end token, a stop text or `max_new_tokens`.

        Args:
            prompts: in any order; answers come in the same.
            max_new_tokens: the longest answer, in tokens.
            which: adapter off ("base"), on ("tuned"), or another one by its name.
            progress: called with (prompts done, all prompts) after each batch.
            stop: texts that end an answer and are no part of it.

        Raises:
            Stopped: `should_stop` said so.
        """
        answers: dict[int, Answer] = {}
        encoded = [self.prompter.encode(prompt) for prompt in prompts]
        fitting: list[int] = []
        for index, ids in enumerate(encoded):
            problem = self._misfit(len(ids), max_new_tokens)
            if problem is None:
                fitting.append(index)
            else:
                answers[index] = Answer("", (), "length", problem)
        lengths = {index: len(encoded[index]) + max_new_tokens for index in fitting}
        with self._side(which):
            for batch in batches(lengths, self.batch_tokens):
                written = self._write([encoded[index] for index in batch], max_new_tokens, which, stop)
                answers.update(zip(batch, written, strict=True))
                if progress is not None:
                    progress(len(answers), len(prompts))
        return [answers[index] for index in range(len(prompts))]

    def loglikelihood(
        self, pairs: Sequence[tuple[Prompt, str]], which: str, progress: Progress | None = None
    ) -> list[Likelihood]:
        """Return how likely each continuation is after its prompt.

        Args:
            pairs: a prompt and the text that goes on with it (which carries its own leading space).
            which: adapter off ("base"), on ("tuned"), or another one by its name.
            progress: called with (pairs done, all pairs) after each batch.

        Raises:
            Stopped: `should_stop` said so.
        """
        found: dict[int, Likelihood] = {}
        split, lengths, problems = self._split(pairs)
        for index, problem in problems.items():
            found[index] = Likelihood(math.nan, tuple(split[index][1]), greedy=False, problem=problem)
        with self._side(which):
            for batch in batches(lengths, self.batch_tokens):
                self._ask_to_stop()
                measured = self._measure([split[index] for index in batch])
                found.update(zip(batch, measured, strict=True))
                if progress is not None:
                    progress(len(found), len(pairs))
        return [found[index] for index in range(len(pairs))]

    def divergence(
        self,
        pairs: Sequence[tuple[Prompt, str]],
        progress: Progress | None = None,
        *,
        of: str = "tuned",
        against: str = "base",
    ) -> list[Divergence]:
        """Return how far one side's predictions are from another's along each continuation: KL(of || against).

        Args:
            pairs: a prompt and the text that goes on with it, such as the expected answer.
            progress: called with (pairs done, all pairs) after each batch.
            of: the side whose predictions weigh.
            against: the side they are compared with.

        Raises:
            Stopped: `should_stop` said so.
        """
        split, lengths, problems = self._split(pairs)
        found = {index: Divergence(math.nan, 0, problem) for index, problem in problems.items()}
        for batch in batches(lengths, self.batch_tokens):
            self._ask_to_stop()
            rows = [split[index] for index in batch]
            states: list[torch.Tensor] = []
            for which in (of, against):
                with self._side(which):
                    states.append(self._states(rows))
            sums = self._kl(states, (of, against)).split([len(after) for _, after in rows])
            for index, row in zip(batch, sums, strict=True):
                nats = row.sum().item()
                found[index] = Divergence(nats, len(row), _NAN if math.isnan(nats) else None)
            if progress is not None:
                progress(len(found), len(pairs))
        return [found[index] for index in range(len(pairs))]

    def _split(
        self, pairs: Sequence[tuple[Prompt, str]]
    ) -> tuple[list[tuple[list[int], list[int]]], dict[int, int], dict[int, str]]:
        """The ids of each pair; the lengths of those that can be asked, and the problems of the others."""
        split = [self.prompter.split(prompt, continuation) for prompt, continuation in pairs]
        lengths: dict[int, int] = {}
        problems: dict[int, str] = {}
        for index, (before, after) in enumerate(split):
            problem = self._misfit(len(before) + len(after), 0)
            if not before or not after:
                problem = "the prompt or a choice has no tokens"
            if problem is None:
                lengths[index] = len(before) + len(after)
            else:
                problems[index] = problem
        return split, lengths, problems

    def _ask_to_stop(self) -> None:
        if self._should_stop():
            raise Stopped("stopped")

    @contextmanager
    def _side(self, which: str) -> Generator[None]:
        """Switch the adapter; hold off the checkpoint's own generation settings, such as a repetition penalty."""
        switch = switched(self.model, which)
        settings = self._plain.generation_config
        self._plain.generation_config = GenerationConfig()
        try:
            with torch.inference_mode(), switch:
                yield
        finally:
            self._plain.generation_config = settings

    def _misfit(self, tokens: int, new: int) -> str | None:
        limit = self.max_length
        if limit is None or tokens + new <= limit:
            return None
        return f"{tokens} tokens and an answer of {new} are more than the model's context of {limit}"

    def _write(self, prompts: list[list[int]], max_new_tokens: int, which: str, stops: Sequence[str]) -> list[Answer]:
        width = max(map(len, prompts))
        ids = torch.tensor([[self._pad_id] * (width - len(p)) + p for p in prompts], device=self._device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=self._device)
        watch, stop = _NanWatch(len(prompts)), _Stop(self._should_stop)
        criteria: list[StoppingCriteria] = [stop]
        if stops:
            criteria.append(StopStringCriteria(self.prompter.tokenizer, list(stops)))
        config = GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            eos_token_id=list(self.end_ids) or None,
            pad_token_id=self._pad_id,
        )
        out = generate(
            self.model,
            which,
            ids,
            mask,
            generation_config=config,
            logits_processor=LogitsProcessorList([watch]),
            stopping_criteria=StoppingCriteriaList(criteria),
        )
        if stop.stopped:
            raise Stopped("stopped")
        return [self._answer(row, bad, stops) for row, bad in zip(out.tolist(), watch.seen(), strict=True)]

    def _answer(self, ids: list[int], bad: bool, stops: Sequence[str]) -> Answer:
        if bad:
            return Answer("", (), "length", _NAN)
        end = next((place for place, token in enumerate(ids) if token in self.end_ids), None)
        tokens = ids[:end]
        text = self.prompter.decode(tokens)
        if cuts := [place for place in map(text.find, stops) if place >= 0]:
            return Answer(text[: min(cuts)], tuple(tokens), "end")
        return Answer(text, tuple(tokens), "length" if end is None else "end")

    def _measure(self, pairs: list[tuple[list[int], list[int]]]) -> list[Likelihood]:
        wanted = torch.tensor([token for _, after in pairs for token in after], device=self._device)
        logprobs, greedy = self._outputs.scores(self._states(pairs), wanted)
        sizes = [len(after) for _, after in pairs]
        measured: list[Likelihood] = []
        for (_, after), row, likeliest in zip(pairs, logprobs.split(sizes), greedy.split(sizes), strict=True):
            logprob = row.double().sum().item()
            problem = _NAN if math.isnan(logprob) else None
            measured.append(Likelihood(logprob, tuple(after), bool(likeliest.all()), problem))
        return measured

    def _states(self, pairs: list[tuple[list[int], list[int]]]) -> torch.Tensor:
        """The states that predict the tokens of all continuations, one after the other."""
        rows = [before + after for before, after in pairs]
        width = max(map(len, rows))
        ids = torch.tensor([row + [self._pad_id] * (width - len(row)) for row in rows], device=self._device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self._device)
        first = min(len(before) for before, _ in pairs) - 1  # the position that predicts the first token we need
        states = self._outputs.run(ids, width - first, attention_mask=mask, use_cache=False)
        starts = [len(before) - 1 - first for before, _ in pairs]
        return torch.cat([states[row, start : start + len(pairs[row][1])] for row, start in enumerate(starts)])

    def _kl(self, states: list[torch.Tensor], sides: tuple[str, str]) -> torch.Tensor:
        """KL of the first side's predictions from the second's at each position."""
        found: list[torch.Tensor] = []
        for part in self._outputs.slices(len(states[0])):
            logs: list[torch.Tensor] = []
            for which, own in zip(sides, states, strict=True):
                with self._side(which):
                    logs.append(self._outputs.logits(own[part]).log_softmax(-1))
            found.append((logs[0].exp() * (logs[0] - logs[1])).double().sum(-1).clamp(min=0))
        return torch.cat(found)


class _NanWatch(LogitsProcessor):
    """Remembers which rows ever had a NaN among their logits; changes nothing."""

    def __init__(self, rows: int) -> None:
        self._bad = torch.zeros(rows, dtype=torch.bool)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.Tensor) -> torch.FloatTensor:
        self._bad = self._bad.to(scores.device) | scores.isnan().any(-1)
        return scores  # pyright: ignore[reportReturnType]

    def seen(self) -> list[bool]:
        return self._bad.tolist()


class _Stop(StoppingCriteria):
    """Ends a batch when the caller says so."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop
        self.stopped = False

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        self.stopped = self.stopped or self._should_stop()
        return torch.full((input_ids.shape[0],), self.stopped, dtype=torch.bool, device=input_ids.device)  # pyright: ignore[reportReturnType]


def batches(lengths: Mapping[int, int], budget: int) -> list[list[int]]:
    """Group indices, longest first, so that the longest of a group times its size stays within the budget of tokens.

    Args:
        lengths: index to tokens.
        budget: tokens a group; a single longer index makes a group of its own.
    """
    groups: list[list[int]] = []
    for index in sorted(lengths, key=lambda i: (-lengths[i], i)):
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
