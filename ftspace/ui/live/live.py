"""`GET /live/RUN?seen=TAG`: what is new of a run, for the script of an open page (live.js); `?as=csv`: all its numbers.

204 when what the page has is what there is, else JSON, made once for all who watch the run (following.py). It stands
beside Gradio's own addresses and asks for the same cookie as they do, but goes around its queue: a look at what is
ready costs no thread, so a few hundred pages are no load. The header Next-Ms says when to come again: all pages
together come at most RATE times a second, and as often those of visitors without a name, who wait for each other only.
"""

import gzip
import threading
import time
from asyncio import get_running_loop
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ftspace.errors import FtspaceError
from ftspace.report.history import as_csv
from ftspace.settings import Settings
from ftspace.ui.live.following import Follower, Followers
from ftspace.ui.visitors import knows_password, visitor_of

RATE = 6.0
"""Answers a second, to all pages together: six pages come every second, 60 every ten. A training on the same processors
feels every answer (docs/benchmarks.md)."""
SOONEST, LATEST = 1.0, 30.0
"""Seconds after which a page comes again: with few pages open, and with any number."""
KEEP_SECONDS = 60
"""For so long the server keeps a page's connection: longer than LATEST, for a new one costs more than an answer."""


class Turns:
    """When each page is to come again: one after the other, so that they never come all at once."""

    def __init__(self, rate: float = RATE) -> None:
        """The first may come at once."""
        self._gap = 1 / rate
        self._next = 0.0
        self._lock = threading.Lock()

    def take(self, now: float) -> float:
        """Seconds from now to the turn that this gives away."""
        with self._lock:
            turn = min(max(now + SOONEST, self._next), now + LATEST)
            self._next = turn + self._gap
        return turn - now


class LiveView:
    """Answers the pages' scripts."""

    def __init__(self, followers: Followers, settings: Settings) -> None:
        """Shares the followers with the page's handlers."""
        self._followers = followers
        self._settings = settings
        self._turns = {"named": Turns(), "nameless": Turns()}
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="live")
        self._numbers = ThreadPoolExecutor(1, thread_name_prefix="numbers")

    @property
    def route(self) -> Route:
        """The address, for the app that serves the page."""
        return Route("/live/{run_id}", self.answer, methods=["GET"])

    async def answer(self, request: Request) -> Response:
        """What is new of a run; 401 without the password, 404 for a run that is none or not the visitor's to see."""
        if not await knows_password(request):
            return Response(status_code=401)
        try:
            follower = self._followers.of(request.path_params["run_id"])
            if request.query_params.get("as") == "csv":
                return await self._csv(request, follower)
            made = follower.at_hand or await get_running_loop().run_in_executor(self._threads, follower.look)
        except FtspaceError:
            self._followers.forget(request.path_params["run_id"])
            return Response(status_code=404)
        visitor = visitor_of(request, self._settings)
        if not visitor.may_see(follower.run.access):  # as it is now, not as it was made
            return Response(status_code=404)
        wait = SOONEST
        if not (self._settings.sign_in and visitor.may_change(follower.run.access)):  # a run's owner comes first
            wait = self._turns["named" if visitor.name else "nameless"].take(time.monotonic())
        headers = {"cache-control": "no-store", "next-ms": f"{1000 * wait:.0f}"}
        if request.query_params.get("seen") == made.tag:
            return Response(status_code=204, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers |= {"content-encoding": "gzip", "vary": "accept-encoding"}
            return Response(made.zipped, headers=headers, media_type="application/json")
        return Response(made.plain, headers=headers, media_type="application/json")

    async def _csv(self, request: Request, follower: Follower) -> Response:
        """All that the run has told of its steps, as a file. Raises JobError when the run is gone."""
        if not visitor_of(request, self._settings).may_see(follower.run.access):
            return Response(status_code=404)
        zipped = await get_running_loop().run_in_executor(self._numbers, _numbers_of, follower)
        headers = {
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="steps-{follower.run.id}.csv"',
            "vary": "accept-encoding",
        }
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(zipped, headers=headers | {"content-encoding": "gzip"}, media_type="text/csv")
        return Response(gzip.decompress(zipped), headers=headers, media_type="text/csv")


def _numbers_of(follower: Follower) -> bytes:
    return gzip.compress("".join(as_csv(follower.numbers())).encode(), compresslevel=4, mtime=0)
