"""The connection that a push is made over: it waits, tries again and says so, and lets itself be stopped.

The Hub's client leaves a request without a time limit, waits for as long as a server likes, and says nothing of it.
Within `line` all its requests go through here: one that brings no byte for a while is given up, one that met a server
in trouble is made again a few times, and what is told ends each wait. Knows no repository.
"""

import itertools
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import httpx2

from evals.errors import one_line
from ftspace.errors import HubCause, HubError
from ftspace.workers import Stopped

AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""
_BUSY = "another conflicting operation is in progress"
"""With status 409, what the Hub says while it makes another repository; the client would ask on without a pause."""
_LOOK_SECONDS = 0.1
_BROKEN = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError, httpx2.ProxyError)


@dataclass(frozen=True)
class Patience:
    """How long what is tried for; times in seconds."""

    tries: int = 5
    """How often a request is made that meets a server in trouble, or none."""
    pause: float = 1.0
    """Before the second try; before each further one it is twice as long."""
    longest: float = 180.0
    """The most that a server may ask to be waited for."""
    silence: float = 45.0
    """Without a byte in either direction, until a try is given up."""
    word: float = 15.0
    """Without a byte, until that is told."""

    def hasty(self) -> "Patience":
        """For what is tidied up behind a push that has failed already."""
        return replace(self, tries=min(2, self.tries), longest=0.0, silence=min(10.0, self.silence))


PATIENCE = Patience()


@dataclass(frozen=True)
class Ears:
    """Who hears of a push, from any thread."""

    warn: Callable[[str], object] = lambda _: None
    """Takes a line on what is waited for."""
    sent: Callable[[int], object] = lambda _: None
    """Takes bytes of files that were sent; fewer than none where they have to be sent again."""
    should_stop: Callable[[], bool] = lambda: False
    """Whether to give up at once."""


@contextmanager
def line(ears: Ears, patience: Patience = PATIENCE) -> Generator[None]:
    """Until it is left, the Hub's client speaks through here, in all threads; it raises HubError, or Stopped.

    Large files are sent by this process itself: the client's other way, Xet, has a connection that nobody can watch.
    """
    from huggingface_hub import constants, set_client_factory

    hooks, xet = _hooks(), constants.HF_HUB_DISABLE_XET
    set_client_factory(lambda: _Line(ears, patience, hooks))
    constants.HF_HUB_DISABLE_XET = True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = xet
        set_client_factory(lambda: httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=None))


@cache
def _hooks() -> Any:
    """What the Hub's client does before each request: it keeps to offline mode."""
    from huggingface_hub import get_session

    return get_session().event_hooks


@cache
def _certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class _Line(httpx2.Client):
    """The client's HTTP session."""

    def __init__(self, ears: Ears, patience: Patience, hooks: Any) -> None:
        super().__init__(event_hooks=hooks, follow_redirects=True, timeout=patience.silence, verify=_certificates())
        self._ears = ears
        self._patience = patience

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Makes a request, again where that may help. Raises HubError when it did not, Stopped when told to stop."""
        body, rewind = request.stream, _rewinder(request.stream)
        options["stream"] = True  # so that it can be seen how much came
        for number in itertools.count(1):
            response = None
            counted = _Body(body, self._ears.sent if request.method == "PUT" else lambda _: None)
            request.stream = counted
            request.extensions["timeout"] = httpx2.Timeout(self._patience.silence).as_dict()
            try:
                response = self._attempt(request, counted, options)
                cause, trouble = _trouble(response)
            except _BROKEN as error:
                cause, trouble = _words(error)
            if response is not None and not trouble:
                return response
            counted.take_back()
            self._wait(cause, trouble, request, response, number)
            rewind()
        raise AssertionError

    def _wait(
        self, cause: HubCause, trouble: str, request: httpx2.Request, response: httpx2.Response | None, number: int
    ) -> None:
        """Waits until the next try. Raises HubError when there is none."""
        seconds = self._patience.pause * 2 ** (number - 1)
        asked = _asked(response)
        if asked is not None and asked > max(self._patience.longest, seconds):
            advice = f"and asks to be left alone for {asked:.0f} s; push again then"
            raise HubError(f"{trouble}, {advice}; all is kept here", cause)
        if number >= self._patience.tries:
            advice = {
                "network": "check the network and push again",
                "rate": "wait some minutes and push again",
            }.get(cause, "push again later")
            at = f"{request.method} {request.url.path}"
            raise HubError(f"{trouble}, {number} times in a row at {at}; all is kept here; {advice}", cause)
        seconds = max(seconds, asked or 0.0)
        self._ears.warn(f"{trouble}; trying again in {seconds:.0f} s")
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._halt()
            time.sleep(min(left, _LOOK_SECONDS))

    def _attempt(self, request: httpx2.Request, body: "_Body", options: dict[str, Any]) -> httpx2.Response:
        """One try in a thread of its own, which is left to itself when it is to stop or nothing moves any more."""
        self._halt()
        found = _Found()

        def work() -> None:
            try:
                found.response = super(_Line, self).send(request, **options)
                found.response.read()
            except BaseException as error:  # noqa: BLE001  (raised again below, in the thread that asked)
                found.error = error
            finally:
                found.done.set()

        threading.Thread(target=copy_context().run, args=(work,), daemon=True).start()
        moved, since, told = -1, time.monotonic(), False
        while not found.done.wait(_LOOK_SECONDS):
            if self._ears.should_stop():
                body.end()
                raise Stopped
            now = body.bytes + (found.response.num_bytes_downloaded if found.response else 0)
            if now != moved:
                moved, since, told = now, time.monotonic(), False
            silence = time.monotonic() - since
            if silence > self._patience.silence:
                body.end()
                raise httpx2.ReadTimeout("")
            if silence > self._patience.word and not told:
                told = True
                self._ears.warn(f"the Hub has been silent for {silence:.0f} s; still waiting")
        if found.error is not None:
            raise found.error
        assert found.response is not None
        return found.response

    def _halt(self) -> None:
        if self._ears.should_stop():
            raise Stopped


class _Found:
    """What came of a try."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.response: httpx2.Response | None = None
        self.error: BaseException | None = None


class _Body(httpx2.SyncByteStream):
    """A request's body, counted on its way; none of it is read any more once it was ended."""

    def __init__(self, body: Any, sent: Callable[[int], object]) -> None:
        self.bytes = 0
        self._body, self._sent = body, sent
        self._lock, self._ended = threading.Lock(), False

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self._body)
        while True:
            with self._lock:
                part = None if self._ended else next(parts, None)
            if part is None:
                return
            yield part
            self.bytes += len(part)
            self._sent(len(part))

    def end(self) -> None:
        """The file that it reads belongs to the next try from here on."""
        with self._lock:
            self._ended = True

    def take_back(self) -> None:
        """What was sent counts for nothing."""
        self.end()
        self._sent(-self.bytes)


def _rewinder(body: Any) -> Callable[[], object]:
    """Brings the file that a body is read from back to where it was; other bodies are read anew as they are."""
    file: Any = getattr(body, "_stream", None)
    if file is None or not hasattr(file, "seek"):
        return lambda: None
    start = file.tell()
    return lambda: file.seek(start)


def _trouble(response: httpx2.Response) -> tuple[HubCause, str]:
    """What a status says that may be another one next time; no words for an answer that counts."""
    status = response.status_code
    if status == 429:
        return "rate", "the Hub has had too many requests from you (status 429)"
    if status in AGAIN:
        return "server", f"the Hub is in trouble (status {status})"
    if status == 409 and _BUSY in response.text:
        return "conflict", "the Hub is at another change of yours (status 409)"
    return "refused", ""


def _words(error: Exception) -> tuple[HubCause, str]:
    if isinstance(error, httpx2.TimeoutException) and not isinstance(error, httpx2.ConnectTimeout):
        return "timeout", "the Hub does not answer"
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
        return "network", f"the Hub cannot be reached ({one_line(error) or 'no answer'})"
    return "network", f"the connection to the Hub broke off ({one_line(error) or type(error).__name__})"


def _asked(response: httpx2.Response | None) -> float | None:
    """The seconds that a server asks to be waited for."""
    if response is None:
        return None
    from huggingface_hub.utils import parse_ratelimit_headers

    limit = parse_ratelimit_headers(response.headers)
    said = response.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said)
    return float(limit.reset_in_seconds) if limit is not None and limit.remaining == 0 else None
