import asyncio
import gzip
from typing import Any

import brotli
import pytest

from ftspace.ui import lighter
from ftspace.ui.lighter import Lighter

PAGE = b"<p>the page</p>" * 500


async def app(scope: Any, receive: Any, send: Any) -> None:
    status = 404 if "missing" in scope["path"] else 200
    headers = [(b"content-type", b"text/html"), (b"content-length", str(len(PAGE)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE})


def asked(
    path: str, accepts: bytes = b"gzip, br", by: Lighter | None = None, more: tuple[bytes, bytes] | None = None
) -> tuple[dict[str, str], bytes]:
    """The headers and the body of an answer, to which what stands before it adds a header, as the gate does."""
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if "headers" in message:
            message["headers"].append((b"x-hardened", b"yes"))
        told.append(message)

    sent = [(b"accept-encoding", accepts), *([more] if more else [])]
    scope = {"type": "http", "method": "GET", "path": path, "headers": sent}
    asyncio.run((by or Lighter(app))(scope, receive, send))
    names = [name.lower() for name, _ in told[0]["headers"]]
    assert len(names) == len(set(names))
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


def counted() -> tuple[Lighter, list[str]]:
    """One before the app, and what it asked the app for."""
    made: list[str] = []

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        made.append(scope["path"])
        await app(scope, receive, send)

    return Lighter(noted), made


def test_a_file_is_made_once_for_all_who_read_it_alike() -> None:
    kept, made = counted()
    first = asked("/assets/index.js", by=kept)
    assert first[0]["content-encoding"] == "br" and brotli.decompress(first[1]) == PAGE
    assert first[0]["content-length"] == str(len(first[1]))
    assert asked("/assets/index.js", by=kept) == first
    assert asked("/assets/index.js", by=kept) == first
    assert len(made) == 1
    asked("/assets/index.js", b"identity", kept)
    asked("/assets/index.js", by=kept, more=(b"range", b"bytes=0-3"))
    for path in ("/assets/missing.js", "/live/run"):
        asked(path, by=kept)
        asked(path, by=kept)
    assert len(made) == 7


def test_memory_for_files_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lighter, "MOST", 2 * len(asked("/assets/0.js")[1]))
    kept, made = counted()
    for _ in range(2):
        for place in range(3):
            asked(f"/assets/{place}.js", by=kept)
    assert made == ["/assets/0.js", "/assets/1.js", "/assets/2.js", "/assets/2.js"]
