"""The gate before Gradio's routes: which may be called, from which pages, and who calls. Knows requests, and no widget.

Gradio serves far more than this page uses, reflects any Origin with credentials, and hands out every cached file to
whoever knows its path. The gate stands innermost, behind the session: what it refuses reaches no handler.
"""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import gradio
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ftspace.errors import JobError
from ftspace.runs import RunStore
from ftspace.settings import UPLOAD_MAX_BYTES, Settings
from ftspace.ui.limits import Limits, TooOftenError
from ftspace.ui.visitors import SignIns, introduce, visitor_of

_OURS = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/pwa_icon(/\d+)?|/(static|assets|svelte)/.*"
    r"|/live/[^/]+|/login/?|/login/huggingface|/login/callback|/logout"
    r"|/gradio_api/(queue/(join|data|status)|run/predict/?|cancel|reset/?|heartbeat/[^/]+|upload|upload_progress|file=.+"
    r"|info/?|app_id/?|user/?|login_check/?|startup-events|theme\.css)"
)
"""What the page calls; all else that Gradio serves is not there."""
_FILE = "/gradio_api/file="
_DOWNLOAD = re.compile(r"results-(\d{8}-\d{6}-[0-9a-f]{12})\.(csv|md|json)")
_GRADIO = Path(gradio.__file__).resolve().parent
_HERE = ("localhost", "127.0.0.1", "::1")
_SLACK = 1_000_000
"""Bytes of an upload that are not its file's."""


def download_name(run_id: str, suffix: str) -> str:
    """What a file of a run's results is called, so that the gate knows whose it is."""
    return f"results-{run_id}.{suffix}"


class Gate:
    """ASGI middleware for one app."""

    def __init__(self, app: ASGIApp, settings: Settings, shared_at: Callable[[], str | None]) -> None:
        """`shared_at` gives the address of the public link, once there is one."""
        self._app = app
        self._settings = settings
        self._store = RunStore(settings.runs_dir)
        self._shared_at = shared_at
        self._sign_ins = SignIns()
        self._limits = Limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers or passes on one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page has no websockets
            await send({"type": "websocket.close", "code": 1008})
            return
        session = scope.get("session", {}) if self._settings.sign_in else {}
        if scope["path"] == "/logout":
            self._sign_ins.end(session)
        introduce(scope, self._sign_ins.of(session))
        refusal = self._refusal(Request(scope))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                if scope["path"] == "/login/callback":
                    self._sign_ins.take_in(session)
                self._harden(MutableHeaders(scope=message))
            await send(message)

        await (refusal or self._app)(scope, receive, answer)

    def _refusal(self, request: Request) -> Response | None:
        """The answer to a request that is not let through."""
        path = request.scope["path"]
        if not self._is_from_here(request):
            return PlainTextResponse("requests from other sites are refused", 403)
        if not _OURS.fullmatch(path):
            return PlainTextResponse("there is nothing here", 404)
        if path.startswith(_FILE):
            return None if self._may_have(path.removeprefix(_FILE), request) else PlainTextResponse("no such file", 404)
        try:
            if path.startswith("/gradio_api/upload") and request.method == "POST":
                return self._refused_upload(request)
            if path.startswith("/login") and request.method == "POST":
                self._limits.take("password", _address(request))
        except TooOftenError as error:
            return PlainTextResponse(str(error), 429)
        return None

    def _is_from_here(self, request: Request) -> bool:
        """Whether the page that sends a request, if one does, is ours; and whether its address can be."""
        host, settings = request.headers.get("host", ""), self._settings
        if settings.is_loopback and not settings.password and _name(host) not in (*_HERE, settings.host):
            return False  # a name of somebody's own that was pointed at this machine
        origin = request.headers.get("origin")
        if origin is None:
            return True
        shared = self._shared_at()
        ours = [host, *settings.space_hosts, *([_authority(shared)] if shared else [])]
        asked = _bare(_authority(origin))
        return bool(asked) and asked in map(_bare, ours)

    def _may_have(self, file: str, request: Request) -> bool:
        """Whether a file is one of the page's own, or of a run that the visitor may see."""
        download = _DOWNLOAD.fullmatch(PurePosixPath(file).name)
        if download is None:
            path = Path(file)
            return path.is_absolute() and path.suffix == ".svg" and path.resolve().is_relative_to(_GRADIO)
        try:
            return visitor_of(request, self._settings).may_see(self._store.get(download[1]).access)
        except JobError:
            return False

    def _refused_upload(self, request: Request) -> Response | None:
        visitor = visitor_of(request, self._settings)
        if not visitor.may_start:
            return PlainTextResponse("only those who may start runs here can upload files", 403)
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > UPLOAD_MAX_BYTES + _SLACK:
            return PlainTextResponse(f"an upload may have {UPLOAD_MAX_BYTES / 1e6:,.0f} MB, and must say how many", 413)
        self._limits.take("upload", visitor.name)
        return None

    def _harden(self, headers: MutableHeaders) -> None:
        frames = " https://huggingface.co https://*.hf.space" if self._settings.space_id is not None else ""
        headers["Content-Security-Policy"] = f"frame-ancestors 'self'{frames}; object-src 'none'; base-uri 'self'"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _authority(url: str) -> str:
    """Host and port of an address; "" where it has none, as the Origin `null` of a page without one."""
    return url.partition("://")[2].partition("/")[0]


def _bare(authority: str) -> str:
    """An authority without the port that goes without saying."""
    return re.sub(r":(80|443)$", "", authority.casefold())


def _name(authority: str) -> str:
    """The host of an authority, without port and brackets."""
    return re.sub(r":\d*$", "", authority.casefold()).strip("[]")
