"""Several models answer a question at the same time, each in a conversation of its own. Knows no screen and no torch.

A page and a command follow it alike: what each has written so far, how fast, and how it ended.
"""

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise

from ftspace.differences import differences
from ftspace.errors import ConfigError, FtspaceError
from ftspace.inference.client import InferenceClient, Reference, SideFailed
from ftspace.questions import Question
from ftspace.runs import Run
from ftspace.words import asked_of

REFERENCE = "reference"
TICK = 0.12
"""Seconds between two looks at what has been written."""
LONGEST = 4096
"""Most tokens of an answer."""
Conversation = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class How:
    """The settings that all sides answer with."""

    system: str = ""
    """The system prompt; "" for none."""
    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ConfigError for what no model takes."""
        if not 1 <= self.max_tokens <= LONGEST:
            raise ConfigError(f"the longest answer has 1 to {LONGEST:,} tokens, not {self.max_tokens:,}")
        if not 0 <= self.temperature <= 2 or not 0 < self.top_p <= 1:
            raise ConfigError("temperature goes from 0 to 2, top p from above 0 to 1")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"the seed is a whole number from 0 to {2**32 - 1:,}")


@dataclass
class Answer:
    """What one side has written so far."""

    text: str = ""
    first: float | None = None
    """Seconds until the first word."""
    seconds: float = 0.0
    """Seconds until the last."""
    done: bool = False
    cut: bool = False
    """Whether it was cut off at the most tokens."""
    failed: str = ""
    """Why there is no answer, or no more of it."""
    stopped: bool = False
    """Whether somebody stopped it."""

    @property
    def rate(self) -> float | None:
        """Words a second, from the first to the last; None for answers too short to tell."""
        words = len(self.text.split())
        writing = self.seconds - (self.first or 0.0)
        return words / writing if words > 2 and writing > 0.05 else None


@dataclass(frozen=True)
class Turn:
    """A question and what became of it, by side."""

    question: str
    answers: Mapping[str, Answer]


def conversation(turns: Sequence[Turn], side: str, system: str, question: str) -> list[dict[str, str]]:
    """What a side is to answer: what was asked of it before with its own answers, then the question."""
    found = [{"role": "system", "content": system}] if system.strip() else []
    for turn in turns:
        answer = turn.answers.get(side)
        if answer is not None and answer.text.strip():
            found.append({"role": "user", "content": turn.question})
            found.append({"role": "assistant", "content": answer.text.strip()})
    return [*found, {"role": "user", "content": question}]


@dataclass
class Answering:
    """Sides at work on a question, each from a thread of its own."""

    models: InferenceClient
    run: Run
    asked: Mapping[str, Conversation]
    """By side, what it is to answer."""
    how: How
    reference: Reference | None = None
    answers: dict[str, Answer] = field(init=False)
    _stop: threading.Event = field(default_factory=threading.Event)
    _news: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answers = {side: Answer() for side in self.asked}

    def follow(self) -> Generator[bool]:
        """Whether there is news, after each tick, until all have answered. Closing it stops them."""
        threading.Thread(target=self._take, daemon=True).start()
        try:
            while not self._over:
                told = self._news.wait(TICK)
                if told:
                    time.sleep(TICK / 2)  # what comes in a moment is shown at once
                    self._news.clear()
                yield told
        finally:
            self.stop()

    def stop(self) -> None:
        """Has all end their answers with the word they are at."""
        self._stop.set()
        for answer in self.answers.values():
            answer.stopped = answer.stopped or not answer.done
            answer.done = True
        self._news.set()

    @property
    def _over(self) -> bool:
        return all(answer.done for answer in self.answers.values())

    def _take(self) -> None:
        """Writes down what the sides say."""
        began, cut = time.monotonic(), set[str]()
        why = "it ended without a word on why; see the app's log"
        try:
            pieces = self.models.together(
                self.run,
                [side for side in self.asked if side != REFERENCE],
                {side: [dict(turn) for turn in turns] for side, turns in self.asked.items()},  # pyright: ignore[reportArgumentType]
                max_tokens=self.how.max_tokens,
                temperature=self.how.temperature,
                top_p=self.how.top_p,
                seed=self.how.seed,
                reference=self.reference if REFERENCE in self.asked else None,
                cut=cut,
                stop=self._stop,
            )
            with closing(pieces):
                for piece in pieces:
                    if self._stop.is_set():
                        return
                    self._note(piece, time.monotonic() - began, cut)
            why = ""
        except FtspaceError as error:
            why = str(error)
        finally:
            for answer in self.answers.values():
                if not answer.done:
                    answer.failed, answer.done = why, True
            self._news.set()

    def _note(self, piece: tuple[str, str] | SideFailed, seconds: float, cut: set[str]) -> None:
        answer = self.answers[piece[0]]
        if isinstance(piece, SideFailed):
            answer.failed, answer.done = piece.message, True
        elif piece[1]:
            answer.seconds = seconds
            answer.first = seconds if answer.first is None else answer.first
            answer.text += piece[1]
        else:
            answer.cut, answer.done = piece[0] in cut, True
        self._news.set()


def load(models: InferenceClient, run: Run, token: str | None, also: Sequence[Run] = ()) -> Generator[float]:
    """Loads what a run needs, telling at each tick for how many seconds that has gone on. Raises FtspaceError."""
    failed: list[Exception] = []

    def work() -> None:
        try:
            models.open(run, token, also)
        except Exception as error:  # noqa: BLE001  (raised again below, in the thread that asked)
            failed.append(error)

    began = time.monotonic()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(TICK)
    while thread.is_alive():
        yield time.monotonic() - began
        thread.join(TICK * 2)
    if failed:
        raise failed[0]


def verdict(question: Question, answers: Mapping[str, Answer]) -> str:
    """A question's answers in a few words: the same or not, and who is right where that is known."""
    failed = [side for side, one in answers.items() if one.failed and not one.text]
    if failed:
        return f"no answer of {_named(failed)}"
    texts = [one.text.strip() for one in answers.values()]
    words = "same" if all(one == other for one, other in pairwise(texts)) else "differs"
    judged = {side: question.is_right(one.text) for side, one in answers.items()}
    if None in judged.values() or len(answers) < 2:
        return words
    right = [side for side, good in judged.items() if good]
    if words == "same":
        return "same, right" if right else "same, wrong"
    if not right:
        return "differs, none is right"
    if len(right) == len(answers):
        return "differs, all are right"
    return f"only {_named(right)} {'is' if len(right) == 1 else 'are'} right"


def differing(answers: Mapping[str, Answer]) -> str:
    """What differs between base and tuned, or else the first two, as a sentence; "" where one did not answer."""
    texts = [one.text for one in answers.values() if one.text.strip()]
    if len(texts) < 2:
        return ""
    return differences(texts[0], texts[1]).words


def _named(sides: Sequence[str]) -> str:
    return " and ".join(asked_of(side) for side in sides)
