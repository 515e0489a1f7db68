"""The app in Chinese at every step, where what persons wrote stays; and back in English, for as long as one wants."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from ftspace.runs import Run, RunStore
from tests.chinese import english_words
from tests.e2e.conftest import MOMENT, App, Visitor, end
from tests.e2e.everybody import DESKTOP, PHONE, findings, scrolls_sideways, settle
from tests.e2e.test_everybody import STEPS, unfold
from tests.finished_run import SECRET, finished_run

pytestmark = pytest.mark.browser
_SEEN = """() => {
  const own = "[translate=no], code, pre, textarea, script, style, template, .ft-md, [data-token], #examples table, "
    + "#examples .gallery";
  const seen = (one) => one && one.checkVisibility({visibilityProperty: true});
  const found = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let at = walker.nextNode(); at; at = walker.nextNode())
    if (at.data.trim() && seen(at.parentElement) && !at.parentElement.closest(own)) found.push(at.data.trim());
  for (const one of document.querySelectorAll("input[aria-haspopup=listbox], input[role=listbox]"))
    if (one.value && seen(one)) found.push(one.value);
  for (const one of document.querySelectorAll("[aria-label], [title], [placeholder], [aria-description]"))
    for (const name of ["aria-label", "title", "placeholder", "aria-description"])
      if (one.getAttribute(name) && seen(one) && !one.parentElement.closest(own)) found.push(one.getAttribute(name));
  return [...new Set(found)];
}"""
"""All that can be read on a page but what persons wrote, and code."""


_THEIRS = re.compile(r"base on people|people|assets/\S+|something about \S+|Saved in \S+|Trained and compared in 0 s\.")
"""What the run was called and told its events in this test, which no run says."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Run]]:
    """One app for all of it, with a finished run."""
    app = App(tmp_path_factory.mktemp("language") / "data")
    run = finished_run(RunStore(app.data_dir / "runs"))
    app.start()
    yield app, run
    end(app)


def patient(page: Page) -> Page:
    """The page with time: a machine without Chinese letters looks for each of them."""
    page.set_default_timeout(3 * MOMENT)
    return page


def test_every_step_is_in_chinese(shared: tuple[App, Run], visitor: Visitor) -> None:
    app, run = shared
    page = patient(visitor.open(locale="zh-CN"))
    wrong: list[str] = []
    for address in (app.url, f"{app.url}?run={run.id}", f"{app.url}?runs"):
        page.goto(address)
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        if "run" not in address:
            expect(page.locator("#card-model")).to_contain_text("参数", timeout=3 * MOMENT)  # it comes late
            expect(page.locator(".ft-preview mark").first).to_be_visible()
        page.add_style_tag(content="* { transition: none !important; }")
        for step in STEPS if "runs" not in address else ("",):
            tab = page.locator(f'#steps > .tab-wrapper [data-tab-id="{step}"]')
            if step and tab.get_attribute("aria-disabled") == "true":
                continue
            if step:
                tab.click()
                unfold(page, step)
            settle(page)
            seen = [_THEIRS.sub("", text) for text in page.evaluate(_SEEN)]
            where = f"{step or 'runs'} {'with a run' if 'run=' in address else 'without'}"
            wrong += [f"{where}: {one!r} in {text!r}" for text in seen for one in english_words(text)]
            wrong += findings(page, where)
            page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
            wrong += [f"{where}: scrolls sideways"] * scrolls_sideways(page)
            page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    assert not wrong, "\n".join(dict.fromkeys(wrong))
    assert visitor.troubles == []
    assert app.faults == []


def test_what_persons_wrote_stays_and_so_does_what_is_sent(shared: tuple[App, Run], visitor: Visitor) -> None:
    """Rows are read as they are, and what a list shows in Chinese is sent as before."""
    app, run = shared
    page = patient(visitor.open(locale="zh-CN"))
    page.goto(f"{app.url}?run={run.id}")
    page.locator('#steps > .tab-wrapper [data-tab-id="results"]').click()
    expect(page.locator(".ft-drill-question").first).to_contain_text(SECRET)
    page.goto(app.url)
    expect(page.locator(".ft-preview mark").first).to_be_visible()
    page.locator("#continue").click()
    page.locator("#group-memory > .label-wrap").click()
    again = page.locator("#set-train-gradient_checkpointing input")
    again.click()
    page.get_by_role("option", name="是", exact=True).click()
    page.locator("#set-train-packing input").focus()
    expect(again).to_have_value("是")
    page.locator("#as-yaml > .label-wrap").click()
    expect(page.locator("#yaml textarea")).to_have_value(re.compile("gradient_checkpointing: true"))
    assert visitor.troubles == []


def test_the_switch_wins_over_the_browser_and_is_remembered(shared: tuple[App, Run], visitor: Visitor) -> None:
    page = patient(visitor.open(locale="zh-CN"))
    page.goto(shared[0].url)
    heading = page.locator("#choose-step h2").first
    expect(heading).to_have_text("你想微调什么？")
    page.get_by_role("button", name="English", exact=True).click()
    for _ in range(2):
        expect(heading).to_have_text("What do you want to tune?")
        expect(page.get_by_role("tab", name="1 Choose")).to_be_visible()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        settle(page)
        assert not [text for text in page.evaluate(_SEEN) if re.search("[\u4e00-\u9fff]", text)]
        page.reload()
    page.get_by_role("button", name="中文", exact=True).click()
    expect(heading).to_have_text("你想微调什么？")

    asked: list[str] = []
    english = patient(visitor.open())
    english.on("request", lambda request: asked.append(request.url))
    english.goto(shared[0].url)
    expect(english.locator("#choose-step h2").first).to_have_text("What do you want to tune?")
    settle(english)
    assert not [one for one in asked if "/language/" in one], "an English visitor pays for the Chinese"
    assert visitor.troubles == []
