"""What a page does in a browser, counted: requests, calls of handlers, and what Gradio's script tells its widgets."""

import re
from dataclasses import dataclass

from playwright.sync_api import Page, Request, Route

_TELLS = re.compile(r"async update_state\((\w+),(\w+),(\w+)=!0\)\{")
"""Where Gradio's script tells a widget something: that is minified, and the same for one version."""
_COUNTS = r"""\g<0>{const told=(globalThis.ftTold??={statuses:0,checks:0,values:0}),one=\2.loading_status;
told[one?"validation_error"in one?"checks":"statuses":"values"]+=1}"""
_QUIET = 1000
"""Milliseconds without anything new after which all is done."""


@dataclass(frozen=True)
class Counts:
    """What a page did."""

    requests: int
    calls: int
    """Of handlers."""
    statuses: int
    """Told to widgets: how a handler gets on."""
    checks: int
    """Told to widgets: that nothing is wrong with what they sent."""
    values: int
    """Told to widgets: anything else."""


class Counter:
    """Counts on one page, from before it is opened. The browser keeps no files for it, so it is none to time."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._requests = self._calls = 0
        page.route("**/assets/core-*.js", self._count)
        page.on("request", self._look_at)

    def take(self) -> Counts:
        """What was done since the last time, once all is done."""
        before, now = None, self._now()
        while before != now:
            self._page.wait_for_timeout(_QUIET)
            before, now = now, self._now()
        self._page.evaluate("globalThis.ftTold = undefined")
        self._requests = self._calls = 0
        return now

    def _now(self) -> Counts:
        told: dict[str, int] = self._page.evaluate("globalThis.ftTold") or {}
        return Counts(
            self._requests, self._calls, told.get("statuses", 0), told.get("checks", 0), told.get("values", 0)
        )

    def _look_at(self, request: Request) -> None:
        self._requests += 1
        self._calls += "/queue/join" in request.url

    @staticmethod
    def _count(route: Route) -> None:
        script, found = _TELLS.subn(_COUNTS, route.fetch().text())
        assert found == 1, "Gradio's script is another than this knows"
        route.fulfill(body=script, content_type="text/javascript")
