"""From two ids on the Hub to a pushed adapter, in the app: typed, looked at beforehand, tuned, published, verified."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ftspace.hub.push.pushing import push_state
from ftspace.runs import RunStore
from ftspace.settings import ASSETS
from tests.e2e.conftest import App, Visitor, end
from tests.e2e.steps import LONG, pick, picture, set_number
from tests.loopback_hub import WRITER_TOKEN, Fault, LoopbackHub, serve

pytestmark = pytest.mark.browser


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[LoopbackHub, str]]:
    """A Hub with a gated base and a private dataset."""
    hub = LoopbackHub(tmp_path / "hub")
    base, rows = hub.root / "models" / "me" / "base", hub.root / "datasets" / "me" / "people"
    shutil.copytree(ASSETS / "base", base)
    (base / ".gated").touch()
    rows.mkdir(parents=True)
    (rows / ".private").touch()
    shutil.copy(ASSETS / "datasets" / "people.jsonl", rows / "train.jsonl")
    (rows / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    with serve(hub) as address:
        yield hub, address


@pytest.fixture
def app(hub: tuple[LoopbackHub, str], tmp_path: Path) -> Iterator[App]:
    variables = {"HF_ENDPOINT": hub[1], "HF_TOKEN": WRITER_TOKEN, "HF_HOME": str(tmp_path / "hf")}
    variables |= {
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "0",
        "FTSPACE_WARM": "1",
    }
    app = App(tmp_path / "data", **variables)
    app.start()
    yield app
    end(app)


def test_two_ids_of_the_hub_become_a_verified_adapter(
    hub: tuple[LoopbackHub, str], app: App, visitor: Visitor, pictures: Path | None
) -> None:
    page = visitor.open()
    page.goto(app.url)
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    pick(page, "Dataset", "me/peo", "me/people")
    expect(page.locator("#card-dataset")).to_contain_text("cc-by-4.0")
    pick(page, "Model", "me/ba", "me/base", lambda: picture(page, pictures, "pickers"))
    expect(page.locator("#card-model")).to_contain_text("apache-2.0")
    expect(page.locator(".ft-preview mark").first).to_contain_text("<|im_end|>")

    page.get_by_role("button", name="Continue").click()
    before = page.locator(".ft-before")
    expect(before).to_contain_text("Nothing stands in the way")
    before.locator("summary").click()
    expect(before).to_contain_text("to read the private dataset me/people")
    set_number(page, "Max steps", 8)
    set_number(page, "Questions a task", 20)
    picture(page, pictures, "before")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"\?run="))
    address = page.url
    expect(page.locator("#say-end")).to_contain_text("Finished.", timeout=LONG)

    publish(page)
    expect(page.locator("#push-repo textarea")).to_have_value("me/base-people-lora")
    page.get_by_role("button", name="Look at what is pushed").click()
    pushed = page.locator("#push-bundle")
    expect(pushed).to_contain_text("the dataset is private")
    hub[0].faults.append(Fault("delay", path="/commit/", seconds=6))
    page.get_by_role("button", name="Push", exact=True).click()
    expect(page.locator("#push-state h2")).to_have_text("Uploading to me/base-people-lora")

    page.reload()
    expect(page.get_by_role("tab", name="4 Results")).to_have_attribute("aria-selected", "true")
    publish(page)
    expect(page.locator("#push-state h2")).to_have_text("Uploading to me/base-people-lora")
    expect(page.locator("#push-state h2")).to_have_text("Pushed and verified")
    (run,) = RunStore(app.data_dir / "runs").list()
    record = push_state(run).verified
    assert record is not None and record.private
    expect(page.locator("#push-state")).to_contain_text(record.commit[:12])
    assert hub[0].store.repo("models", "me", "base-people-lora").head.id == record.commit
    page.get_by_role("button", name="Look at what is pushed").click()
    expect(pushed).to_contain_text("adapter_model.safetensors")
    picture(page, pictures, "publish")
    page.goto(address.replace("?run=", "report/"))
    expect(page.locator("h1")).to_have_text("me/base on me/people")
    picture(page, pictures, "report", whole=False)
    assert visitor.troubles == []
    assert app.faults == []


def publish(page: Page) -> None:
    page.get_by_role("tab", name="5 Publish").click()
