"""Many open pages of one run, as cheap as they can be played: a process that talks to the app over plain sockets.

`python -m benchmarks.pages PORT RUN SESSIONS`. Each session does what a browser does with the page: it loads it, asks
Gradio for the run through the queue, and prints `ready` when all have; for every line `SECONDS` that comes in it then
keeps Gradio's heartbeat open and asks `/live` as live.js does, on one connection, when it is told to, for so long, and
a line of JSON goes out: how long each answer took, what went wrong, and how old the newest step was that it showed.
Scripts and styles are not fetched: browsers have them.
"""

import asyncio
import contextlib
import gzip
import json
import re
import secrets
import sys
import time
from dataclasses import dataclass, field

PAGE_SECONDS = 120.0
PAGES_AT_ONCE = 4
_Ways = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_STEP = re.compile(rb"Training: step (\d+) of")
_TAG = re.compile(rb'"tag":"([0-9a-f]+)"')


@dataclass
class Told:
    """What the sessions met in one stretch."""

    milliseconds: list[float] = field(default_factory=list[float])
    errors: list[str] = field(default_factory=list[str])
    fresh: int = 0
    """Answers with news."""
    shown: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    """Unix time and the step that the page showed then."""


class Session:
    """One open page."""

    def __init__(self, port: int, run: str) -> None:
        """Nothing is asked yet."""
        self._port, self._run = port, run
        self._hash = secrets.token_hex(6)
        self._tag, self._step = "", 0
        self._wait = secrets.randbelow(1000) / 1000
        """Seconds until it asks, of those in which it is watched."""

    async def _connect(self) -> _Ways:
        return await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)

    async def load(self) -> None:
        """Loads the page, and what Gradio's script then asks for. Raises OSError and ValueError."""
        ways = await self._connect()
        _, _, page = await _ask(ways, f"/?run={self._run}", gzipped=True)
        config = json.loads(page.split(b"window.gradio_config = ", 1)[1].split(b";</script>", 1)[0])
        loads = [one for one in config["dependencies"] if any(target[1] == "load" for target in one["targets"])]
        load = max(loads, key=lambda one: len(one["outputs"]))  # the others are of parts of the page
        body = {
            "data": [],
            "event_data": None,
            "fn_index": load["id"],
            "trigger_id": None,
            "session_hash": self._hash,
        }
        address = f"/gradio_api/queue/join?run={self._run}"
        status, _, said = await _ask(ways, address, json.dumps(body).encode())
        if status != 200:
            raise ValueError(f"the queue said {status}: {said[:200]!r}")
        _write(ways, f"/gradio_api/queue/data?session_hash={self._hash}")
        heard = await ways[0].readuntil(b"process_completed")
        heard += await ways[0].readuntil(b"\n\n")
        ways[1].close()
        if self._run.encode() not in heard or b'"success":true' not in heard.rsplit(b"data:", 1)[-1]:
            raise ValueError(f"the page did not open: {heard[-300:]!r}")

    async def watch(self, until: float, told: Told) -> None:
        """Asks for news until then."""
        heart = await self._connect()
        _write(heart, f"/gradio_api/heartbeat/{self._hash}")
        ways: _Ways | None = None
        while time.monotonic() + self._wait < until:
            await asyncio.sleep(self._wait)
            began = time.monotonic()
            try:
                ways, (status, headers, body) = await self._look(ways)
                if status not in (200, 204):
                    raise ValueError(f"status {status}")
                told.milliseconds.append(1000 * (time.monotonic() - began))
                if status == 200:
                    self._take(body)
                    told.fresh += 1
                told.shown.append((time.time(), self._step))
                self._wait = int(headers["next-ms"]) / 1000
            except (OSError, ValueError, LookupError, asyncio.IncompleteReadError) as error:
                told.errors.append(f"{type(error).__name__}: {error}")
                self._wait, ways = 1.0, None
        self._wait = max(0.0, time.monotonic() + self._wait - until)
        for one in (heart, ways):
            if one:
                one[1].close()

    async def _look(self, ways: _Ways | None) -> tuple[_Ways, tuple[int, dict[str, str], bytes]]:
        """Asks once; on a new connection when the server has let go of the old one, as browsers do."""
        path = f"/live/{self._run}?seen={self._tag}"
        if ways is not None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                return ways, await _ask(ways, path, gzipped=True)
            ways[1].close()
        ways = await self._connect()
        return ways, await _ask(ways, path, gzipped=True)

    def _take(self, body: bytes) -> None:
        tag, step = _TAG.search(body), _STEP.search(body)
        if tag is None or step is None:
            raise ValueError("an answer without tag or step")
        self._tag, self._step = tag[1].decode(), int(step[1])


def _write(ways: _Ways, path: str, body: bytes | None = None) -> None:
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n"
    head += "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    ways[1].write(head.encode() + b"\r\n" + (body or b""))


async def _ask(
    ways: _Ways,
    path: str,
    body: bytes | None = None,
    *,
    gzipped: bool = False,
) -> tuple[int, dict[str, str], bytes]:
    _write(ways, path, body)
    head = (await ways[0].readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        parts: list[bytes] = []
        while size := int(await ways[0].readline(), 16):
            parts.append(await ways[0].readexactly(size))
            await ways[0].readexactly(2)
        await ways[0].readexactly(2)
        said = b"".join(parts)
    else:
        said = await ways[0].readexactly(int(headers.get("content-length", 0)))
    zipped = gzipped and headers.get("content-encoding") == "gzip"
    return int(first.split()[1]), headers, gzip.decompress(said) if zipped else said


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def play(port: int, run: str, count: int) -> None:
    """Opens so many pages, and watches with all of them whenever a line on stdin says for how long."""
    sessions = [Session(port, run) for _ in range(count)]
    gate = asyncio.Semaphore(PAGES_AT_ONCE)

    async def open_one(session: Session) -> None:
        async with gate, asyncio.timeout(PAGE_SECONDS):
            await session.load()

    await asyncio.gather(*map(open_one, sessions))
    _say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        told, until = Told(), time.monotonic() + float(line)
        await asyncio.gather(*(session.watch(until, told) for session in sessions))
        _say(json.dumps(vars(told)))


if __name__ == "__main__":
    asyncio.run(play(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
