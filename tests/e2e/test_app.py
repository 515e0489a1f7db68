"""What a person is told who asks for what is not there, or fills the form wrongly."""

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import App, Visitor
from tests.e2e.steps import set_number

pytestmark = pytest.mark.browser


def test_what_is_wrong_is_said_where_it_is_and_nothing_is_lost(app: App, visitor: Visitor) -> None:
    page = visitor.open()
    page.goto(f"{app.url}?run=20200101-000000-000000000000")
    expect(page.get_by_role("alert")).to_contain_text("There is no run 20200101")

    page.get_by_label("Dataset", exact=True).fill("no/such/file.jsonl")
    page.keyboard.press("Enter")
    expect(page.locator(".ft-panel [role=alert]")).to_contain_text("no/such/file.jsonl")

    page.get_by_role("button", name="Continue").click()
    set_number(page, "Epochs", 0)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="Epochs")).to_be_visible()
    expect(page.get_by_label("Epochs")).to_have_value("0")
    set_number(page, "Epochs", 1)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="no/such/file.jsonl")).to_be_visible()
    assert not (app.data_dir / "runs").exists()
    assert visitor.troubles == []
