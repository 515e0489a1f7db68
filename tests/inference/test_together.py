"""Answers that are stopped, or that never end by themselves: whoever asks gets away from them."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ftspace.inference import together
from ftspace.inference.together import Asked, SideFailed, ask_together
from tests.loopback_hub.serving import serve


class Endless:
    """Says a word at once, and then nothing for long, or the same for ever."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.left = threading.Event()
        """Whether whoever asked has gone."""
        self._routes = Starlette(routes=[Route("/v1/chat/completions", self._answer, methods=["POST"])])

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._routes(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        return StreamingResponse(self._words(), media_type="text/event-stream")

    async def _words(self) -> AsyncGenerator[str]:
        line = json.dumps({"id": "x", "choices": [{"index": 0, "delta": {"content": "more "}}]})
        try:
            while True:
                yield f"data: {line}\n\n"
                await asyncio.sleep(30 if self.silent else 0.01)
        finally:
            self.left.set()


def test_a_silent_model_is_left_as_soon_as_somebody_stops_it() -> None:
    elsewhere, stop = Endless(silent=True), threading.Event()
    with serve(elsewhere) as address:
        pieces = ask_together([Asked("far", f"{address}/v1", "m", [], {})], stop=stop)
        assert next(pieces) == ("far", "more ")
        asking = [one for one in threading.enumerate() if one.name.startswith("ask")]
        assert asking and all(one.daemon for one in asking)
        threading.Timer(0.1, stop.set).start()
        began = time.monotonic()
        assert list(pieces) == [] and time.monotonic() - began < 5
        assert elsewhere.left.wait(5)


@pytest.mark.parametrize(("limit", "least"), [("LETTERS", 20), ("WHOLE_SECONDS", 0.5)])
def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch, limit: str, least: float) -> None:
    monkeypatch.setattr(together, limit, least)
    cut: set[str] = set()
    with serve(Endless(silent=False)) as address:
        *pieces, last = ask_together([Asked("far", f"{address}/v1", "m", [], {})], cut)
    if limit == "LETTERS":
        assert len(pieces) == 4 and last == ("far", "") and cut == {"far"}
    else:
        assert isinstance(last, SideFailed) and "did not end" in last.message and not cut
