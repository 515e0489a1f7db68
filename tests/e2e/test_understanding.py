"""Step 1 beyond the default way: a dataset that can be read in two ways is asked about, looked through and reviewed."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ftspace.data.review import read_review
from ftspace.runs import RunStore
from tests.e2e.conftest import App, Visitor
from tests.e2e.steps import picture, set_number, tab

pytestmark = pytest.mark.browser
THINGS = ["lamp", "kettle", "clock", "radio", "fan", "scale", "heater", "printer", "doorbell", "camera"]


def rows() -> list[dict[str, str]]:
    found = [
        {
            "question": f"How do I reset the {thing} of room {room}?",
            "answer": f"Hold the button of the {thing} for {room} seconds, then let it go.",
            "prompt": f"{thing} {room}",
            "response": f"ticket {room}",
        }
        for room in range(1, 7)
        for thing in THINGS
    ]
    found[3]["answer"] = "As an AI language model, I cannot help with that."
    found[7]["answer"] += " Or write to ada@lovelace-mail.com."
    return found + found[:6]


def test_a_dataset_is_understood_before_it_is_trained(
    app: App, visitor: Visitor, pictures: Path | None, tmp_path: Path
) -> None:
    page = visitor.open()
    page.goto(app.url)
    expect(page.locator(".ft-preview mark").first).to_be_visible()

    tab(page, "Tokens")
    expect(page.locator(".ft-tokens .ft-trained").first).to_be_visible()
    page.locator(".ft-tokens [data-token]").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".ft-token-told")).to_have_text(re.compile(r" · id \d+ · only read"))
    picture(page, pictures, "tokens", of="#panel")
    page.locator("#lab-length input").fill("8")
    expect(page.locator("#token-checks li").first).to_contain_text("To do: raise train.max_length")
    page.locator("#lab-on").click()
    expect(page.locator(".ft-tokens .ft-cut").first).to_be_visible()
    expect(page.locator("#lab-tokens")).to_contain_text("Row 2 of 300: 8 tokens kept, 0 trained")
    tab(page, "Rows")

    path = tmp_path / "help desk.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    page.get_by_label("Dataset", exact=True).fill(str(path))
    page.keyboard.press("Enter")
    question = page.locator("#reading")
    expect(question).to_be_visible()
    expect(page.locator(".ft-panel mark").first).to_contain_text("ticket 1")
    question.get_by_label("question/answer").check()
    expect(page.locator(".ft-panel mark").first).to_contain_text("Hold the button")

    tab(page, "Columns")
    page.get_by_label("Templates", exact=True).check()
    template = page.locator("#prompt-template textarea")
    expect(template).to_have_value("{question}")
    template.fill("Help: {qestion}")
    expect(page.locator("#mapping-trouble")).to_contain_text("no column qestion; did you mean question")
    template.fill("### Question: {question}")
    expect(page.locator("#mapping-example")).to_contain_text("### Question: How do I reset the lamp")
    expect(page.locator("#mapping-example mark").first).to_contain_text("Hold the button")
    picture(page, pictures, "columns", of="#panel")

    tab(page, "Checks")
    page.get_by_role("button", name="Look through the rows").click()
    expect(page.locator(".ft-report")).to_contain_text("findings in the first 66 rows")
    page.get_by_label("Rows that say the same as an earlier one").check()
    page.locator(".ft-found summary").first.click()
    expect(page.locator(".ft-found li").first).to_contain_text("row 61")
    picture(page, pictures, "checks", of="#panel")

    tab(page, "Review")
    expect(page.locator(".ft-turns")).to_contain_text("Row 1")
    page.get_by_role("button", name="Drop").click()
    expect(page.locator(".ft-turns")).to_contain_text("Row 2")
    page.keyboard.press("k")
    expect(page.locator(".ft-turns")).to_contain_text("Row 3")
    page.locator("#review-note textarea").fill("which button?")
    page.locator("#review-note textarea").press("Enter")
    expect(page.locator(".ft-noted")).to_contain_text("which button?")
    expect(page.get_by_text("of 66 looked at, 2 dropped")).to_be_visible()  # row 61 says the same as row 1
    picture(page, pictures, "review", of="#panel")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280

    page.get_by_role("button", name="Continue").click()
    set_number(page, "Max steps", 1)
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"\?run="))
    (run,) = RunStore(app.data_dir / "runs").list()
    data = run.config.data
    assert (data.prompt_template, data.completion_template) == ("### Question: {question}", "{answer}")
    assert (data.mapping, data.filters) == (None, ["duplicate"])
    assert data.review is not None and Path(data.review).parent == app.data_dir / "reviews" / "@local"
    assert sorted((one.keep, one.note) for one in read_review(Path(data.review)).values()) == [
        (False, ""),
        (True, ""),
        (True, "which button?"),
    ]

    phone = visitor.open(width=390, height=844)
    phone.goto(f"{app.url}?from={run.id}")
    expect(phone.locator(".ft-panel mark").first).to_contain_text("Hold the button")
    tab(phone, "Checks")
    expect(phone.get_by_label("Rows that say the same as an earlier one")).to_be_checked()
    tab(phone, "Review")
    expect(phone.get_by_text("of 66 looked at, 2 dropped")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert visitor.troubles == []
    assert app.faults == []
