"""An ASGI app on this machine's loopback address, in a thread."""

import asyncio
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol


class Served(Protocol):
    """What can be served."""

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        ...


class _Reachable(H11Protocol):
    """Lets the app end the connection: it lies in the scope's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


@contextmanager
def serve(hub: Served, port: int = 0) -> Generator[str]:
    """The hub, or another such app, on a free port of 127.0.0.1 for as long as the context lasts; gives its address."""
    config = uvicorn.Config(hub.app, port=port, interface="asgi3", lifespan="off", log_level="warning", http=_Reachable)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
