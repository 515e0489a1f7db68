"""Whether two models say the same: their logits on the same tokens, and the text that each writes. Knows no files.

Logits are compared along the reference's own greedy answers, token by token, so that one early difference does not
hide all that comes after it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from evals.errors import TaskError
from evals.executor import Executor
from evals.prompts import Prompt
from evals.sides import switched
from ftspace.data.messages import uses_tools
from ftspace.data.prepare import read_rows

PROMPTS, LONGEST, NEW = 8, 512, 32
"""How many prompts are asked, the tokens of the longest, and those of an answer."""
QUESTIONS = (
    "What is the capital of France?",
    "Count from one to ten.",
    "Write a sentence about the sea.",
    "Is 17 a prime number? Say why.",
)
"""Asked where the run has no test rows."""
TOLERANCE = {"float32": 1e-5, "float16": 1e-3, "bfloat16": 1e-2}
"""Mean KL divergence, in nats a token, up to which a difference is rounding to the dtype."""
SHARE, NOISE = 0.25, 1e-5
"""Rounding may be no larger than so large a share of what the tuning changed, unless it is next to nothing."""


class Difference(BaseModel):
    """How far another model is from a reference, over all tokens of the reference's answers."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    kl: float
    """Mean KL divergence of the distributions of the next token, in nats."""
    max_kl: float
    mean_logit: float
    """Mean size of the difference of logits."""
    max_logit: float
    choices: float
    """Share of the tokens where both would write the same one next."""
    same_texts: int
    """Answers that are the same word for word, each model going on from its own words."""
    prompts: int

    def within(self, tolerance: float) -> bool:
        """Whether this is rounding; never when a figure is no number."""
        return self.kl <= tolerance and self.max_logit < float("inf")

    def __str__(self) -> str:
        return (
            f"mean KL {self.kl:.1e} nats a token (largest {self.max_kl:.1e}), logits differ by {self.mean_logit:.1e} "
            f"(largest {self.max_logit:.1e}), {self.choices:.1%} of the next tokens and {self.same_texts} of "
            f"{self.prompts} answers are the same"
        )


@dataclass(frozen=True)
class Heard:
    """What a model said to some prompts."""

    texts: list[str]
    rows: list[list[int]]
    """The tokens along which logits were taken: each prompt with the reference's answer."""
    starts: list[int]
    """Where in each row the answer begins."""
    logits: list[torch.Tensor]
    """Of each row, float32: (answer tokens + 1, vocabulary), from the prompt's last token on."""


def prompts_of(data_dir: Path, executor: Executor) -> list[Prompt]:
    """The questions of the run's first test rows that are short enough, else built-in ones."""
    talks = [[{"role": "user", "content": question}] for question in QUESTIONS]
    return _some(executor, _questions(data_dir)) or _some(executor, iter(talks))


def hear(executor: Executor, prompts: Sequence[Prompt], which: str, like: Heard | None = None) -> Heard:
    """What a model answers to prompts, and its logits along the answers of `like`, or else its own."""
    answers = executor.generate(prompts, NEW, which)
    texts = [answer.text for answer in answers]
    if like is None:
        heads = [executor.prompter.encode(prompt) for prompt in prompts]
        rows = [[*head, *answer.tokens] for head, answer in zip(heads, answers, strict=True)]
        starts = [len(head) for head in heads]
    else:
        rows, starts = like.rows, like.starts
    logits: list[torch.Tensor] = []
    model: Any = executor.model
    device = next(model.parameters()).device
    with torch.inference_mode(), switched(model, which):
        for row, start in zip(rows, starts, strict=True):
            out = model(input_ids=torch.tensor([row], device=device), use_cache=False)
            logits.append(out.logits[0, start - 1 :].float().cpu())
    return Heard(texts, rows, starts, logits)


def allowed(dtypes: Sequence[str], tuning: Difference) -> float:
    """The mean KL divergence that is rounding: that of the coarsest dtype, and small beside what the tuning changed."""
    return min(max(TOLERANCE[dtype] for dtype in dtypes), max(NOISE, SHARE * tuning.kl))


def difference(reference: Heard, other: Heard) -> Difference:
    """How far `other` is from `reference`; it was heard along the reference's answers."""
    kls: list[torch.Tensor] = []
    sizes: list[torch.Tensor] = []
    same: list[torch.Tensor] = []
    for wanted, found in zip(reference.logits, other.logits, strict=True):
        sizes.append((wanted - found).abs().flatten())
        same.append(wanted.argmax(-1) == found.argmax(-1))
        expected, given = wanted.double().log_softmax(-1), found.double().log_softmax(-1)
        kls.append((expected.exp() * (expected - given)).sum(-1).clamp(min=0))
    kl, size = torch.cat(kls), torch.cat(sizes)
    return Difference(
        kl=kl.mean().item(),
        max_kl=kl.max().item(),
        mean_logit=size.mean().item(),
        max_logit=size.max().item(),
        choices=torch.cat(same).double().mean().item(),
        same_texts=sum(a == b for a, b in zip(reference.texts, other.texts, strict=True)),
        prompts=len(reference.texts),
    )


def _questions(data_dir: Path) -> Iterator[Any]:
    if (data_dir / "test.jsonl").is_file():
        for row in read_rows(data_dir, "test"):
            if not uses_tools(row.messages):
                yield row.messages[:-1]


def _some(executor: Executor, talks: Iterator[Any]) -> list[Prompt]:
    found: list[Prompt] = []
    longest = min(LONGEST, (executor.max_length or LONGEST + NEW) - NEW)
    for talk in talks:
        try:
            prompt = executor.prompter.render(talk)
        except TaskError:  # a template need not take every conversation
            continue
        if 0 < len(executor.prompter.encode(prompt)) <= longest:
            found.append(prompt)
        if len(found) == PROMPTS:
            break
    return found
