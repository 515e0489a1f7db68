"""Lets a page come faster: its HTML goes out compressed, and Gradio's scripts are asked for once. Knows no widget.

Gradio compresses what has a file's ending, which the page itself has not, and has each of a hundred files asked for
anew at each visit, although their names change with what is in them. Each time it reads and compresses them again, so
what went out once is kept here as it went out.
"""

from gradio.brotli_middleware import BrotliMiddleware
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEVEL = 4
"""How hard the page is compressed: to a fifth, in some milliseconds."""
FILE_LEVEL = 9
"""How hard a file is, by brotli: that is done once."""
MOST = 16_000_000
"""Bytes of files that are kept in memory; a page needs about one million."""
_NAMED_BY_CONTENT = "/assets/"
_IN_PART = ("range", "if-none-match", "if-modified-since")
"""Headers of requests whose answer depends on more than the file."""
_Sent = tuple[Message, bytes]
_Key = tuple[str, bool, bool]
_CATALOGUES = "/language/"


class Lighter:
    """ASGI middleware for one app."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` answers."""
        self._app = app
        self._page = GZipMiddleware(app, compresslevel=LEVEL)
        self._files = BrotliMiddleware(app, quality=FILE_LEVEL)
        self._kept: dict[_Key, _Sent] = {}
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        path = scope.get("path", "")
        if path == "/" or path.startswith(_CATALOGUES):
            await self._page(scope, receive, send)
        elif path.startswith(_NAMED_BY_CONTENT):
            await self._file(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _file(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        whole = scope["method"] == "GET" and not any(name in headers for name in _IN_PART)
        accepted = headers.get("accept-encoding", "")
        key = (scope["path"], "br" in accepted, "gzip" in accepted)
        if whole and (kept := self._kept.get(key)):
            start, body = kept
            await send(_copied(start))
            await send({"type": "http.response.body", "body": body})
            return
        started: list[Message] = []
        parts: list[bytes] = []

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                MutableHeaders(scope=message)["Cache-Control"] = "public, max-age=31536000, immutable"
                started.append(_copied(message))
            elif message["type"] == "http.response.body" and started and whole:
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    self._keep(key, (started[0], b"".join(parts)))
            await send(message)

        await self._files(scope, receive, answer)

    def _keep(self, key: _Key, sent: _Sent) -> None:
        if key not in self._kept and self._bytes + len(sent[1]) <= MOST:
            self._kept[key] = sent
            self._bytes += len(sent[1])


def _copied(start: Message) -> Message:
    """The beginning of an answer, of its own: what stands before this adds headers to what it sends on."""
    return {**start, "headers": list(start["headers"])}
