"""What a model is found to answer or to think likely, and where an answer ends. Knows a tokenizer, and no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evals.prompts import Prompter

NOT_A_NUMBER = "the model computed not-a-number: its weights may be damaged"


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


@dataclass(frozen=True)
class Ending:
    """What ends an answer: an end token, or a text."""

    prompter: Prompter
    ids: tuple[int, ...]
    stop: tuple[str, ...] = ()

    def reached(self, tokens: Sequence[int]) -> bool:
        """Whether an answer's last token completes it."""
        if tokens[-1] in self.ids:
            return True
        if not self.stop:
            return False
        tail = max(len(one.encode()) for one in self.stop) + 4  # a token is a byte or more; some fall between two
        text = self.prompter.tokenizer.decode(list(tokens[-tail:]))
        return any(one in text for one in self.stop)

    def answer(self, tokens: Sequence[int], *, ended: bool, bad: bool) -> Answer:
        """Return the answer without its end."""
        if bad:
            return Answer("", (), "length", NOT_A_NUMBER)
        kept = list(tokens[:-1] if ended and tokens[-1] in self.ids else tokens)
        text = self.prompter.decode(kept)
        cut = min((place for one in self.stop if (place := text.find(one)) >= 0), default=len(text))
        while kept and cut < len(text) and len(self.prompter.decode(kept[:-1])) >= cut:
            kept.pop()
        return Answer(text[:cut], tuple(kept), "end" if ended else "length")
