"""Those who are connected to the supervisor, and what they say: a JSON line each time. Knows no run and no process."""

import json
import selectors
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ftspace.bell import HEARD

_PART = 1 << 16
_SECONDS = 1.0
"""How long somebody may take to take in that he was heard."""


@dataclass
class _Caller:
    socket: socket.socket
    said: bytes = b""
    words: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """All that it said since it came."""


class Callers:
    """Everybody who is connected."""

    def __init__(self, listener: socket.socket) -> None:
        """`listener` is the socket that they come to."""
        self._listener = listener
        self._listener.setblocking(False)
        self._mine, self._others = socket.socketpair()
        self._others.setblocking(False)
        self._callers: dict[int, _Caller] = {}
        self._ears = selectors.DefaultSelector()
        self._ears.register(listener, selectors.EVENT_READ)
        self._ears.register(self._others, selectors.EVENT_READ)

    def __bool__(self) -> bool:
        """Whether anybody is connected."""
        return bool(self._callers)

    def close(self) -> None:
        """Hears nobody from here on."""
        for caller in self._callers.values():
            caller.socket.close()
        for ear in (self._ears, self._mine, self._others):
            ear.close()

    def said(self, what: str) -> list[dict[str, Any]]:
        """What those who are connected said with this word, such as `start`."""
        return [words for caller in self._callers.values() for words in caller.words if words.get("do") == what]

    def add(self, ear: socket.socket) -> None:
        """Listens to one more socket, which is said to have spoken but not read."""
        self._ears.register(ear, selectors.EVENT_READ)

    def remove(self, ear: socket.socket) -> None:
        """Listens to it no more."""
        self._ears.unregister(ear)

    def wake(self) -> None:
        """Ends the waiting of `hear`; any thread may call."""
        with suppress(BlockingIOError):
            self._mine.send(b"\0")

    def hear(self, seconds: float) -> tuple[list[dict[str, Any]], list[socket.socket]]:
        """What was said within the time, as soon as something is, and which added sockets have something to read."""
        words: list[dict[str, Any]] = []
        others: list[socket.socket] = []
        for key, _ in self._ears.select(seconds):
            if key.fileobj is self._listener:
                self._welcome()
            elif key.fileobj is self._others:
                self._others.recv(4096)
            elif key.fd in self._callers:
                words += self._listen(self._callers[key.fd])
            elif isinstance(key.fileobj, socket.socket):
                others.append(key.fileobj)
        return words, others

    def _welcome(self) -> None:
        with suppress(BlockingIOError):
            found, _ = self._listener.accept()
            found.settimeout(_SECONDS)
            self._callers[found.fileno()] = _Caller(found)
            self._ears.register(found, selectors.EVENT_READ)

    def _listen(self, caller: _Caller) -> list[dict[str, Any]]:
        words: list[dict[str, Any]] = []
        try:
            said = caller.socket.recv(_PART)
            caller.said += said
            while b"\n" in caller.said:
                line, _, caller.said = caller.said.partition(b"\n")
                words.append(dict(json.loads(line)))
                caller.socket.sendall(HEARD)
        except (OSError, ValueError, TypeError):
            said = b""
        caller.words += words
        if not said:
            self._ears.unregister(caller.socket)
            del self._callers[caller.socket.fileno()]
            caller.socket.close()
        return words
