"""How much a page does: counted, for how long it takes is the machine's affair, and counts tell the same on any."""

import pytest
from playwright.sync_api import expect

from ftspace.runs import RunStore
from tests.e2e.conftest import App, Visitor
from tests.e2e.counting import Counter
from tests.finished_run import finished_run

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
    # Without quiet.js these were some 29,000, 6,500 and 2,000: a change of Gradio's script could bring them back. How
    # many of the few are left is chance: the queue tells how long it is.
    assert [one.statuses <= 60 and one.checks == 0 for one in (opened, tune, chosen)] == [True] * 3, (opened, tune)
    assert visitor.troubles == []


def test_what_a_page_shows_is_not_asked_for_again(app: App, visitor: Visitor) -> None:
    """The view of a run that is over is drawn when somebody opens its tab; what the page knows does not hang on it."""
    run = finished_run(RunStore(app.data_dir / "runs"))
    page = visitor.open()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or "") if "/queue/join" in request.url else None)
    counter = Counter(page)
    page.goto(f"{app.url}?run={run.id}")
    expect(page.locator("#samples [data-sample]").first).to_be_visible()
    counter.take()
    news = page.evaluate(
        """() => {
          const id = window.gradio_config.components.find((one) => one.props.elem_id === "news").id;
          return window.gradio_config.dependencies.find((one) => one.targets.some(([of]) => of === id)).id;
        }"""
    )
    assert asked and not [one for one in asked if f'"fn_index":{news},' in one]
    assert visitor.troubles == []
