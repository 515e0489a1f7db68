"""A person's whole way on the embedded default: choose, tune, look again from elsewhere, compare, read the verdict."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import App, Visitor
from tests.e2e.steps import LONG, choose, headline, picture, set_number

pytestmark = pytest.mark.browser
AT_WORK = re.compile("Training: step|Comparing base and tuned")


def test_a_run_outlives_pages_and_apps_and_ends_in_a_verdict(app: App, visitor: Visitor, pictures: Path | None) -> None:
    page = visitor.open()
    began = time.monotonic()
    page.goto(app.url)
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    print(f"first paint after {time.monotonic() - began:.1f} s")
    expect(page.locator(".ft-preview mark").first).to_contain_text("<|im_end|>")
    picture(page, pictures, "choose")

    page.get_by_role("button", name="Continue").click()
    picture(page, pictures, "tune")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"\?run=\d{8}-\d{6}-[0-9a-f]{12}$"))
    address = page.url
    expect(headline(page)).to_contain_text("Training: step", timeout=LONG)

    page.reload()
    expect(headline(page)).to_contain_text(AT_WORK)
    expect(page.locator(".ft-curve svg:visible").first).to_be_visible()

    phone = visitor.open(width=390, height=844)
    phone.goto(address)
    expect(headline(phone)).to_contain_text(AT_WORK)
    expect(phone.locator(".ft-curve svg:visible").first).to_be_visible()

    app.kill()
    expect(phone.locator("#say-lost")).to_have_text("The connection is lost; trying again …")
    app.start()
    expect(phone.locator("#say-lost")).to_have_count(0)
    expect(headline(phone)).to_contain_text(AT_WORK)
    page.goto(address)
    expect(headline(page)).to_contain_text(AT_WORK)
    expect(page).to_have_title(re.compile(r"^(\d+ %|Training: step 0 of \d+|Comparing .*) · people · ftspace$"))
    expect(page.get_by_role("button", name="Stop and keep")).to_be_visible()
    picture(page, pictures, "live")

    expect(page.locator("#say-end")).to_contain_text("Finished.", timeout=4 * LONG)
    expect(page).to_have_title("Finished · people · ftspace")
    page.get_by_role("button", name="See the results").click(timeout=4 * LONG)
    expect(page.locator(".ft-verdict")).to_contain_text(re.compile("tuned model|No difference shown|Too few questions"))
    for part in ("What tuning gave", "What it lost", "Against a good prompt", "Noise floor"):
        expect(page.locator("#results h3", has_text=part)).to_be_visible()
    expect(page.locator("#results tbody tr").first).to_contain_text("Held-out rows")
    choose(page, "With", "Base with examples")
    expect(page.locator(".ft-sample figcaption", has_text="Base with examples").first).to_be_visible()
    choose(page, "With", "Tuned")
    expect(page.get_by_label("All (", exact=False)).to_be_checked()
    page.locator("#samples [data-sample]").nth(1).click()
    expect(page.locator(".ft-sample figure")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").or_(page.get_by_role("link", name="CSV")).first.click()
    assert download.value.path().read_text().startswith("task,metric,role,side,against,")
    picture(page, pictures, "results")

    page.get_by_role("tab", name="3 Compare").click()
    page.locator("#examples button").first.click()
    expect(page.locator("#question textarea")).not_to_have_value("")
    page.locator("#send").click()
    expect(page.locator("#base-answer").first).not_to_be_empty(timeout=LONG)
    expect(page.locator("#tuned-answer").first).not_to_be_empty()
    picture(page, pictures, "compare")

    expect(headline(phone)).to_have_text("Finished")  # it stayed open while there was no app
    phone.goto(address)
    expect(phone.locator(".ft-verdict")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    picture(phone, pictures, "results-phone")
    dark = visitor.open(dark=True)
    dark.goto(address)
    expect(dark.locator(".ft-verdict")).to_be_visible()
    picture(dark, pictures, "results-dark")
    dark.get_by_role("link", name="All runs").click()
    expect(dark.locator(".ft-runs li")).to_have_count(1)

    assert visitor.troubles == []
    assert app.faults == []


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
