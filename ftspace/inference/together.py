"""Asks several models over HTTP at once and tells what they write as it comes. Knows OpenAI's protocol, and no run."""

import asyncio
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ftspace.errors import FtspaceError, JobError, ModelError
from ftspace.redact import redact

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECT_SECONDS, SILENT_SECONDS = 10.0, 300.0
"""How long a connection may take, and how long there may be silence before an answer is given up."""
WHOLE_SECONDS, LETTERS = 3600.0, 400_000
"""How long an answer may take as a whole, and how long it may be, whatever whoever is asked makes of the settings."""
LOOK_SECONDS, END_SECONDS = 0.1, 2.0
"""How often to look whether somebody stopped the answers, and how long to wait for connections to be closed."""


class SideFailed(NamedTuple):
    """In place of a piece: this side gives no more, and why. The others go on."""

    side: str
    message: str


Piece = tuple[str, str] | SideFailed


@dataclass(frozen=True)
class Asked:
    """A model, and what it is asked."""

    side: str
    base_url: str
    model: str
    messages: Sequence[Mapping[str, str]]
    settings: Mapping[str, Any]
    """Further fields of the request."""
    key: str | None = field(default=None, repr=False)


def ask_together(
    asked: Sequence[Asked], cut: set[str] | None = None, stop: threading.Event | None = None
) -> Generator[Piece]:
    """(side, piece) as they come; the piece "" says that a side is done. Closing it breaks all answers off.

    So does setting `stop`, from any thread, while nothing comes. Sides whose answers were cut off at their longest are
    added to `cut`.
    """
    told: SimpleQueue[Piece] = SimpleQueue()
    asking = _Asking(asked, told, set() if cut is None else cut)
    # a thread with a loop of its own, as that of the caller may be at work; nothing waits for it when the process ends
    thread = threading.Thread(target=asking.run, name="ask", daemon=True)
    thread.start()
    try:
        left = len(asked)
        while left and not (stop is not None and stop.is_set()):
            try:
                piece = told.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            if piece[0] == "":
                raise asking.failed or JobError("the answers were broken off; ask again")
            left -= isinstance(piece, SideFailed) or not piece[1]
            yield piece
    finally:
        asking.end()
        thread.join(END_SECONDS)


class _Asking:
    """All the answers under way, in a loop of their own."""

    def __init__(self, asked: Sequence[Asked], told: "SimpleQueue[Piece]", cut: set[str]) -> None:
        self.failed: Exception | None = None
        """What broke all answers off."""
        self._asked = asked
        self._cut = cut
        self._told = told
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._began = threading.Event()

    def run(self) -> None:
        """Asks all, until they have answered or `end` is called; the piece ("", "") says that it is over."""
        try:
            asyncio.run(self._run())
        except Exception as error:  # noqa: BLE001  (raised again in the thread that asked)
            self.failed = error
        finally:
            self._began.set()
            self._told.put(("", ""))

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._began.set()
        answers = asyncio.gather(*(self._ask(one) for one in self._asked))
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait([answers, over], return_when=asyncio.FIRST_COMPLETED)
        answers.cancel()
        over.cancel()
        await asyncio.gather(answers, over, return_exceptions=True)
        if not self._over.is_set():
            answers.result()

    def end(self) -> None:
        """Breaks off what is under way. Any thread may call, once `run` was set going."""
        self._began.wait()
        if self._loop is not None and self._over is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._over.set)

    async def _ask(self, one: Asked) -> None:
        try:
            with told_plainly():
                async with asyncio.timeout(WHOLE_SECONDS), _client(one) as client:
                    await self._tell(client, one)
            self._told.put((one.side, ""))
        except TimeoutError:
            self._told.put(SideFailed(one.side, f"the answer did not end within {WHOLE_SECONDS / 60:.0f} minutes"))
        except FtspaceError as error:
            self._told.put(SideFailed(one.side, redact(str(error))))

    async def _tell(self, client: "AsyncOpenAI", one: Asked) -> None:
        from openai import BadRequestError, UnprocessableEntityError

        settings = dict(one.settings)
        while True:
            create: Any = client.chat.completions.create
            try:
                answer = await create(model=one.model, messages=list(one.messages), stream=True, **settings)
            except (BadRequestError, UnprocessableEntityError) as error:
                fewer = _without(settings, str(error.message))
                if fewer is None:
                    raise
                settings = fewer
                continue
            letters = 0
            async with answer:
                async for part in answer:
                    if letters >= LETTERS:
                        self._cut.add(one.side)
                        return
                    if part.choices and part.choices[0].delta.content:
                        letters += len(part.choices[0].delta.content)
                        self._told.put((one.side, part.choices[0].delta.content))
                    if part.choices and part.choices[0].finish_reason == "length":
                        self._cut.add(one.side)
            return


def _without(settings: Mapping[str, Any], refusal: str) -> dict[str, Any] | None:
    """The settings that a server takes which refused one of them by name; None when it was none of them.

    Models that reason call the limit otherwise, and know no temperature.
    """
    if "max_tokens" in settings and "max_completion_tokens" in refusal:
        kept = {name: value for name, value in settings.items() if name != "max_tokens"}
        return {**kept, "max_completion_tokens": settings["max_tokens"]}
    named = next((name for name in ("temperature", "top_p", "seed") if name in settings and name in refusal), None)
    return None if named is None else {name: value for name, value in settings.items() if name != named}


def _client(one: Asked) -> "AsyncOpenAI":
    import httpx2
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    http = DefaultAsyncHttpxClient(
        trust_env=not is_loopback(one.base_url),  # no proxy stands between this machine and itself
        follow_redirects=False,
        verify=urlsplit(one.base_url).scheme == "https",  # else certificates are read, which takes 0.1 s, for nothing
        timeout=httpx2.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS),
    )
    return AsyncOpenAI(base_url=one.base_url, api_key=one.key or "none", max_retries=0, http_client=http)


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def told_plainly() -> Generator[None]:
    """Turns what the OpenAI client raises into one line."""
    import httpx2
    import openai

    try:
        yield
    except openai.APIStatusError as error:
        raise ModelError(f"the model did not answer: {_line(error)}") from error
    except openai.APITimeoutError as error:
        raise ModelError("the model did not answer in time") from error
    except openai.APIConnectionError as error:
        raise JobError("the answer was cut off: the connection is gone; ask again") from error
    except openai.APIError as error:
        raise ModelError(f"the model did not answer: {_line(error)}") from error
    except httpx2.HTTPError as error:
        raise JobError("the answer was cut off: the connection is gone; ask again") from error


def _line(error: Any) -> str:
    return redact(" ".join(str(error.message).split())[:300])
