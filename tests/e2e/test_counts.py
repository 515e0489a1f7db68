"""How much a page does: counted, for how long it takes is the machine's affair, and counts tell the same on any."""

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import App, Visitor
from tests.e2e.counting import Counter

pytestmark = pytest.mark.browser


def test_an_opened_page_and_a_click_do_little(app: App, visitor: Visitor) -> None:
    page = visitor.open()
    counter = Counter(page)
    page.goto(app.url)
    expect(page.locator(".ft-preview mark").first).to_be_visible()
    opened = counter.take()
    assert 0 < opened.calls <= 6 and 0 < opened.values <= 200, opened
    assert opened.requests <= 100, opened

    page.get_by_role("tab", name="2 Tune").click()
    expect(page.locator(".ft-before")).to_be_visible()
    tune = counter.take()
    assert 0 < tune.calls <= 4 and 0 < tune.values <= 30, tune

    page.get_by_role("tab", name="1 Choose").click()
    chosen = counter.take()
    assert chosen.calls == 0, chosen
    # Without quiet.js these were some 29,000, 6,500 and 2,000: a change of Gradio's script could bring them back.
    assert [one.statuses <= 10 and one.checks == 0 for one in (opened, tune, chosen)] == [True] * 3, (opened, tune)
    assert visitor.troubles == []
