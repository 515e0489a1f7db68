import asyncio
import gzip
from typing import Any

import pytest

from ftspace.ui.lighter import Lighter

PAGE = b"<p>the page</p>" * 500


async def app(scope: Any, receive: Any, send: Any) -> None:
    status = 404 if "missing" in scope["path"] else 200
    headers = [(b"content-type", b"text/html"), (b"content-length", str(len(PAGE)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE})


def asked(path: str, accepts: bytes = b"gzip, br") -> tuple[dict[str, str], bytes]:
    """The headers and the body of an answer."""
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"accept-encoding", accepts)]}
    asyncio.run(Lighter(app)(scope, receive, send))
    headers = {name.decode().lower(): value.decode() for name, value in told[0]["headers"]}
    return headers, b"".join(one.get("body", b"") for one in told[1:])


def test_the_page_goes_out_compressed_to_who_can_read_that() -> None:
    headers, body = asked("/")
    assert headers["content-encoding"] == "gzip" and gzip.decompress(body) == PAGE
    headers, body = asked("/", b"identity")
    assert "content-encoding" not in headers and body == PAGE


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/assets/index-DiEEvXS6.css", True), ("/assets/missing.js", False), ("/", False), ("/live/run", False)],
)
def test_only_what_is_named_by_its_content_is_kept_by_browsers(path: str, kept: bool) -> None:
    assert ("immutable" in asked(path)[0].get("cache-control", "")) is kept
