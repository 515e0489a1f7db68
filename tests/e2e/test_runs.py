"""The gallery of runs: found, named, deleted and had back, two of them compared; and a run that nothing is kept of."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ftspace.labels import read_label
from ftspace.runs import Run, RunStore
from tests.e2e.conftest import App, Visitor, end
from tests.e2e.everybody import PHONE, as_it_stands, looked_at
from tests.e2e.steps import LONG, arrived, button, choose, headline
from tests.finished_run import finished_run

pytestmark = pytest.mark.browser


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[App, list[Run]]]:
    """An app with two finished runs, the newer one first."""
    app = App(tmp_path / "data")
    store = RunStore(app.data_dir / "runs")
    older, newer = finished_run(store), finished_run(store, lora={"r": 4})
    app.start()
    yield app, [newer, older]
    end(app)


def test_runs_are_found_named_compared_and_had_back(two: tuple[App, list[Run]], visitor: Visitor) -> None:
    app, (newer, older) = two
    page = visitor.open()
    page.goto(f"{app.url}?runs")
    cards = page.locator(".ft-runs li")
    expect(cards).to_have_count(2)

    _name(page, newer, "Rank four", "small, people", "which rank is enough?")
    _name(page, older, "Rank sixteen", "people", "")
    label = read_label(newer)
    assert (label.title, label.tags, label.note) == ("Rank four", ("small", "people"), "which rank is enough?")
    wrong = looked_at(page, "the gallery")

    page.get_by_label("Search", exact=True).fill("enough")
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("Rank four")
    expect(page).to_have_url(re.compile(r"\?runs&q=enough$"))
    page.reload()
    expect(page.get_by_label("Search", exact=True)).to_have_value("enough")
    expect(cards).to_have_count(1)
    page.get_by_label("Search", exact=True).fill("")
    expect(cards).to_have_count(2)
    choose(page, "Show", "Tag: small")
    expect(cards).to_have_count(1)
    expect(page).to_have_url(re.compile(r"&show="))
    page.reload()
    expect(page.get_by_label("Show", exact=True)).to_have_value("Tag: small")
    expect(cards).to_have_count(1)
    choose(page, "Show", "All")
    expect(cards).to_have_count(2)

    page.get_by_label("Choose Rank four to compare it").check()
    page.get_by_label("Choose Rank sixteen to compare it").check()
    expect(page.locator(".ft-chosen")).to_have_text("2 runs chosen")
    button(page, "Compare").click()
    several = page.locator("#several")
    expect(several).to_contain_text("2 runs compared")
    expect(several.locator(".ft-board", has_text="Held-out rows")).to_contain_text("cannot be told apart")
    expect(several.locator(".ft-diff")).to_contain_text("lora.r")
    wrong += looked_at(page, "two runs compared")
    page.get_by_role("link", name="All runs").filter(visible=True).click()
    expect(cards).to_have_count(2)

    phone = visitor.open(width=PHONE[0], height=PHONE[1], dark=True)
    phone.goto(f"{app.url}?runs")
    button(phone, "Delete Rank four").click()
    toast = phone.locator("#gallery-toast")
    expect(toast).to_contain_text("Deleted Rank four.")
    expect(phone.locator(".ft-runs li")).to_have_count(1)
    wrong += as_it_stands(phone, "a run deleted, a phone")
    assert not newer.path.exists()
    toast.get_by_role("button", name="Undo").click()
    expect(phone.locator(".ft-runs li")).to_have_count(2)
    assert newer.results.exists()
    assert not wrong, "\n".join(wrong)
    assert visitor.troubles == []
    assert app.faults == []


def test_a_run_is_stopped_and_nothing_of_it_is_kept(app: App, visitor: Visitor) -> None:
    page = visitor.open()
    page.goto(app.url)
    expect(page.locator(".ft-preview mark").first).to_be_visible()
    button(page, "Continue").click()
    button(page, "Start").click()
    page.wait_for_url(re.compile(r"\?run="))
    expect(headline(page)).to_contain_text("Training: step", timeout=LONG)
    button(page, re.compile("^Stop and discard")).click()
    asked = page.locator("#discard-ask")
    expect(asked).to_contain_text("keep nothing of it?")
    expect(button(page, "Let it go on")).to_be_focused()
    wrong = looked_at(page, "asked whether to discard")
    button(page, "Let it go on").click()
    expect(asked).to_be_hidden()
    expect(headline(page)).to_contain_text("Training: step")
    button(page, re.compile("^Stop and discard")).click()
    button(page, "Discard it").click()
    expect(headline(page)).to_have_text("Stopped", timeout=LONG)
    expect(page.locator(".ft-detail").first).to_contain_text("Nothing is kept")
    (run,) = RunStore(app.data_dir / "runs").list()
    assert not run.adapter.exists() and not run.checkpoints.exists() and not run.results.exists()
    wrong += looked_at(page, "discarded")

    button(page, "Delete this run").click()
    page.wait_for_url(re.compile(r"\?runs"))
    expect(page.locator("#gallery-toast")).to_contain_text("Deleted.")
    page.locator("#gallery-toast").get_by_role("button", name="Undo").click()
    page.locator(".ft-runs a.ft-run-title").click()
    arrived(page, "2 Tune")
    expect(button(page, "Begin again")).to_be_visible()
    assert not wrong, "\n".join(wrong)
    assert visitor.troubles == []
    assert app.faults == []


def _name(page: Page, run: Run, title: str, tags: str, note: str) -> None:
    """Writes title, tags and note on a run's card."""
    card = page.locator(f'.ft-runs [data-run="{run.id}"]')
    card.get_by_role("button", name="Title, tags and note of").click()
    card.get_by_label("Title", exact=True).fill(title)
    card.locator("[name=tags]").fill(tags)
    card.locator("[name=note]").fill(note)
    card.get_by_role("button", name="Save").click()
    expect(card.locator(".ft-run-title")).to_have_text(title)
