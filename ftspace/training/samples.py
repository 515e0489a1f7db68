"""What the model answers, as it is now, to a few questions that stay the same. Knows the job, not the trainer.

Asked as the comparison after the training asks: the same executor, template and end tokens. The attention that trains
documents cannot generate, so the model's own is put in its place for as long as that takes.
"""

import math
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from peft import PeftModel
from peft.tuners.lora.layer import LoraLayer

from evals.errors import Stopped, TaskError
from evals.executor import Answer, Executor
from evals.models import flatten_head
from evals.prompts import Prompt
from evals.scorers.overlap import word_f1
from ftspace.data.formats import Conversation
from ftspace.data.messages import uses_tools
from ftspace.data.prepare import read_split
from ftspace.errors import DatasetError
from ftspace.events import Sample, Warned
from ftspace.training.callbacks import StoppedWhileMeasuring
from ftspace.training.memory import is_out_of_memory, release
from ftspace.workers import Job

SHOWN = 2000
"""Characters told of a text."""


@dataclass(frozen=True)
class Question:
    """One of the questions."""

    prompt: Prompt
    text: str
    """As a person reads it."""
    reference: str


class Samples:
    """The questions of a run, and the model that is asked them."""

    def __init__(self, job: Job, model: Any, tokenizer: Any, *, attention: str, rows: int, most_tokens: int) -> None:
        """Chooses the questions.

        Args:
            job: whose config says how many questions and how long an answer; it is told what is answered.
            model: the one in training.
            tokenizer: with the run's chat template.
            attention: the implementation with which the model generates.
            rows: of the validation split.
            most_tokens: of one batch, as far as `eval.batch_tokens` allows more.

        Raises:
            DatasetError: the best weights are to be told by the answers, and none can be scored.
        """
        config = job.run.config
        self._job = job
        self._model = model
        self._attention = attention
        self._length = config.eval.max_new_tokens
        self._side = "tuned" if isinstance(model, PeftModel) else "base"
        self._executor = Executor(
            model, tokenizer, batch_tokens=min(config.eval.batch_tokens, most_tokens), should_stop=job.is_asked
        )
        wanted = min(config.train.samples, rows)
        self._questions = self._choose(read_split(job.run.data, "validation"), rows, wanted) if wanted else []
        train = config.train
        goes_by_them = train.best_by == "score" and (train.keep == "best" or train.patience is not None)
        if goes_by_them and not any(math.isfinite(word_f1(one.reference, one.reference)) for one in self._questions):
            raise DatasetError(
                "train.best_by score compares sample answers, and no validation row has a question and an answer in "
                "words; set train.best_by to loss"
            )

    def ask(self, step: int) -> float | None:
        """Tells the answers after `step`, and returns the mean F1 of their words; None when none can be compared.

        Raises StoppedWhileMeasuring.
        """
        if not self._questions:
            return None
        scores: list[float] = []
        for index, (question, answer) in enumerate(zip(self._questions, self._answers() or [], strict=False)):
            prompt, written, reference = map(_cut, (question.text, answer.text, question.reference))
            self._job.tell(Sample(step=step, index=index, prompt=prompt, answer=written, reference=reference))
            if answer.problem is None:
                scores.append(word_f1(answer.text, question.reference))
        compared = [score for score in scores if not math.isnan(score)]
        return sum(compared) / len(compared) if compared else None

    def _choose(self, conversations: Iterable[Conversation], rows: int, wanted: int) -> list[Question]:
        """Spread evenly over the split; of a row that cannot be asked the next one that can takes the place."""
        chosen: list[Question] = []
        for place, conversation in enumerate(conversations):
            if len(chosen) == wanted:
                break
            if place >= len(chosen) * rows // wanted and (question := self._question(conversation)):
                chosen.append(question)
        return chosen

    def _question(self, conversation: Conversation) -> Question | None:
        """What comes before the last answer; None when it is not asked in the comparison either, or is too long."""
        last = max((place for place, turn in enumerate(conversation) if turn["role"] == "assistant"), default=0)
        asked, reference = conversation[:last], conversation[last]["content"]
        if uses_tools(conversation) or not reference.strip() or not any(turn["role"] == "user" for turn in asked):
            return None
        try:
            prompt = self._executor.prompter.render([{"role": t["role"], "content": t["content"]} for t in asked])
        except TaskError:
            return None
        limit = self._executor.max_length
        if limit is not None and len(self._executor.prompter.encode(prompt)) + self._length > limit:
            return None
        alone = len(asked) == 1
        text = asked[0]["content"] if alone else "\n".join(f"{turn['role']}: {turn['content']}" for turn in asked)
        return Question(prompt, text, reference)

    def _answers(self) -> list[Answer] | None:
        """The answers, in batches half as large when memory runs out; None when it does not suffice for one."""
        prompts = [question.prompt for question in self._questions]
        while True:
            try:
                with _generating(self._model, self._attention):
                    return self._executor.generate(prompts, self._length, self._side)
            except Stopped as stop:
                raise StoppedWhileMeasuring from stop
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            release()
            longest = self._length + max(len(self._executor.prompter.encode(prompt)) for prompt in prompts)
            used = min(self._executor.batch_tokens, longest * len(prompts))
            if used < 2 * longest:
                self._questions = []
                said = "memory does not suffice to answer a sample question, so none is asked any more"
                self._job.tell(Warned(message=f"{said}; lower eval.max_new_tokens"))
                return None
            self._executor.batch_tokens = used // 2
            said = f"memory ran out while samples were answered: it is done again in batches of {used // 2} tokens"
            self._job.tell(Warned(message=said))


@contextmanager
def _generating(model: Any, attention: str) -> Generator[None]:
    """The model as it is when it is compared: in evaluation mode, with an attention that can look back at a cache."""
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    head = base.get_output_embeddings()
    training, trained_with, forward = model.training, base.config._attn_implementation, head.__dict__.get("forward")
    layers = [layer for layer in base.modules() if isinstance(layer, LoraLayer) and "forward" in vars(layer)]
    faster = [vars(layer).pop("forward") for layer in layers]  # rounds otherwise than PEFT's own, which compares
    model.eval()
    base.set_attn_implementation(attention)
    flatten_head(base)
    try:
        yield
    finally:
        for layer, own in zip(layers, faster, strict=True):
            vars(layer)["forward"] = own
        head.__dict__.pop("forward")
        if forward is not None:
            head.forward = forward
        base.set_attn_implementation(trained_with)
        model.train(training)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
