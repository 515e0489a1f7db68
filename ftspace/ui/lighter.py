"""Lets a page come faster: its HTML goes out compressed, and Gradio's scripts are asked for once. Knows no widget.

Gradio compresses what has a file's ending, which the page itself has not, and has each of a hundred files asked for
anew at each visit, although their names change with what is in them.
"""

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEVEL = 4
"""How hard the page is compressed: to a fifth, in some milliseconds."""
_NAMED_BY_CONTENT = "/assets/"
_CATALOGUES = "/language/"


class Lighter:
    """ASGI middleware for one app."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` answers."""
        self._app = app
        self._page = GZipMiddleware(app, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        path = scope.get("path", "")
        if path == "/" or path.startswith(_CATALOGUES):
            await self._page(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                MutableHeaders(scope=message)["Cache-Control"] = "public, max-age=31536000, immutable"
            await send(message)

        await self._app(scope, receive, answer if path.startswith(_NAMED_BY_CONTENT) else send)
