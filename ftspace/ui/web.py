"""The gate before Gradio's routes: which may be called, from which pages, and who calls. Knows requests, and no widget.

Gradio serves far more than this page uses, reflects any Origin with credentials, and hands out every cached file to
whoever knows its path. The gate stands innermost, behind the session: what it refuses reaches no handler.
"""

import asyncio
import ipaddress
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

import gradio
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ftspace.errors import JobError
from ftspace.runs import RunStore
from ftspace.settings import UPLOAD_MAX_BYTES, Settings
from ftspace.ui.limits import Limits, TooOftenError
from ftspace.ui.visitors import SignIns, introduce, visitor_of

NAMED = ("start", "runs", "status", "stop", "resume", "results", "answers", "ask", "push", "config")
"""What scripts may call by name; all other handlers are the page's."""
_OURS = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/pwa_icon(/\d+)?|/(static|assets|svelte)/.*"
    r"|/(live|report|language)/[^/]+|/export/[^/]+/[a-z]+|/login/?|/login/huggingface|/login/callback|/logout"
    r"|/gradio_api/(queue/(join|data|status)|run/predict/?|cancel|reset/?|heartbeat/[^/]+|upload|upload_progress|file=.+"
    r"|info/?|app_id/?|user/?|login_check/?|startup-events|theme\.css"
    rf"|call/({'|'.join(NAMED)})(/[0-9a-f]{{1,64}})?)"
)
"""What the page calls; all else that Gradio serves is not there."""
_FILE = "/gradio_api/file="
_RUN = r"(\d{8}-\d{6}-[0-9a-f]{12})"
_DOWNLOAD = re.compile(rf"results-{_RUN}\.(?:csv|md|json)")
_ANSWERS = re.compile(rf"answers-{_RUN}\.(?:csv|parquet)")
_GRADIO = Path(gradio.__file__).resolve().parent
_CALLS = (
    *(f"/gradio_api/{one}" for one in ("queue/join", "run/predict", "run/predict/")),
    *(f"/gradio_api/call/{name}" for name in NAMED),
)
_ELSEWHERE = "requests from other sites are refused; an app that has another name, too, is told so in FTSPACE_ORIGINS"
_LOGINS = ("/login", "/login/")
_HERE = ("localhost", "127.0.0.1", "::1")
_SLACK = 1_000_000
"""Bytes of an upload that are not its file's."""
_MOST, _MOST_LOGIN = 2_000_000, 10_000
"""Bytes of any other request, and of one with a password: Gradio reads them into memory, whoever sends them."""
WRONG_SECONDS = 2.0
"""For so long a wrong password's answer is held back, and with it those that were sent after it."""
SHARED_LINES = 8
"""Passwords looked at at once where many people may have the same address."""


def download_name(run_id: str, suffix: str) -> str:
    """What a file of a run's results is called, so that the gate knows whose it is."""
    return f"results-{run_id}.{suffix}"


def answers_name(run_id: str, suffix: str) -> str:
    """The same of a file of all its answers, which only its owner may have: prompts may hold training rows."""
    return f"answers-{run_id}.{suffix}"


class Gate:
    """ASGI middleware for one app."""

    def __init__(self, app: ASGIApp, settings: Settings, shared_at: Callable[[], str | None], downloads: Path) -> None:
        """`shared_at` gives the address of the public link, once there is one; results lie in `downloads`."""
        self._app = app
        self._settings = settings
        self._store = RunStore(settings.runs_dir)
        self._shared_at = shared_at
        self._downloads = downloads
        self._sign_ins = SignIns()
        self._limits = Limits()
        self._lines = WeakValueDictionary[str, asyncio.Semaphore]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers or passes on one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page has no websockets
            await send({"type": "websocket.close", "code": 1008})
            return
        session = scope.get("session", {}) if self._settings.sign_in else {}
        introduce(scope, self._sign_ins.of(session))
        request = Request(scope, receive)
        logs_in = bool(self._settings.password) and request.method == "POST" and scope["path"] in _LOGINS
        refusal = self._refusal(request)
        calls = request.method == "POST" and scope["path"] in _CALLS
        if refusal is None and (logs_in or calls or "transfer-encoding" in request.headers):
            most = _MOST_LOGIN if logs_in else _MOST
            body = await _read(request, most)
            refusal = _too_long(most) if body is None else None
            if body and calls and _names_a_url(body):
                refusal = PlainTextResponse("a file is uploaded, not fetched from elsewhere", 403)
            receive = _again(body or b"", receive)
        if refusal is None and scope["path"] == "/logout":
            self._sign_ins.end(session)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                if scope["path"] == "/login/callback":
                    self._sign_ins.take_in(session)
                if logs_in and message["status"] == 400:
                    await asyncio.sleep(WRONG_SECONDS)
                self._harden(MutableHeaders(scope=message))
            await send(message)

        if refusal or not logs_in:
            await (refusal or self._app)(scope, receive, answer)
            return
        async with self._line(request):
            if not await request.is_disconnected():
                await self._app(scope, receive, answer)

    def _refusal(self, request: Request) -> Response | None:
        """The answer to a request that is not let through."""
        path, headers, posts = request.scope["path"], request.headers, request.method == "POST"
        if not self._is_from_here(request):
            return PlainTextResponse(_ELSEWHERE, 403)
        if not _OURS.fullmatch(path):
            return PlainTextResponse("there is nothing here", 404)
        if path == "/logout" and headers.get("sec-fetch-site") == "cross-site" and "origin" not in headers:
            return PlainTextResponse("another site may sign nobody out", 403)
        if path.startswith(_FILE):
            return None if self._may_have(path.removeprefix(_FILE), request) else PlainTextResponse("no such file", 404)
        try:
            if path == "/gradio_api/upload" and posts:
                return self._refused_upload(request)
            if _length(request) > _MOST:
                return _too_long(_MOST)
            if path in _CALLS and posts and self._settings.sign_in:
                self._limits.take("call", visitor_of(request, self._settings).name)
        except TooOftenError as error:
            return PlainTextResponse(str(error), 429)
        return None

    def _is_from_here(self, request: Request) -> bool:
        """Whether the page that sends a request, if one does, is ours; and whether its address can be."""
        host, settings = request.headers.get("host", ""), self._settings
        here = (*_HERE, settings.host, *map(_name, settings.hosts))
        if settings.is_loopback and not settings.password and _name(host) not in here:
            return False  # a name of somebody's own that was pointed at this machine
        origin = request.headers.get("origin")
        if origin is None:
            return True
        shared = self._shared_at()
        ours = [host, *settings.hosts, *([_authority(shared)] if shared else [])]
        asked = _bare(_authority(origin))
        return bool(asked) and asked in map(_bare, ours)

    def _may_have(self, file: str, request: Request) -> bool:
        """Whether a file is one of the page's own, or of a run that the visitor may see, or of one of his own."""
        answers = _ANSWERS.fullmatch(Path(file).name)
        download = answers or _DOWNLOAD.fullmatch(Path(file).name)
        if download is None:
            return file.endswith(".svg") and _lies_in(file, _GRADIO)
        try:
            access = self._store.get(download[1]).access
        except JobError:
            return False
        visitor = visitor_of(request, self._settings)
        may = visitor.may_change(access) if answers else visitor.may_see(access)
        return may and _lies_in(file, self._downloads)

    def _refused_upload(self, request: Request) -> Response | None:
        visitor = visitor_of(request, self._settings)
        if not visitor.may_start:
            return PlainTextResponse("only those who may start runs here can upload files", 403)
        if not 0 <= _length(request) <= UPLOAD_MAX_BYTES + _SLACK or "transfer-encoding" in request.headers:
            return PlainTextResponse(f"an upload may have {UPLOAD_MAX_BYTES / 1e6:,.0f} MB, and must say how many", 413)
        if self._settings.sign_in:  # elsewhere the owner's are counted once the password was seen
            self._limits.take("upload", visitor.name)
        return None

    def _line(self, request: Request) -> asyncio.Semaphore:
        """Where a password's turn is awaited: one after the other from one address, a few at once where many share it.

        Nobody's is refused, so that nobody can have the owner's refused; a line is as long as connections are open.
        """
        address = request.client.host if request.client else ""
        try:
            found = ipaddress.ip_address(address)
            shared = self._settings.space_id is not None or not found.is_global
            if found.version == 6 and not shared:
                address = str(ipaddress.ip_network((found, 64), strict=False))
        except ValueError:
            shared = True
        return self._lines.setdefault(address, asyncio.Semaphore(SHARED_LINES if shared else 1))

    def _harden(self, headers: MutableHeaders) -> None:
        frames = " https://huggingface.co https://*.hf.space" if self._settings.space_id is not None else ""
        headers["Content-Security-Policy"] = f"frame-ancestors 'self'{frames}; object-src 'none'; base-uri 'self'"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"


def _length(request: Request) -> int:
    """Bytes that a request says its body has; -1 when it does not say."""
    length = request.headers.get("content-length", "")
    return int(length) if re.fullmatch(r"[0-9]{1,18}", length) else -1


async def _read(request: Request, most: int) -> bytes | None:
    """The body of a request; None when it is longer than that."""
    body = bytearray()
    with suppress(ClientDisconnect):
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                return None
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already, and then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _names_a_url(body: bytes) -> bool:
    """Whether a call's arguments have a file that lies elsewhere: Gradio would fetch it, for whoever asks."""
    try:
        left = [json.loads(body)]
    except (ValueError, RecursionError):  # Gradio cannot read it either
        return False
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if "meta" in one and "://" in str(one.get("path")):
                return True
            left += one.values()
        elif isinstance(one, list):
            left += one
    return False


def _too_long(most: int) -> Response:
    return PlainTextResponse(f"that is more than the {most:,} bytes that a request may have", 413)


def _lies_in(file: str, folder: Path) -> bool:
    """Whether a file is named by its place on this machine, and that is in a folder."""
    try:
        return file.startswith("/") and Path(file).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # too long, a ring of links, a NUL
        return False


def _authority(url: str) -> str:
    """Host and port of an address; "" where it has none, as the Origin `null` of a page without one."""
    return url.partition("://")[2].partition("/")[0]


def _bare(authority: str) -> str:
    """An authority without the port that goes without saying."""
    return re.sub(r":(80|443)$", "", authority.casefold())


def _name(authority: str) -> str:
    """The host of an authority, without port and brackets."""
    return re.sub(r":\d*$", "", authority.casefold()).strip("[]")
