"""The HTTP side of one loaded base: OpenAI's chat protocol for all its sides. Loads adapters when first asked.

All work on the model goes through one thread, a token at a time: whoever waits comes next, so that answers are written
side by side. An answer whose connection is closed is written no further, and disturbs no other.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from collections.abc import Generator as Steps
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from evals.errors import EvalError
from ftspace.errors import FtspaceError
from ftspace.inference.protocol import (
    ApiError,
    Finish,
    chunk,
    completion,
    model_list,
    parse_load,
    parse_request,
)
from ftspace.inference.shelf import Shelf

if TYPE_CHECKING:
    from ftspace.inference.generate import Generator, Written


_T = TypeVar("_T")


class Endpoint:
    """One Generator and what may be loaded beside it. Its only worker thread takes turns from token to token."""

    def __init__(self, generator: "Generator", shelf: Shelf, key: str) -> None:
        """`key` is the bearer token that every request must carry."""
        self._generator = generator
        self._shelf = shelf
        self._key = key
        self._born = int(time.time())
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="generate")

    def app(self) -> Starlette:
        """The application to serve."""
        return Starlette(
            routes=[
                Route("/v1/models", self._models, methods=["GET"]),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/load_lora_adapter", self._load, methods=["POST"]),
            ],
            exception_handlers={ApiError: _api_error, HTTPException: _http_error},
        )

    async def _models(self, request: Request) -> Response:
        self._authorize(request)
        return JSONResponse(model_list(self._born, self._names()))

    async def _load(self, request: Request) -> Response:
        self._authorize(request)
        wanted = parse_load(await request.body())
        name = self._shelf.name_of(wanted.lora_path)
        if name is None:
            said = f"{wanted.lora_path} is no folder that this server was started for; start it with --also RUN"
            raise ApiError(403, said, param="lora_path")
        if wanted.lora_name != name:
            raise ApiError(400, f"that adapter is called {name} here", param="lora_name")
        await self._in_turn(lambda: self._have(name))
        return JSONResponse({"id": name, "object": "model", "created": self._born, "owned_by": "ftspace"})

    async def _chat(self, request: Request) -> Response:
        self._authorize(request)
        chat = parse_request(await request.body())
        side = chat.model
        if side not in self._names():
            said = f"there is no model {side!r} here; there are {', '.join(self._names())}"
            raise ApiError(404, said, param="model", code="model_not_found")
        await self._in_turn(lambda: self._have(side))
        ids, room = await self._in_turn(lambda: self._generator.encode(chat))
        chat_id, created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
        answer = _Answer(side, self._generator.write(side, ids, room, chat), self._worker)
        if chat.stream:
            return StreamingResponse(_events(answer, chat_id, created), media_type="text/event-stream")
        text = ""
        pieces = answer.pieces()
        async for piece in pieces:
            text += piece
            if await request.is_disconnected():
                await pieces.aclose()
        return JSONResponse(completion(chat_id, created, side, text, answer.finish, (len(ids), answer.tokens)))

    def _names(self) -> list[str]:
        there = self._generator.sides
        return [name for name in self._shelf.names() if name in there or name not in ("base", "tuned")]

    def _have(self, side: str) -> None:
        """Loads a side that is not loaded. Raises ApiError."""
        if side in self._generator.sides:
            return
        try:
            with self._shelf.adapter(side) as folder:
                self._generator.add(side, folder)
        except (EvalError, FtspaceError) as error:
            raise ApiError(400, f"{side} cannot be asked: {error}", param="model") from error

    async def _in_turn(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _authorize(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(given.encode(), self._key.encode()):
            raise ApiError(401, "the API key is missing or wrong", code="invalid_api_key")


class _Answer:
    """One answer on its way from the generating thread to a client."""

    def __init__(self, side: str, steps: "Steps[str, None, Written]", worker: ThreadPoolExecutor) -> None:
        self.side = side
        self.finish: Finish = "length"
        self.tokens = 0
        self._steps = steps
        self._worker = worker

    async def pieces(self) -> AsyncGenerator[str]:
        """The text as it is written. Raises ApiError (500) when the model fails. Closing it ends the writing."""
        loop = asyncio.get_running_loop()
        try:
            while (piece := await _or_server_error(loop.run_in_executor(self._worker, self._step))) is not None:
                if piece:
                    yield piece
        finally:
            self._worker.submit(self._steps.close)

    def _step(self) -> str | None:
        """The next token's text; None at the end."""
        try:
            return next(self._steps)
        except StopIteration as end:
            written: Written = end.value
            self.finish, self.tokens = written.finish, written.tokens
            return None


async def _or_server_error(step: Awaitable[str | None]) -> str | None:
    try:
        return await step
    except (RuntimeError, ValueError) as error:  # torch's, out of memory and not-a-number included
        raise ApiError(500, f"the model failed: {' '.join(str(error).split())[:300]}") from error


async def _events(answer: _Answer, chat_id: str, created: int) -> AsyncGenerator[str]:
    try:
        async for piece in answer.pieces():
            yield _event(chunk(chat_id, created, answer.side, piece))
        yield _event(chunk(chat_id, created, answer.side, finish=answer.finish))
    except ApiError as error:
        yield _event(error.body())
    yield "data: [DONE]\n\n"


def _event(data: Any) -> str:
    return f"data: {json.dumps(data)}\n\n"


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), status_code=error.status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse(
        ApiError(error.status_code, f"{request.method} {request.url.path}: {error.detail}").body(),
        status_code=error.status_code,
    )
