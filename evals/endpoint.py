"""Asks models behind endpoints: any that speaks OpenAI's chat completions, and Hugging Face's Inference Providers.

Knows HTTP, limits and budgets; knows nothing of judges, tasks or scores. What comes of a question is a text or a
failure with its reason. Only transport errors, 429 and 5xx are tried again, and each try counts as a call and costs
what it may have cost.
"""

import asyncio
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Literal

from evals.errors import Stopped, TaskError
from evals.providers import Dialect, Refused, Send, Target

LETTERS = 4
"""Latin letters of a token, about, where a server does not say how many tokens there were."""
_LOOK = 0.1
_NO_ANSWER = ("error", "content_filter")
"""Why a completion ended, where it is none: the server failed, or held back what the model wrote."""


def about_tokens(text: str) -> int:
    """Return about how many tokens a text has, rather too many: a letter that is not ASCII counts as one of its own."""
    plain = sum(letter.isascii() for letter in text)
    return -(-plain // LETTERS) + len(text) - plain


@dataclass(frozen=True)
class Question:
    """A conversation whose next turn is wanted, decoded greedily."""

    messages: Sequence[Mapping[str, str]]
    """Turns of `role` and `content`."""
    max_tokens: int = 512
    """The longest answer."""
    schema: Mapping[str, Any] | None = None
    """A JSON schema that the answer is bound to, where the server can do that."""

    @property
    def own_tokens(self) -> int:
        """About how many tokens the question alone has."""
        return sum(about_tokens(turn["content"]) for turn in self.messages)

    @property
    def most_tokens(self) -> int:
        """About how many tokens question and answer have at most."""
        return self.own_tokens + self.max_tokens


@dataclass(frozen=True)
class Text:
    """An answer."""

    text: str
    finish: Literal["end", "length"] = "end"
    tokens: int = 0
    """Of question and answer, as the server counts them."""
    calls: int = 1
    """Tries that it took."""
    spent: int = 0
    """Tokens of all of them."""


@dataclass(frozen=True)
class Failure:
    """No answer."""

    reason: str
    """Why, in a few words."""
    calls: int = 0
    """Tries that were made."""
    spent: int = 0
    """Tokens that they may have cost."""


Result = Text | Failure


@dataclass(frozen=True)
class Limits:
    """How an endpoint is treated."""

    concurrency: int = 8
    """Calls under way at once, of each endpoint."""
    timeout: float = 120.0
    """Seconds that one call may take."""
    retries: int = 4
    """Further tries after a transport error, 429 or 5xx."""
    backoff: float = 0.5
    """Seconds before the first of them; each further wait is twice as long, give or take half."""
    longest_wait: float = 120.0
    """Seconds that a server may ask to wait (Retry-After); when it asks for more, it is asked nothing further."""
    give_up: int = 8
    """Questions that fail in a row before the endpoint is asked nothing further."""


class Meter:
    """A budget and what was used of it.

    Args:
        calls: at most so many calls; None for no limit.
        money: at most so much; None for no limit.
        price: of a million tokens.

    Raises:
        TaskError: money is limited and there is no price.
    """

    def __init__(self, calls: int | None = None, *, money: float | None = None, price: float | None = None) -> None:
        if money is not None and price is None:
            raise TaskError("a budget in money needs the price of a million tokens")
        self.limit, self.money, self.price = calls, money, price
        self.calls = self.tokens = self._held = 0

    def cost_of(self, tokens: int) -> float | None:
        """What so many tokens cost; None without a price."""
        return None if self.price is None else tokens * self.price / 1e6

    def take(self, tokens: int) -> bool:
        """Whether one more call of at most so many tokens is within the budget; if so it is counted."""
        if self.limit is not None and self.calls >= self.limit:
            return False
        if self.money is not None and (self.cost_of(self.tokens + self._held + tokens) or 0.0) > self.money:
            return False
        self.calls += 1
        self._held += tokens
        return True

    def may_free(self, tokens: int) -> bool:
        """Whether `take` may say yes once calls under way are settled: they hold more than they take."""
        within = self.limit is None or self.calls < self.limit
        return within and self._held > 0 and (self.cost_of(self.tokens + tokens) or 0.0) <= (self.money or 0.0)

    def give(self, held: int, used: int) -> None:
        """Settle a call: it took `used` tokens of the `held` ones."""
        self._held -= held
        self.tokens += used


def ask(
    jobs: Sequence[tuple[Target, Question]],
    *,
    meter: Meter | None = None,
    limits: Limits | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[tuple[int, Result]]:
    """Ask each endpoint its questions, several at once, and give (place, result) as they come.

    Args:
        jobs: endpoints and questions; those of one endpoint are asked in order.
        meter: the budget of all together; questions beyond it fail.
        limits: concurrency, timeout and retries.
        should_stop: asked some ten times a second; True ends with `Stopped`, once what has come is given;
            calls under way are dropped.

    Raises:
        Stopped: `should_stop` said so.
    """
    done: queue.SimpleQueue[tuple[int, Result]] = queue.SimpleQueue()
    stop = threading.Event()
    # A thread with a loop of its own: the caller may have a loop that is running, as in a notebook.
    with ThreadPoolExecutor(1, "endpoints") as pool:
        working = pool.submit(asyncio.run, _all(jobs, meter or Meter(), limits or Limits(), done.put, stop))
        try:
            left = len(jobs)
            while left:
                if should_stop is not None and should_stop():
                    stop.set()
                    wait([working])
                    while not done.empty():  # paid for: the caller may want to keep it
                        yield done.get()
                    raise Stopped("stopped")
                try:
                    found = done.get(timeout=_LOOK)
                except queue.Empty:
                    if working.done():
                        working.result()
                    continue
                left -= 1
                yield found
        finally:
            stop.set()


async def _all(
    jobs: Sequence[tuple[Target, Question]],
    meter: Meter,
    limits: Limits,
    done: Callable[[tuple[int, Result]], None],
    stop: threading.Event,
) -> None:
    waiting: dict[Target, deque[tuple[int, Question]]] = {}
    for place, (target, question) in enumerate(jobs):
        waiting.setdefault(target, deque()).append((place, question))
    async with AsyncExitStack() as stack:
        pending: set[asyncio.Task[None]] = set()
        for target, questions in waiting.items():
            lane = _Lane(await stack.enter_async_context(target.connect(limits.timeout)), meter, limits)
            for _ in range(min(limits.concurrency, len(questions))):
                pending.add(asyncio.create_task(lane.work(questions, done)))
        while pending and not stop.is_set():
            finished, pending = await asyncio.wait(pending, timeout=_LOOK, return_when=asyncio.FIRST_EXCEPTION)
            for task in finished:
                task.result()
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


class _Lane:
    """One endpoint: how it wants to be asked, until when it wants to be left alone, whether it is of any use."""

    def __init__(self, send: Send, meter: Meter, limits: Limits) -> None:
        self._send, self._meter, self._limits = send, meter, limits
        self._not_before = 0.0
        self._in_a_row = 0
        self._closed: str | None = None
        self._dialect = Dialect()

    async def work(self, questions: deque[tuple[int, Question]], done: Callable[[tuple[int, Result]], None]) -> None:
        """Ask what is waiting until nothing is."""
        while questions:
            place, question = questions.popleft()
            done((place, await self._ask(question)))

    async def _ask(self, question: Question) -> Result:
        calls = tries = spent = 0
        while True:
            while (left := self._not_before - time.monotonic()) > 0:
                await asyncio.sleep(left + random.uniform(0, self._limits.backoff))
            if self._closed is not None:
                return Failure(self._closed, calls, spent)
            held = question.most_tokens
            while not self._meter.take(held):
                if not self._meter.may_free(held):
                    return Failure("the budget is spent", calls, spent)
                await asyncio.sleep(_LOOK / 10)
            calls += 1
            payload = self._dialect.of(question.messages, question.max_tokens, question.schema)
            used = held  # who was asked may go on after a time-out or a stop, and be paid for it
            try:
                async with asyncio.timeout(self._limits.timeout):
                    document = await self._send(payload)
                text, finish, used = _read(document, question)
                spent += used
                self._in_a_row = 0
                return Text(text, finish, used, calls, spent)
            except Refused as error:
                refused, used = error, question.own_tokens if error.paid else 0
            except TimeoutError:
                refused = Refused(f"no answer within {self._limits.timeout:g} s", again=True)
            finally:
                self._meter.give(held, used)
            spent += used
            adapted = self._dialect.adapted(payload, refused)
            if adapted is not None:
                self._dialect = adapted
                continue
            if refused.wait is not None and refused.wait > self._limits.longest_wait:
                refused = Refused(f"{refused.reason}; it asks to wait {refused.wait:.0f} s", closed=True)
            if not refused.again or tries == self._limits.retries:
                return Failure(self._failed(refused), calls, spent)
            if refused.wait is not None:
                self._not_before = max(self._not_before, time.monotonic() + refused.wait)
            else:
                await asyncio.sleep(self._limits.backoff * 2**tries * random.uniform(0.5, 1.5))
            tries += 1

    def _failed(self, refused: Refused) -> str:
        self._in_a_row += 1
        if refused.closed:
            self._closed = refused.reason
        elif self._in_a_row >= self._limits.give_up:
            self._closed = f"given up after {self._in_a_row} failures in a row: {refused.reason}"
        return refused.reason


def _read(document: Any, question: Question) -> tuple[str, Literal["end", "length"], int]:
    """The text of a chat completion, how it ended, and about how many tokens it took.

    An empty text is an answer: that is what the model had to say. Whether it is one is told by how it ended.
    """
    try:
        choice = document["choices"][0]
        text, finish = choice["message"]["content"], choice.get("finish_reason")
        counted = (document.get("usage") or {}).get("total_tokens")
    except (LookupError, TypeError, AttributeError) as error:
        raise Refused("what came is not a chat completion", paid=True) from error
    if finish in _NO_ANSWER or not isinstance(text, str | None):
        raise Refused(f"no answer: it ended with {finish}", paid=True)
    text = text or ""
    used = counted if isinstance(counted, int) and counted > 0 else question.own_tokens + about_tokens(text)
    return text, "length" if finish == "length" else "end", used
