"""Texts of 2,000 letters without a space, and runs that did not come far: nothing is wider than a phone."""

import json

import pytest
from playwright.sync_api import expect

from ftspace.answering import Answer
from ftspace.chats import new_pad
from ftspace.events import EventLog, Finished, Started
from ftspace.labels import Label, write_label
from ftspace.runs import Run, RunStore
from tests.e2e.conftest import MOMENT, App, Visitor, end
from tests.e2e.everybody import scrolls_sideways
from tests.report.made import made

pytestmark = pytest.mark.browser
LONG = ("Donaudampfschifffahrtsgesellschaft" * 60)[:2000]
SLOW = 6 * MOMENT
NAMES = {"base": "Base", "tuned": "Tuned"}


def wordy(store: RunStore) -> Run:
    """A run of which every text is as long as texts get."""
    run = made(store, [1.0] * 20 + [0.0] * 40, [0.0] * 5 + [1.0] * 55, text=LONG)
    write_label(run, Label(title=LONG[:120], tags=(LONG[:30],), note=LONG))
    answers = {side: Answer(LONG, done=True) for side in NAMES}
    new_pad(run, "@local", "chat").keep(LONG, answers, NAMES, {})
    return run


def failed(store: RunStore) -> Run:
    """One that failed before its first step, with names that long."""
    config = made(store, [1.0], [1.0]).config
    run = store.create(config)
    told = json.loads((run.path / "config.json").read_text())
    told["model"]["id"] = told["data"]["id"] = f"owner/{LONG}"
    (run.path / "config.json").write_text(json.dumps(told))
    events = EventLog(run.events)
    events.append(Started(job="train", pid=1))
    events.append(Finished(job="train", status="failed", reason="model", message=LONG, seconds=1))
    events.close()
    return run


def test_no_text_is_too_long_for_a_phone(app: App, visitor: Visitor) -> None:
    store = RunStore(app.data_dir / "runs")
    run, broken = wordy(store), failed(store)
    page = visitor.open(width=390, height=844)
    page.set_default_timeout(SLOW)
    page.goto(f"{app.url}?run={run.id}")
    expect(page.locator("#steps [data-state]").first).to_be_attached(timeout=SLOW)
    wide: list[str] = []
    for step, place, words in (
        ("tune", "#live-view", "Finished"),
        ("compare", "#chat-now", "The whole question"),
        ("results", ".ft-verdict", "more questions right"),
        ("publish", "#export-files", "Chats"),
    ):
        page.locator(f'#steps > .tab-wrapper [data-tab-id="{step}"]').click()
        expect(page.locator(place).first).to_contain_text(words, timeout=SLOW)
        wide += [step] * scrolls_sideways(page)
    for address, words in ((f"?run={broken.id}", "the model cannot be used"), (f"report/{run.id}", LONG[:30])):
        page.goto(f"{app.url}{address}")
        expect(page.locator("body")).to_contain_text(words, timeout=SLOW)
        wide += [address] * scrolls_sideways(page)
    assert not wide and visitor.troubles == []
    end(app)
    assert "Traceback" not in app.log
