"""The service that lends ZeroGPU's GPUs, on loopback, as the `spaces` package (0.51.3) asks it over HTTP.

It lends this machine's processor, and takes it away as the real one does: by killing the process that it was lent to
when its time is over.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

VISITOR = "head.e30.tail"
"""What ZeroGPU's proxy tells the app of a page's visitor: a token of three parts."""
GRACE_SECONDS = 1.0
"""After its time a lease goes on for so long, then its process is killed."""


@dataclass
class Lent:
    """One lease."""

    token: str
    seconds: float
    visitor: str | None
    """The token of whose GPU time it is."""
    at: float = field(default_factory=time.monotonic)
    took: float | None = None
    """Seconds until it was given back, or its process killed."""
    killed: bool = False
    new: bool = True
    """Whether in a process of its own, not one that was lent before."""


@dataclass(frozen=True)
class Refused:
    """No lease: so much is left of the day's, and there is more in `wait`."""

    left: int
    wait: int
    why: str = "quota-exceeded"


class DeviceApi:
    """The service; what is not planned is granted."""

    def __init__(self) -> None:
        self.leases: list[Lent] = []
        self.refused = self.reported = 0
        self._plan: list[Refused | None] = []
        self._closed = threading.Event()
        self._pid: int | None = None
        self._timers: dict[str, threading.Timer] = {}
        self._lock = threading.Lock()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                where = urlsplit(self.path)
                asked = {name: values[0] for name, values in parse_qs(where.query).items()}
                status, said = api.answer(where.path, asked)
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Authenticated", "regular")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def plan(self, coming: Iterable[Refused | None]) -> None:
        """What the next demands meet."""
        self._plan = list(coming)

    def cut_when(self, due: Callable[[], bool]) -> None:
        """Takes the lease that is out away, once, as soon as it is due."""

        def watch() -> None:
            while not self._closed.wait(0.02):
                if due() and any(lent.took is None for lent in self.leases):
                    self._end(self.leases[-1], self._pid)
                    if self.leases[-1].killed:
                        return

        threading.Thread(target=watch, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        for timer in self._timers.values():
            timer.cancel()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, asked: dict[str, str]) -> tuple[int, Any]:
        with self._lock:
            match path:
                case "/schedule":
                    return self._schedule(float(asked["durationSeconds"]), asked.get("token"))
                case "/allow":
                    self._pid = int(asked["pid"])
                    self._begin(next(one for one in self.leases if one.token == asked["allowToken"]))
                    return 200, None
                case "/startup-report":
                    self.reported += 1
                    return 200, None
                case "/release":
                    return self._release(asked["allowToken"])
                case _:
                    return 404, None

    def _schedule(self, seconds: float, visitor: str | None) -> tuple[int, Any]:
        due = self._plan.pop(0) if self._plan else None
        if due:
            self.refused += 1
            return 429, {"left": due.left, "wait": due.wait}
        idle = self._pid is not None and _lives(self._pid)
        lent = Lent(f"lease-{len(self.leases)}", seconds + GRACE_SECONDS, visitor, new=not idle)
        self.leases.append(lent)
        if idle:
            self._begin(lent)
        return 200, {"idle": idle, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": lent.token}

    def _begin(self, lent: Lent) -> None:
        lent.at = time.monotonic()
        self._timers[lent.token] = timer = threading.Timer(lent.seconds, self._end, [lent, self._pid])
        timer.daemon = True
        timer.start()

    def _end(self, lent: Lent, pid: int | None) -> None:
        with self._lock, suppress(ProcessLookupError):
            if lent.took is None and pid is not None:
                lent.took, lent.killed = time.monotonic() - lent.at, True
                os.kill(pid, signal.SIGKILL)

    def _release(self, token: str) -> tuple[int, Any]:
        lent = next(one for one in self.leases if one.token == token)
        self._timers.pop(token).cancel()
        if lent.killed:
            return 404, None
        lent.took = time.monotonic() - lent.at
        return 200, None


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
