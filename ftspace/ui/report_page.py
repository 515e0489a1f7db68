"""`GET /report/RUN`: what a run came to as a page of its own, read-only and light: it asks for nothing more.

Whoever may see the run may see it, which with sign-in is everybody once its owner shows it; behind a password it stays
behind that. `?texts=no` leaves questions and answers out, `?download=1` gives it as a file. It stands beside Gradio's
addresses, as live.py does, and is made once for all who ask within SECONDS.
"""

import gzip
import threading
import time
from asyncio import get_running_loop
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from evals.errors import LogError
from ftspace.errors import FtspaceError
from ftspace.report.command import report_html
from ftspace.runs import Run, RunStore
from ftspace.settings import Settings
from ftspace.ui.visitors import knows_password, visitor_of

SECONDS = 10.0
"""A report is made anew at most so often; reading 10,000 answers takes a second."""
_KEPT = 32
_NONE = "there is no such run here: it may have been deleted, or its owner shows it to nobody"
_DAMAGED = "the results of this run cannot be read; who has its machine sees why with: ftspace report"


class ReportPage:
    """Answers for the reports."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is made before somebody asks."""
        self._settings = settings
        self._store = RunStore(settings.runs_dir)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="report")
        self._made: OrderedDict[tuple[str, bool, str], tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def route(self) -> Route:
        """The address, for the app that serves the page."""
        return Route("/report/{run_id}", self.answer, methods=["GET"])

    async def answer(self, request: Request) -> Response:
        """The page; 401 without the password, 404 for a run that is none or not the visitor's to see."""
        if not await knows_password(request):
            return PlainTextResponse("open the app and give its password first", 401)
        visitor = visitor_of(request, self._settings)
        try:
            run = self._store.visible(request.path_params["run_id"], visitor)
            texts = request.query_params.get("texts") != "no"
            zipped = await get_running_loop().run_in_executor(self._thread, self._page, run, texts, self._link(request))
        except FtspaceError:
            return PlainTextResponse(_NONE, 404)
        except LogError:
            return PlainTextResponse(_DAMAGED, 500)
        headers = {"cache-control": "no-store", "vary": "accept-encoding"}
        if request.query_params.get("download"):
            headers["content-disposition"] = f'attachment; filename="report-{run.id}.html"'
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(zipped, headers=headers | {"content-encoding": "gzip"}, media_type="text/html")
        return Response(gzip.decompress(zipped), headers=headers, media_type="text/html")

    def _link(self, request: Request) -> str:
        """The address of this app as others reach it; "" where that is this machine only."""
        settings = self._settings
        if settings.space_id is not None and settings.hosts:
            return f"https://{settings.hosts[0]}"
        return "" if request.url.hostname in ("localhost", "127.0.0.1", "::1") else str(request.base_url).rstrip("/")

    def _page(self, run: Run, texts: bool, link: str) -> bytes:
        """A report, zipped. Raises JobError, LogError."""
        key = (run.id, texts, link)
        with self._lock:
            made, page = self._made.get(key, (0.0, b""))
            if page and time.monotonic() - made < SECONDS:
                return page
        html = report_html(run, texts=texts, link=link and f"{link}/?run={run.id}")
        page = gzip.compress(html.encode(), compresslevel=6, mtime=0)
        with self._lock:
            self._made[key] = (time.monotonic(), page)
            self._made.move_to_end(key)
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return page
