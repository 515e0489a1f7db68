"""How fast the page is in a browser: until it is painted, and until it answers while a run trains beside it.

`python -m benchmarks.page [--rounds 8] [--json]`. The real app, Debian's chromium, both on this machine, which should
have nothing else to do. It needs requirements-dev.txt.

    paint_cold_ms, paint_warm_ms    from asking for the page to its first text: a fresh browser, and one that was here
    usable_cold_ms, usable_warm_ms  until the way on can be clicked and the rows stand there
    clicks                          from the opened page to a run at work, with the embedded default
    start_ms                        from the last of these clicks to the run's own view
    tab, preset, tick               p50 and p95, in milliseconds, while that run trains: another step is shown after a
                                    click on it; the form has what a pace sets; news of the run have come
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from playwright.sync_api import Browser, expect, sync_playwright

from ftspace import jobs
from ftspace.runs import RunStore
from tests.e2e.conftest import CHROMIUM_ARGS, App

PATIENCE = 120_000
"""Milliseconds."""
_PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
_TICKS = """() => performance.getEntriesByType("resource").filter((one) => one.name.includes("/live/"))
  .map((one) => one.duration)"""
_PAINT = "await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));"
"""Until what was changed is painted."""
_TAB = f"""async (step) => {{
  const began = performance.now();
  document.querySelector(`#steps > .tab-wrapper [data-tab-id="${{step}}"]`).click();
  do {{ {_PAINT} }} while (!document.getElementById(`${{step}}-step`)?.checkVisibility());
  return performance.now() - began;
}}"""
_PACE = f"""async (pace) => {{
  const form = document.getElementById("tune-step");
  const said = () => [...form.querySelectorAll("input:not([type=radio])")].map((one) => one.value).join();
  const radios = [...form.querySelectorAll("input[type=radio]")];
  const before = said(), began = performance.now();
  radios.find((one) => (one.closest("label")?.textContent ?? one.value).includes(pace)).click();
  do {{ {_PAINT} }} while (said() === before && performance.now() - began < 20000);
  return performance.now() - began;
}}"""


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        app = App(Path(folder))
        app.start()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGS)
        try:
            found = _painted(browser, app, given.rounds) | _at_work(browser, app, given.rounds)
        finally:
            browser.close()
            if app.process is not None:
                app.process.send_signal(signal.SIGTERM)
                app.process.wait()
            for run in RunStore(app.data_dir / "runs").list():
                if run.is_alive():
                    jobs.stop(run)
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _painted(browser: Browser, app: App, rounds: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {"paint_cold": [], "usable_cold": [], "paint_warm": [], "usable_warm": []}
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        for state in ("cold", "warm"):
            page = context.new_page()
            began = time.perf_counter()
            page.goto(app.url)
            expect(page.locator("#continue")).to_be_visible(timeout=PATIENCE)
            expect(page.locator(".ft-preview mark").first).to_be_visible(timeout=PATIENCE)
            times[f"usable_{state}"].append(1000 * (time.perf_counter() - began))
            times[f"paint_{state}"].append(page.evaluate(_PAINTED))
        context.close()
    return {f"{name}_ms": round(median(taken)) for name, taken in times.items()}


def _at_work(browser: Browser, app: App, rounds: int) -> dict[str, Any]:
    page, form = (browser.new_page(viewport={"width": 1280, "height": 800}) for _ in range(2))
    for one in (page, form):
        one.goto(app.url)
        expect(one.locator(".ft-preview mark").first).to_be_visible(timeout=PATIENCE)
    clicks = ("#continue", "#start")
    page.locator(clicks[0]).click(timeout=PATIENCE)
    page.locator(clicks[1]).hover(timeout=PATIENCE)
    began = time.perf_counter()
    page.locator(clicks[1]).click(timeout=PATIENCE)
    expect(page.locator(".ft-live")).to_be_visible(timeout=PATIENCE)
    start = 1000 * (time.perf_counter() - began)
    expect(page.locator(".ft-live h2")).to_contain_text("Training: step", timeout=PATIENCE)
    form.bring_to_front()
    steps, paces = ("tune", "choose") * rounds, ("Thorough", "Quick look") * rounds
    tabs: list[float] = [form.evaluate(_TAB, step) for step in steps]
    form.evaluate(_TAB, "tune")
    presets: list[float] = [form.evaluate(_PACE, pace) for pace in paces]
    page.bring_to_front()
    page.wait_for_timeout(5000)
    trains = RunStore(app.data_dir / "runs").list()[0].is_alive()
    ticks: list[float] = page.evaluate(_TICKS)
    found: dict[str, Any] = {"clicks": len(clicks), "start_ms": round(start), "still_at_work": trains}
    for name, taken in (("tab", tabs), ("preset", presets), ("tick", ticks)):
        found[f"{name}_p50_ms"] = round(median(taken))
        found[f"{name}_p95_ms"] = round(quantiles(taken, n=20)[-1])
    return found


if __name__ == "__main__":
    raise SystemExit(main())
