"""The app for everybody: axe-core, the keyboard alone, a phone, dark and light, the tour; with a run and without."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from ftspace.runs import Run, RunStore
from tests.e2e.conftest import App, Visitor, end
from tests.e2e.everybody import DESKTOP, PHONE, findings, looked_at, scrolls_sideways, settle, walk
from tests.e2e.steps import picture
from tests.finished_run import finished_run

pytestmark = pytest.mark.browser
STEPS = ("choose", "tune", "compare", "results", "publish")
ROW = '{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "dropped here"}]}\n'


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Run]]:
    """One app for all of it, with a finished run."""
    app = App(tmp_path_factory.mktemp("everybody") / "data")
    run = finished_run(RunStore(app.data_dir / "runs"))
    app.start()
    yield app, run
    end(app)


def test_every_step_is_for_everybody(shared: tuple[App, Run], visitor: Visitor) -> None:
    """No grave finding, no scrolling sideways, and all of it by Tab, in its order and seen."""
    app, run = shared
    page = visitor.open()
    wrong: list[str] = []
    for address in (app.url, f"{app.url}?run={run.id}"):
        page.goto(address)
        expect(page.locator("#steps [data-state]").first).to_be_attached()
        if "run=" not in address:
            expect(page.locator("#card-model")).to_contain_text("parameters")  # it comes late
            expect(page.locator(".ft-preview mark").first).to_be_visible()
        for step in STEPS:
            tab = page.locator(f'#steps > .tab-wrapper [data-tab-id="{step}"]')
            if tab.get_attribute("aria-disabled") == "true":
                assert tab.get_attribute("title"), f"{step} does not say why it is empty"
                continue
            tab.click()
            unfold(page, step)
            settle(page)
            where = f"{step} {'with a run' if 'run=' in address else 'without'}"
            wrong += looked_at(page, where)
            walked = walk(page)
            told = {"not seen": walked.unseen, "back": walked.backwards, "not reached": walked.unreached}
            wrong += [f"{where}: {what}: {one}" for what, them in told.items() for one in them]
            assert walked.stops > 5, where
    assert not wrong, "\n".join(wrong)
    assert visitor.troubles == []
    assert app.faults == []


def test_the_first_screen_is_enough_and_the_keyboard_too(
    shared: tuple[App, Run], visitor: Visitor, pictures: Path | None
) -> None:
    page = visitor.open()
    page.goto(shared[0].url)
    expect(page.locator(".ft-preview mark").first).to_be_visible()
    expect(page.locator("#card-model")).to_contain_text("parameters")
    expect(page.locator("#continue")).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    expect(page.locator("#continue")).to_be_in_viewport(ratio=1)
    picture(page, pictures, "choose-phone")
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})

    page.keyboard.press("Tab")
    expect(page.locator(".ft-skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#choose-step")).to_be_focused()

    page.get_by_role("button", name="Short list of models").press("Enter")
    shelf = page.locator("#shelf-model")
    expect(shelf).to_be_visible()
    assert findings(page, "the short list") == []
    picture(page, pictures, "shortlist", whole=False)
    page.keyboard.press("Escape")
    expect(shelf).to_be_hidden()
    expect(page.get_by_role("button", name="Short list of models")).to_be_focused()
    page.keyboard.press("Space")
    for name in ("EleutherAI/pythia-160m", "assets/base"):
        shelf.get_by_role("button", name=name).press("Enter")
        expect(shelf).to_be_hidden()
        expect(page.get_by_label("Model", exact=True)).to_have_value(name)
        settle(page)
        page.get_by_role("button", name="Short list of models").press("Enter")
    shelf.get_by_role("button", name="Close").press("Enter")

    drop(page, "mine.jsonl")
    expect(page.get_by_label("Dataset", exact=True)).to_have_value(re.compile(r"mine-\w+\.jsonl$"))
    expect(page.locator(".ft-panel mark").first).to_contain_text("dropped here")

    page.locator('[data-tab-id="results"]').press("Enter")
    expect(page.locator("#step-why")).to_contain_text("once a run has asked both models")
    page.locator('[data-tab-id="tune"]').press("Enter")
    expect(page.locator("#start")).to_be_visible()
    assert visitor.troubles == []


def test_the_tour_leads_through_what_is_there_and_is_taken_once(
    shared: tuple[App, Run], visitor: Visitor, pictures: Path | None
) -> None:
    page = visitor.open(width=PHONE[0], height=PHONE[1])
    page.goto(shared[0].url)
    page.get_by_role("button", name="Take the tour").press("Enter")
    tour = page.get_by_role("dialog", name="Tour")
    expect(tour).to_be_focused()
    assert findings(page, "the tour") == []
    picture(page, pictures, "tour-phone", whole=False)
    stops: list[str] = []
    for place in range(1, 9):
        expect(tour).to_contain_text(f"{place} of 8")
        expect(page.locator(".ft-toured")).to_have_count(1)
        assert not scrolls_sideways(page)
        stops.append(selected(page).get_attribute("data-tab-id") or "")
        page.keyboard.press("ArrowRight")
    assert stops == ["choose", "choose", "tune", "tune", "tune", "tune", "tune", "choose"]
    expect(tour).to_have_count(0)
    expect(page.get_by_role("button", name="Tour", exact=True)).to_be_focused()
    page.reload()
    expect(page.get_by_role("button", name="Tour", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Tour", exact=True).click()
    page.keyboard.press("Escape")
    expect(tour).to_have_count(0)
    assert visitor.troubles == []


def unfold(page: Page, step: str) -> None:
    """Opens what is folded in a step."""
    settle(page)
    page.evaluate(
        """step => {
          const folds = [...step.querySelectorAll("button.label-wrap:not(.open)")];
          for (const one of folds) if (one.checkVisibility()) one.click();
          for (const one of step.querySelectorAll("details")) one.open = true;
        }""",
        page.locator(f"#{step}-step").element_handle(),
    )


def selected(page: Page) -> Locator:
    return page.locator("#steps > .tab-wrapper [aria-selected=true]")


def drop(page: Page, name: str) -> None:
    """Drops a file of one row onto the page."""
    held = page.evaluate_handle(
        "([name, text]) => { const held = new DataTransfer(); held.items.add(new File([text], name)); return held; }",
        [name, ROW],
    )
    page.dispatch_event("#panel", "dragover", {"dataTransfer": held})
    expect(page.locator(".ft-dropping")).to_have_count(1)
    page.dispatch_event("#panel", "drop", {"dataTransfer": held})
