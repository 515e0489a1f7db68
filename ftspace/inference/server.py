"""Serves one run's base and tuned model as `base` and `tuned`, the OpenAI way, on a free port of 127.0.0.1.

More runs on the same base share its one copy, and each is served by its id.

`python -m ftspace.inference.server RUN_DIR [RUN_DIR ...]` reads the key that clients must show from the first line of
its standard input, says `{"port": N}` (or `{"error": "..."}`) on standard output when it is ready, and ends when
standard input does: so it cannot outlive the process that started it, however that one ends. Knows no job and no
screen.
"""

import asyncio
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from evals.errors import EvalError
from ftspace.errors import FtspaceError, ModelError
from ftspace.inference.protocol import (
    ApiError,
    ChatRequest,
    Finish,
    chunk,
    completion,
    model_list,
    parse_request,
)
from ftspace.runs import Run
from ftspace.settings import resolve_local
from ftspace.streams import guard

if TYPE_CHECKING:
    from ftspace.inference.generate import Generator, Written


class Endpoint:
    """The HTTP side of one Generator. Its only worker thread is what makes answers wait for one another."""

    def __init__(self, generator: "Generator", key: str) -> None:
        """`key` is the bearer token that every request must carry."""
        self._generator = generator
        self._key = key
        self._born = int(time.time())
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="generate")

    def app(self) -> Starlette:
        """The application to serve."""
        return Starlette(
            routes=[
                Route("/v1/models", self._models, methods=["GET"]),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
            ],
            exception_handlers={ApiError: _api_error, HTTPException: _http_error},
        )

    async def _models(self, request: Request) -> Response:
        self._authorize(request)
        return JSONResponse(model_list(self._born, self._generator.sides))

    async def _chat(self, request: Request) -> Response:
        self._authorize(request)
        chat = parse_request(await request.body())
        side = self._side(chat.model)
        ids, room = await asyncio.get_running_loop().run_in_executor(self._worker, self._generator.encode, chat)
        chat_id, created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
        answer = _Answer(self._generator, self._worker, side, ids, room, chat)
        if chat.stream:
            return StreamingResponse(_events(answer, chat_id, created), media_type="text/event-stream")
        text = "".join([piece async for piece in answer.pieces()])
        usage = (len(ids), answer.tokens)
        return JSONResponse(completion(chat_id, created, side, text, answer.finish, usage))

    def _side(self, model: str) -> str:
        sides = self._generator.sides
        if model in sides:
            return model
        said = f"there is no model {model!r} here; there are {', '.join(sides)}"
        raise ApiError(404, said, param="model", code="model_not_found")

    def _authorize(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(given.encode(), self._key.encode()):
            raise ApiError(401, "the API key is missing or wrong", code="invalid_api_key")


class _Answer:
    """One answer on its way from the generating thread to a client."""

    def __init__(
        self,
        generator: "Generator",
        worker: ThreadPoolExecutor,
        side: str,
        ids: list[int],
        room: int,
        chat: ChatRequest,
    ) -> None:
        self.side = side
        self.finish: Finish = "length"
        self.tokens = 0
        self._write = lambda tell, cancelled: generator.write(side, ids, room, chat, tell, cancelled)
        self._worker = worker

    async def pieces(self) -> AsyncGenerator[str]:
        """The text as it is written. Raises ApiError (500) when the model fails. Closing it ends the writing."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        cancelled = threading.Event()

        def tell(text: str | None) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, text)

        def write() -> "Written":
            try:
                return self._write(tell, cancelled)
            finally:
                tell(None)

        writing = loop.run_in_executor(self._worker, write)
        try:
            while (piece := await queue.get()) is not None:
                yield piece
            written = await _or_server_error(writing)
            self.finish, self.tokens = written.finish, written.tokens
        finally:
            cancelled.set()


async def _or_server_error(writing: Awaitable["Written"]) -> "Written":
    try:
        return await writing
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


def load(run: Run, *others: Run) -> "Generator":
    """The run's base with its adapter, and those of other runs on it. Raises EvalError or FtspaceError in one line."""
    from evals.adapters import add_adapters
    from evals.models import load_comparison
    from ftspace.inference.generate import Generator

    config = run.config
    for other in others:
        _require_same_base(run, other)
    local = resolve_local(config.model.id)
    model, tokenizer = load_comparison(
        config.model.id if local is None else local,
        run.adapter,
        revision=config.model.revision,
        dtype=config.model.dtype,
        device=config.train.device,
        quantization=config.model.quantization,
        trust_code=config.model.trust_code,
    )
    add_adapters(model, tokenizer, {other.id: other.adapter for other in others})
    return Generator(model, tokenizer)


def _require_same_base(run: Run, other: Run) -> None:
    for name in type(run.config.model).model_fields:
        ours, theirs = getattr(run.config.model, name), getattr(other.config.model, name)
        if ours != theirs:
            raise ModelError(
                f"runs {run.id} and {other.id} are not on the same base: model.{name} is {ours} and {theirs}; serve "
                "each by itself"
            )


def serve(run: Run, *others: Run) -> int:
    """Loads, says where it listens, and serves until standard input ends. Returns the exit status."""
    key = sys.stdin.readline().strip()
    if not key:
        sys.stderr.write("the first line of standard input must be the API key\n")
        return 2
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        generator = load(run, *others)
    except (EvalError, FtspaceError) as error:
        _say({"error": str(error)})
        return 2
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    _say({"port": listener.getsockname()[1]})
    config = uvicorn.Config(Endpoint(generator, key).app(), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def _say(word: dict[str, Any]) -> None:
    """One line to whoever started this; whatever prints afterwards goes where the log goes."""
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    guard()
    sys.exit(serve(*(Run(Path(folder).absolute()) for folder in sys.argv[1:])))
