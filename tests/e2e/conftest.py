"""The real app as a process of its own, and Debian's chromium to open it with.

FTSPACE_SCREENSHOTS=DIR keeps the pictures there, and takes them of a whole Balanced run instead of a short one.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from ftspace import jobs
from ftspace.runs import RunStore
from ftspace.settings import ROOT, worker_env

MOMENT = 60_000
"""Milliseconds that the page gets for an answer: a machine that also trains, or tests beside this, is slow."""
expect.set_options(timeout=MOMENT)
_TRACEBACK = re.compile(r"^.*Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*.*$", re.MULTILINE)
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]


class App:
    """`python app.py` on a data folder: started, killed and started again on the same port."""

    def __init__(self, data_dir: Path, **variables: str) -> None:
        """With the Hub that the variables name; without them offline."""
        self.data_dir = data_dir
        # Imports ahead of a run would be beside the test, and a token of this machine's would be sent.
        alone = {"FTSPACE_WARM": "0", "HF_TOKEN": "", "HF_TOKEN_PATH": os.devnull}
        self._env = {**worker_env(offline=not variables), **alone, **variables}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def words(self) -> list[str]:
        """What Python is told to run."""
        return ["app.py", "--data-dir", str(self.data_dir), "--port", str(self.port)]

    @property
    def log(self) -> str:
        return (self.data_dir / "app.log").read_text()

    @property
    def faults(self) -> list[str]:
        """The tracebacks in the log."""
        return _TRACEBACK.findall(self.log)

    def start(self) -> None:
        self.data_dir.mkdir(exist_ok=True)
        with (self.data_dir / "app.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.words],
                cwd=ROOT,
                env=self._env,
                stdout=log,
                stderr=log,
            )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        until = time.monotonic() + 120
        while True:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < until, f"the app does not answer: {self.log}"
            try:
                with opener.open(self.url, timeout=5):
                    return
            except (URLError, OSError):
                time.sleep(0.1)

    def kill(self) -> None:
        """Ends the app as a crash would: it is told nothing."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


@dataclass
class Visitor:
    """A browser that notes what should not happen: errors on the page, and requests that leave this machine."""

    browser: Browser
    troubles: list[str] = field(default_factory=list[str])
    contexts: list[BrowserContext] = field(default_factory=list[BrowserContext])

    def open(self, *, width: int = 1280, height: int = 800, dark: bool = False, locale: str = "en-US") -> Page:
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            locale=locale,
        )
        context.set_default_timeout(MOMENT)
        self.contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.troubles.append(f"error on the page: {error}"))
        page.on("request", lambda request: self._look_at(request.url))
        return page

    def _look_at(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.troubles.append(f"a request to {url}")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path / "data")
    app.start()
    yield app
    end(app)


def end(app: App) -> None:
    """Ends the app and what it started."""
    app.kill()
    for run in RunStore(app.data_dir / "runs").list():
        if run.is_alive():
            jobs.stop(run)


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (apt-get install chromium), so no browser can open the app")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        visitor = Visitor(browser)
        yield visitor
        for context in visitor.contexts:
            context.close()
        browser.close()


@pytest.fixture
def pictures() -> Path | None:
    """The folder that the pictures are for, None when only the way is tested."""
    wanted = os.environ.get("FTSPACE_SCREENSHOTS")
    return ROOT / wanted if wanted else None
