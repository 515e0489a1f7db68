"""Answers, log-probabilities and divergence from one loaded model, its adapter on ("tuned") or off ("base").

Knows nothing of tasks, scores or LightEval. What goes into a batch depends on the prompts alone, so that all sides see
the same batches: in low precision a batch's composition changes greedy answers. docs/design/0025-asking.md says how.
"""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedTokenizerBase

from evals.answers import NOT_A_NUMBER, Answer, Divergence, Ending, Likelihood
from evals.cache import AnswerCache, digest
from evals.decoding import write
from evals.errors import Stopped
from evals.generation import generated
from evals.layout import Ids, Row, batches, common, lay, plainly, rows
from evals.prompts import Prompt, Prompter
from evals.reading import Prefix, Reader
from evals.sides import plain, switched, virtual_tokens

__all__ = ["Answer", "Divergence", "Executor", "Likelihood"]

Progress = Callable[[int, int], None]
DEFAULT_BATCH_TOKENS = 8192


class Executor:
    """One model, its tokenizer and a batch budget.

    Args:
        model: what `models.load_comparison` gave: a plain model answers as "base" only.
        tokenizer: of the same pair.
        chat_template: a Jinja template to use instead of the tokenizer's own.
        batch_tokens: at most so many tokens in a batch, padding and answer included; one prompt always fits.
        should_stop: asked before each token; when it says True the work ends with `Stopped`.
        cache: where answers are kept, and looked up before a side is asked.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        chat_template: str | None = None,
        batch_tokens: int = DEFAULT_BATCH_TOKENS,
        should_stop: Callable[[], bool] | None = None,
        cache: AnswerCache | None = None,
    ) -> None:
        self.model: Any = model
        self.prompter = Prompter(tokenizer, chat_template)
        self.batch_tokens = batch_tokens
        self._should_stop = should_stop or (lambda: False)
        self.cache = cache
        self._plain: Any = plain(model)
        self._reader = Reader(self.model, self._plain)
        self.end_ids = self.prompter.end_ids(self._plain.generation_config, self._plain.config.get_text_config())
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
        return self._reader.device.type

    def generate(
        self,
        prompts: Sequence[Prompt],
        max_new_tokens: int,
        which: str,
        progress: Progress | None = None,
        *,
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
        encoded = [tuple(self.prompter.encode(prompt)) for prompt in prompts]
        problems = {index: self._misfit(len(ids), max_new_tokens) for index, ids in enumerate(encoded)}
        fitting = [index for index, problem in problems.items() if problem is None]
        answers = {index: Answer("", (), "length", text) for index, text in problems.items() if text is not None}
        units = [encoded[index] for index in fitting]
        shared = common(units) if self._shares() else ()
        ending = Ending(self.prompter, self.end_ids, tuple(stop))

        def ask(batch: list[Ids], prefix: Prefix) -> list[Any]:
            options: dict[str, Any] = {"ends": ending.reached, "pad": self._pad_id, "before_token": self._ask_to_stop}
            if self._shares():
                options["at_once"] = self._reader.budget(self.batch_tokens)
                written = write(self._reader, batch, prefix, max_new_tokens, **options)
            else:
                options |= {"end_ids": self.end_ids, "device": self._reader.device}
                written = generated(self.model, which, batch, max_new_tokens, **options)
            return [(one.tokens, one.ended, one.bad) for one in written]

        def tell(places: Mapping[int, Any]) -> None:
            for place, (tokens, ended, bad) in places.items():
                answers[fitting[place]] = ending.answer(tokens, ended=ended, bad=bad)
            if progress is not None:
                progress(len(answers), len(prompts))

        depends = ["generate", max_new_tokens, self.end_ids, list(stop)]
        self._ask_all(
            which, depends, units, [len(ids) + max_new_tokens for ids in units], self.batch_tokens, shared, ask, tell
        )
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
        split, problems = self._split(pairs)
        found = {
            index: Likelihood(math.nan, split[index][1], greedy=False, problem=text) for index, text in problems.items()
        }
        units, shared = self._rows(split, problems)

        def ask(batch: list[Row], prefix: Prefix) -> list[Any]:
            return self._measure(batch, prefix, len(shared))

        def tell(places: Mapping[int, Any]) -> None:
            for place, measured in places.items():
                for index, (logprob, greedy) in zip(units[place].indices, measured, strict=True):
                    problem = NOT_A_NUMBER if math.isnan(logprob) else None
                    found[index] = Likelihood(logprob, split[index][1], greedy, problem)
            if progress is not None:
                progress(len(found), len(pairs))

        self._ask_all(
            which,
            ["loglikelihood"],
            units,
            [row.width for row in units],
            self._reader.budget(self.batch_tokens),
            shared,
            ask,
            tell,
        )
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
        split, problems = self._split(pairs)
        found = {index: Divergence(math.nan, 0, problem) for index, problem in problems.items()}
        units, shared = self._rows(split, problems)
        prefixes: dict[str, Prefix] = {}
        for batch in batches(
            {place: row.width for place, row in enumerate(units)}, self._reader.budget(self.batch_tokens)
        ):
            self._ask_to_stop()
            laid = lay([units[place] for place in batch], len(shared), self._pad_id)
            states: dict[str, torch.Tensor] = {}
            for which in (of, against):
                with self._side(which):
                    if which not in prefixes:
                        prefixes[which] = self._reader.prefix(shared)
                    states[which] = self._reader.states(laid, prefixes[which])
            nats = self._kl(states[of], of, states[against], against)[torch.tensor(laid.looks)]
            indices = [index for place in batch for index in units[place].indices]
            for index, row in zip(indices, nats.split([len(split[index][1]) for index in indices]), strict=True):
                total = row.sum().item()
                found[index] = Divergence(total, len(row), NOT_A_NUMBER if math.isnan(total) else None)
            if progress is not None:
                progress(len(found), len(pairs))
        return [found[index] for index in range(len(pairs))]

    def _ask_all(
        self,
        which: str,
        depends: list[Any],
        units: Sequence[Any],
        lengths: Sequence[int],
        budget: int,
        shared: Ids,
        ask: Callable[[list[Any], Prefix], list[Any]],
        tell: Callable[[Mapping[int, Any]], None],
    ) -> None:
        """Ask a side all units, batch by batch; those whose answers are kept are not asked again.

        In low precision an answer is that of its batch: then a batch is asked whole, or not at all.
        """
        prefix: Prefix | None = None
        with self._side(which):
            for batch in batches(dict(enumerate(lengths)), budget):
                self._ask_to_stop()
                whole = "" if self._reader.exact else digest(shared, [plainly(units[place]) for place in batch])
                keys: dict[int, str | None] = dict.fromkeys(batch)
                found: dict[int, Any] = {}
                if self.cache:
                    on = [*depends, self.batch_tokens, whole]
                    keys = {place: self.cache.key(which, *on, plainly(units[place])) for place in batch}
                    found = {place: held for place in batch if (held := self.cache.get(keys[place])) is not None}
                if len(found) < len(batch):
                    asked = [place for place in batch if not (self._reader.exact and place in found)]
                    prefix = self._reader.prefix(shared) if prefix is None else prefix
                    found |= zip(asked, ask([units[place] for place in asked], prefix), strict=True)
                    if self.cache:
                        self.cache.put({key: found[place] for place in asked if (key := keys[place]) is not None})
                tell(found)

    def _split(self, pairs: Sequence[tuple[Prompt, str]]) -> tuple[list[tuple[Ids, Ids]], dict[int, str]]:
        """The ids of each pair, and the problems of those that can't be asked."""
        split: list[tuple[Ids, Ids]] = []
        problems: dict[int, str] = {}
        for index, (prompt, continuation) in enumerate(pairs):
            before, after = self.prompter.split(prompt, continuation)
            split.append((tuple(before), tuple(after)))
            problem = self._misfit(len(before) + len(after), 0)
            if not before or not after:
                problem = "the prompt or a choice has no tokens"
            if problem is not None:
                problems[index] = problem
        return split, problems

    def _rows(self, split: list[tuple[Ids, Ids]], problems: Mapping[int, str]) -> tuple[list[Row], Ids]:
        """The rows to be read for pairs, and what all prompts begin with."""
        shares = self._shares()
        fitting = {index: pair for index, pair in enumerate(split) if index not in problems}
        units = rows(fitting, together=shares)
        return units, common(row.prompt for row in units) if shares else ()

    def _shares(self) -> bool:
        with self._side("base"):
            return self._reader.shares()

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

    def _measure(self, batch: list[Row], prefix: Prefix, skip: int) -> list[Any]:
        laid = lay(batch, skip, self._pad_id)
        looks = torch.tensor(laid.looks, device=self._reader.device)
        wanted = torch.tensor([token for row in batch for after in row.afters for token in after], device=looks.device)
        logprobs, greedy = self._reader.outputs.scores(self._reader.states(laid, prefix), looks, wanted)
        sizes = [len(after) for row in batch for after in row.afters]
        sums = zip(logprobs.double().split(sizes), greedy.split(sizes), strict=True)
        measured = iter([(one.sum().item(), bool(likeliest.all())) for one, likeliest in sums])
        return [[next(measured) for _ in row.afters] for row in batch]

    def _kl(self, states: torch.Tensor, of: str, others: torch.Tensor, against: str) -> torch.Tensor:
        """KL of one side's predictions from another's at each place."""
        found: list[torch.Tensor] = []
        for part in self._reader.outputs.slices(len(states)):
            with self._side(of):
                logs = self._reader.outputs.logits(states[part]).log_softmax(-1)
            with self._side(against):
                other = self._reader.outputs.logits(others[part]).log_softmax(-1)
            found.append((logs.exp() * (logs - other)).double().sum(-1).clamp(min=0))
        return torch.cat(found).cpu()
