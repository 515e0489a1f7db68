"""Faults that a Hub is planned to have, so that a client's every request can be made to fail in every way.

    hub.faults.append(Fault("status", "PUT", "/lfs/", status=503, times=None))   # always
    for asked in list(hub.requests): hub.faults = [Fault.at(asked.key, "cut")]    # a recorded push, replayed

A request is known by its key: method, path, and which one of that method and path it is.
"""

import asyncio
import re
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.loopback_hub.answers import error

Kind = Literal["status", "delay", "cut", "lost", "short", "torn", "reset"]
"""status  an error is the answer, or `body`, and nothing is done
delay   the answer comes `seconds` later
cut     the request is read, nothing is done, and the connection ends without an answer
lost    the request is done, and the connection ends without an answer
short   the request is done, and the connection ends after `after` bytes of the answer's body
torn    the connection ends after `after` bytes of the request's body were read
reset   the connection is reset at once"""


@dataclass
class Fault:
    """One fault: which requests it befalls, and what happens to them."""

    kind: Kind
    method: str = ""
    """As `PUT`; empty for any."""
    path: str = ""
    """A regular expression that is found in the path; empty for any."""
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """What the answer carries, such as Retry-After."""
    code: str = ""
    """X-Error-Code."""
    message: str = ""
    body: Any = None
    """What is answered in place of an error, as JSON."""
    seconds: float = 0.0
    after: int = 0
    nth: int = 1
    """The first of the requests that it fits that it befalls."""
    times: int | None = 1
    """How many requests it befalls; None for all."""
    fitted: int = 0
    """Requests so far that it fits."""
    befell: int = 0
    """Requests so far that it befell."""

    @classmethod
    def at(cls, key: str, kind: Kind, **how: Any) -> "Fault":
        """A fault of the request that has this key in `hub.requests`, and with `times=None` of its like after it."""
        method, path, nth = key.split(" ")
        return cls(kind, method, f"^{re.escape(path)}$", nth=int(nth.removeprefix("#")), **how)

    def fits(self, method: str, path: str) -> bool:
        """Whether a request is of its kind."""
        return self.method in ("", method) and re.search(self.path, path) is not None

    @property
    def due(self) -> bool:
        """Whether the latest request that it fits is one to befall."""
        return self.fitted >= self.nth and (self.times is None or self.befell < self.times)


def first_due(faults: list["Fault"], method: str, path: str) -> "Fault | None":
    """What befalls a request, if anything; all faults that fit it count it, the first that is due befalls it."""
    fitting = [fault for fault in faults if fault.fits(method, path)]
    for fault in fitting:
        fault.fitted += 1
    found = next((fault for fault in fitting if fault.due), None)
    if found:
        found.befell += 1
    return found


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    key: str
    """`METHOD PATH #N`: equal for equal work, whatever the order that a client's threads ask in."""
    status: int | None = None
    """What it was answered; None while it was not."""
    fault: Kind | None = None
    """What befell it."""

    def __str__(self) -> str:
        """`METHOD PATH`."""
        return f"{self.method} {self.path}"


async def befall(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request as a fault wants it."""
    if fault.kind == "status":
        await _read(receive)
        answer = error(fault.status, fault.code, fault.message or f"refused with {fault.status}", fault.headers)
        if fault.body is not None:
            answer = JSONResponse(fault.body, fault.status, fault.headers)
        await answer(scope, receive, send)
    elif fault.kind == "delay":
        body = await _read(receive)
        try:
            async with asyncio.timeout(fault.seconds):
                await _gone(receive)
        except TimeoutError:
            await app(scope, _again(body, receive), send)
    elif fault.kind == "short":
        await app(scope, receive, _Short(fault.after, scope, receive, send).send)
    elif fault.kind == "torn":
        seen = 0
        while seen < fault.after and (message := await receive())["type"] == "http.request" and message["more_body"]:
            seen += len(message["body"])
        await _end(scope, receive, abruptly=True)
    elif fault.kind == "reset":
        await _end(scope, receive, abruptly=True)
    else:
        body = await _read(receive)
        if fault.kind == "lost":
            await app(scope, _again(body, receive), _unsaid)
        await _end(scope, receive)


class _Short:
    """Sends the head of an answer and some of its body, and ends the connection."""

    def __init__(self, after: int, scope: Scope, receive: Receive, send: Send) -> None:
        self._left, self._scope, self._receive, self._send = after, scope, receive, send
        self._ended = False

    async def send(self, message: Message) -> None:
        if self._ended:
            return
        if message["type"] == "http.response.start":
            length = int(Headers(raw=message["headers"]).get("content-length", self._left + 1))
            self._left = min(self._left, length - 1)
            if self._left < 0 or self._scope["method"] == "HEAD":  # there is no body to be cut
                await self._over()
            else:
                await self._send(message)
            return
        body: bytes = message.get("body", b"")
        if len(body) <= self._left and message.get("more_body"):
            self._left -= len(body)
            await self._send(message)
            return
        await self._send({"type": "http.response.body", "body": body[: self._left], "more_body": True})
        await self._over()

    async def _over(self) -> None:
        self._ended = True
        await _end(self._scope, self._receive)


async def _read(receive: Receive) -> bytes:
    """The request's whole body."""
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read, then what comes after it."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return left.pop() if left else await receive()

    return replay


async def _unsaid(message: Message) -> None:
    """Sends nothing."""


async def _gone(receive: Receive) -> None:
    """Returns once the connection is no more."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(scope: Scope, receive: Receive, *, abruptly: bool = False) -> None:
    """Ends the connection, after all that was sent has left, or at once with a reset."""
    transport = cast(asyncio.Transport, scope["state"]["transport"])
    if abruptly:
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    await _gone(receive)
