"""How fast the page is in a browser: until it is painted, and until it answers while a run trains beside it.

`python -m benchmarks.page [--rounds 8] [--json]`. The real app, Debian's chromium, both on this machine, which should
have nothing else to do; beside it the same page as Gradio has it by itself (benchmarks/page_app.py), in turns, with the
same runs. It needs requirements-dev.txt, and takes a quarter of an hour.

    paint, usable     milliseconds from asking for the page to its first text, and until the way on can be clicked and
                      the rows stand there: in a fresh browser, in one that was here, and in that while a run trains
    tab, continue     another step is shown after a click on it, or on Continue
    preset, setting   the page says what a preset takes after a click on it; what differs after a setting was typed
    row               another question of a finished run is shown after a click on its row
    opening, to_tune  what is counted at an opening of the page, and at a click on the second tab
    clicks, start_ms  from the opened page to a run at work, and from the last of these clicks to its own view
    handlers          for each handler that a walk through the page called, with 100 runs in the folder and none at
                      work: how often, and its median and longest milliseconds

Times are medians and 95th percentiles; `ratio` is ours over Gradio's own.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

from playwright.sync_api import Browser, Page, expect, sync_playwright

from ftspace import jobs
from ftspace.runs import Run, RunStore
from tests.e2e.conftest import CHROMIUM_ARGS, App
from tests.e2e.counting import Counter
from tests.e2e.steps import set_number

PATIENCE = 240_000
"""Milliseconds."""
RUNS = 100
ENDLESS = 1_000_000
"""Steps of a run that trains for as long as it is looked at."""
WAYS = ("ours", "plain")
_VIEW: Any = {"viewport": {"width": 1280, "height": 800}}
_PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
_BYTES = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .reduce((sum, one) => sum + one.transferSize, 0)"""
_TIMED = """async (source) => {
  const began = performance.now(), done = (0, eval)(source)();
  do await new Promise((next) => requestAnimationFrame(() => setTimeout(next)));
  while (!done() && performance.now() - began < 20000);
  return performance.now() - began;
}"""
"""From the act to the first frame that shows what it brings."""
_TAB = """() => {
  const at = document.querySelector("#steps > .tab-wrapper [aria-selected=true]").dataset.tabId;
  const [to, shows] = at === "tune" ? ["choose", "continue"] : ["tune", "start"];
  document.querySelector(`#steps > .tab-wrapper [data-tab-id=${to}]`).click();
  return () => document.getElementById(shows)?.checkVisibility();
}"""
_CONTINUE = """() => {
  document.getElementById("continue").click();
  return () => document.getElementById("start")?.checkVisibility();
}"""
_PRESET = """() => {
  const other = [...document.querySelectorAll("#pace input")].find((one) => !one.checked);
  const name = other.closest("label").textContent.trim();
  other.click();
  return () => document.querySelector("#faces [role=status]").textContent.startsWith(name);
}"""
_SETTING = """() => {
  const field = document.querySelector("#set-train-epochs input");
  const said = () => document.querySelector("#set-train-epochs .ft-back")?.textContent ?? "", before = said();
  field.value = before ? before.match(/[0-9]+$/)[0] : "7";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return () => said() !== before;
}"""
_ROW = """() => {
  const rows = [...document.querySelectorAll("#samples [data-sample]")];
  const shown = () => document.getElementById("sample").textContent, before = shown();
  window.ftRow = ((window.ftRow ?? 0) + 1) % rows.length;
  rows[window.ftRow].click();
  return () => shown() !== before;
}"""


class _Served(App):
    """The page of benchmarks/page_app.py."""

    def __init__(self, data_dir: Path, *asked: str) -> None:
        super().__init__(data_dir)
        self._asked = asked

    @property
    def words(self) -> list[str]:
        return ["-m", "benchmarks.page_app", str(self.data_dir), str(self.port), *self._asked]


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGS)
        try:
            found = _measured(browser, Path(folder, "data"), given.rounds)
        finally:
            browser.close()
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _measured(browser: Browser, data_dir: Path, rounds: int) -> dict[str, Any]:
    store = RunStore(data_dir / "runs")
    with _serving(App(data_dir)) as ours, _serving(_Served(data_dir, "--plain")) as plain:
        apps: dict[str, App] = {"ours": ours, "plain": plain}
        found = _counted(browser, apps)
        times = _painted(browser, apps, rounds)
        finished, _ = _started(browser, ours, "Quick look", store)
        while not finished.results.exists() or finished.is_alive():
            time.sleep(0.5)
        at_rest = _clicked(browser, apps, finished, rounds)
        busy, start = _started(browser, ours, "Thorough", store, steps=ENDLESS)
        at_work = _clicked(browser, apps, finished, rounds)
        at_work |= {f"{name}_warm": one for name, one in _painted(browser, apps, rounds, warm_only=True).items()}
        found |= {"clicks": 3, "start_ms": round(start), "still_at_work": busy.is_alive()}
        jobs.stop(busy, discard=True)
    found |= {"at_rest": _figures(times | at_rest), "while_training": _figures(at_work)}
    sys.stderr.write(json.dumps(found) + "\n")  # the handlers take a while
    return found | {"handlers": _handlers(browser, data_dir, finished)}


@contextmanager
def _serving(app: App) -> Generator[App]:
    app.start()
    try:
        yield app
    finally:
        if app.process is not None:
            app.process.send_signal(signal.SIGTERM)
            app.process.wait()


@contextmanager
def _opened(browser: Browser, address: str) -> Generator[Page]:
    context = browser.new_context(**_VIEW)
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def _is_usable(page: Page) -> None:
    expect(page.locator("#continue")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".ft-preview mark").first).to_be_visible(timeout=PATIENCE)


def _counted(browser: Browser, apps: dict[str, App]) -> dict[str, Any]:
    """What an opening does, and a click on the second tab."""
    found: dict[str, Any] = {"opening": {}, "to_tune": {}}
    for way, app in apps.items():
        with browser.new_context(**_VIEW) as context:
            page = context.new_page()
            counter = Counter(page)
            page.goto(app.url)
            _is_usable(page)
            found["opening"][way] = asdict(counter.take()) | {"bytes": page.evaluate(_BYTES)}
            page.locator("#steps > .tab-wrapper [data-tab-id=tune]").click()
            found["to_tune"][way] = asdict(counter.take())
    return found


def _painted(browser: Browser, apps: dict[str, App], rounds: int, *, warm_only: bool = False) -> dict[str, Any]:
    """Milliseconds to the first text and to a usable page, by what and then by way."""
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for place in range(rounds):
        for way in WAYS if place % 2 else WAYS[::-1]:
            with browser.new_context(**_VIEW) as context:
                for state in ("cold", "warm"):
                    page = context.new_page()
                    began = time.perf_counter()
                    page.goto(apps[way].url)
                    _is_usable(page)
                    if state == "warm" or not warm_only:
                        suffix = "" if warm_only else f"_{state}"
                        times[f"usable{suffix}"][way].append(1000 * (time.perf_counter() - began))
                        times[f"paint{suffix}"][way].append(page.evaluate(_PAINTED))
                    page.close()
    return times


def _started(browser: Browser, app: App, pace: str, store: RunStore, *, steps: int = 0) -> tuple[Run, float]:
    """A run that trains, and milliseconds from the click on Start to its view."""
    with _opened(browser, app.url) as page:
        _is_usable(page)
        page.locator("#continue").click(timeout=PATIENCE)
        page.locator("#pace label", has_text=pace).click(timeout=PATIENCE)
        expect(page.locator("#faces [role=status]")).to_contain_text(pace, timeout=PATIENCE)
        if steps:
            set_number(page, "Max steps", steps)
        page.locator("#start").hover()
        began = time.perf_counter()
        page.locator("#start").click()
        expect(page.locator(".ft-live")).to_be_visible(timeout=PATIENCE)
        taken = 1000 * (time.perf_counter() - began)
        expect(page.locator(".ft-live h2")).to_contain_text("Training: step", timeout=PATIENCE)
    return store.list()[0], taken


def _clicked(browser: Browser, apps: dict[str, App], finished: Run, rounds: int) -> dict[str, Any]:
    """Milliseconds from a click to what it shows, by what and then by way."""
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with browser.new_context(**_VIEW) as context:
        pages = {way: (context.new_page(), context.new_page()) for way in apps}
        for way, (form, results) in pages.items():
            form.goto(apps[way].url)
            _is_usable(form)
            form.evaluate(_TIMED, _TAB)
            form.locator("#find-setting input, #find-setting textarea").fill("Epochs")
            expect(form.locator("#set-train-epochs input")).to_be_visible(timeout=PATIENCE)
            results.goto(f"{apps[way].url}?run={finished.id}")
            expect(results.locator("#samples [data-sample]").first).to_be_visible(timeout=PATIENCE)
        acts = [("tab", 0, _TAB), ("continue", 0, _CONTINUE), ("preset", 0, _PRESET), ("setting", 0, _SETTING)]
        for _ in range(rounds):
            for name, place, act in [*acts, ("row", 1, _ROW)]:
                for way in WAYS:
                    page = pages[way][place]
                    page.bring_to_front()
                    page.wait_for_timeout(500)
                    times[name][way].append(page.evaluate(_TIMED, act))
    return times


def _figures(times: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    def told(taken: list[float]) -> dict[str, int]:
        return {"p50_ms": round(median(taken)), "p95_ms": round(quantiles(taken, n=20, method="inclusive")[-1])}

    return {
        name: {way: told(taken) for way, taken in ways.items()}
        | {"ratio": round(median(ways["ours"]) / median(ways["plain"]), 2)}
        for name, ways in times.items()
    }


def _handlers(browser: Browser, data_dir: Path, finished: Run) -> dict[str, Any]:
    """Milliseconds of the handlers that a walk through the page calls, longest first."""
    for place in range(RUNS - 1):
        shutil.copytree(finished.path, finished.path.with_name(f"20240101-000000-{place:012x}"))
    times = data_dir / "times.json"
    with _serving(_Served(data_dir, "--times", str(times))) as app:
        with _opened(browser, app.url) as page:
            _is_usable(page)
            for name in ("tokens", "columns", "checks", "review"):
                page.locator(f"#look [data-tab-id={name}]").click()
                page.wait_for_timeout(1500)
            page.locator("#continue").click()
            expect(page.locator("#start")).to_be_visible(timeout=PATIENCE)
            for act in (_PRESET, _PRESET):
                page.evaluate(_TIMED, act)
            page.locator("#find-setting input, #find-setting textarea").fill("Epochs")
            expect(page.locator("#set-train-epochs input")).to_be_visible(timeout=PATIENCE)
            page.evaluate(_TIMED, _SETTING)
            page.locator("#as-yaml .label-wrap").click()
            page.wait_for_timeout(1500)
        with _opened(browser, f"{app.url}?runs") as page:
            expect(page.locator(".ft-runs li").first).to_be_visible(timeout=PATIENCE)
            page.locator("#gallery-search :is(input, textarea)").fill("people")
            page.wait_for_timeout(1500)
        with _opened(browser, f"{app.url}?run={finished.id}") as page:
            expect(page.locator("#samples [data-sample]").first).to_be_visible(timeout=PATIENCE)
            for act in (_ROW, _ROW):
                page.evaluate(_TIMED, act)
            for step in ("compare", "publish"):
                page.locator(f"#steps > .tab-wrapper [data-tab-id={step}]").click()
                page.wait_for_timeout(1500)
        told = cast("dict[str, list[float]]", json.loads(times.read_text(encoding="utf-8")))
    slowest = sorted(told.items(), key=lambda one: -max(one[1]))
    return {name: [len(taken), round(median(taken)), round(max(taken))] for name, taken in slowest}


if __name__ == "__main__":
    raise SystemExit(main())
