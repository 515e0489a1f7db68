"""A person's whole way on a desktop and a phone: pick, read, start, leave and come back, stop, go on, ask, vote, read
the results, publish. At each stop axe-core looks at it in both sizes, in the light and in the dark.
"""

import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ftspace.hub.push.pushing import push_state
from ftspace.labels import Label, write_label
from ftspace.runs import Run, RunStore
from ftspace.settings import ROOT
from tests.e2e.conftest import Visitor
from tests.e2e.everybody import PHONE, as_it_stands, looked_at
from tests.e2e.grounds import Ground, embedded, on_a_hub
from tests.e2e.steps import AT_WORK, LONG, arrived, at_rest, button, choose, headline, pick, picture, set_number, tab
from tests.loopback_hub import Fault, LoopbackHub

pytestmark = pytest.mark.browser
STEPS, QUESTIONS = 300, 20
"""Long enough to be stopped in the middle, and few questions to wait for."""


@dataclass
class Way:
    """The desktop and the phone that walk, and what was wrong on the way."""

    ground: Ground
    page: Page
    phone: Page
    pictures: Path | None
    address: str = ""
    wrong: list[str] = field(default_factory=list[str])

    def look(self, where: str) -> None:
        """Looks at the desktop's page in both sizes."""
        self.wrong += looked_at(self.page, where)

    def look_at_the_phone(self, where: str) -> None:
        self.wrong += as_it_stands(self.phone, f"{where}, a phone")

    def picture(self, name: str, *, whole: bool = True) -> None:
        """One of the desktop's pictures. Those of the Hub's way are the ones that only it can give."""
        if (self.ground.hub is not None) == (name in ("pickers", "before", "publish")):
            picture(self.page, self.pictures, name, whole=whole)

    @property
    def run(self) -> Run:
        (run,) = RunStore(self.ground.app.data_dir / "runs").list()
        return run


@pytest.fixture(params=[embedded, on_a_hub], ids=["embedded", "hub"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    with request.param(tmp_path) as found:
        yield found


def test_the_whole_way_is_walked(ground: Ground, visitor: Visitor, pictures: Path | None) -> None:
    phone = visitor.open(width=PHONE[0], height=PHONE[1], dark=True)
    way = Way(ground, visitor.open(), phone, pictures)
    for stop in (choose_both, say_how_to_read, start, leave_and_come_back, stop_and_keep, go_on_to_the_end):
        _timed(stop, way)
    for stop in (ask_both, vote, read_the_results, publish):
        _timed(stop, way)
    way.page.get_by_role("link", name="All runs").filter(visible=True).click()
    expect(way.page.locator(".ft-runs li")).to_have_count(1)
    if way.pictures and ground.hub is None:
        show_two_runs(way)
    assert not way.wrong, "\n".join(way.wrong)
    assert visitor.troubles == []
    assert ground.app.faults == []


def _timed(stop: Callable[[Way], None], way: Way) -> None:
    began = time.monotonic()
    stop(way)
    print(f"{stop.__name__}: {time.monotonic() - began:.1f} s", *way.wrong)


def choose_both(way: Way) -> None:
    page = way.page
    began = time.monotonic()
    page.goto(way.ground.app.url)
    expect(button(page, "Continue")).to_be_visible()
    print(f"first paint after {time.monotonic() - began:.1f} s")
    expect(page.locator(".ft-preview mark").first).to_contain_text("<|im_end|>")
    for label, typed, name in way.ground.picks:
        pick(page, label, typed, name, lambda: way.picture("pickers"))
    for card, words in way.ground.known:
        expect(page.locator(card)).to_contain_text(words)


def say_how_to_read(way: Way) -> None:
    """By the column of messages, or by the answer to the question which of two pairs is meant."""
    page = way.page
    if way.ground.hub is None:
        expect(page.locator(".ft-words").first).to_contain_text("Read as messages")
        way.picture("choose")
        tab(page, "Columns")
        page.get_by_label("A column of messages").check()
        expect(page.locator("#column-messages input")).to_have_value("messages")
        expect(page.locator("#mapping-example mark").first).to_contain_text("<|im_end|>")
    else:
        expect(page.locator(".ft-panel mark").first).to_contain_text("We will see to it.")
        page.locator("#reading").get_by_label("question/answer").check()
        expect(page.locator(".ft-panel mark").first).not_to_contain_text("We will see to it.")
    way.look("choose")


def start(way: Way) -> None:
    page = way.page
    button(page, "Continue").click()
    expect(page.locator(".ft-before")).to_contain_text("Nothing stands in the way")
    way.picture("tune")
    page.get_by_role("radio", name="Quick look").check()
    set_number(page, "Max steps", STEPS)
    set_number(page, "Questions a task", QUESTIONS)
    expect(page.locator(".ft-changes")).to_contain_text("2 settings differ from Quick look")
    outdated = page.get_by_text("Settings were changed since this was looked at")
    expect(outdated).to_be_visible()
    button(page, "Look again").click()
    expect(outdated).to_be_hidden()
    if way.ground.hub is not None:
        before = page.locator(".ft-before")
        before.locator("summary").click()
        expect(before).to_contain_text("to read the private dataset me/people")
        way.picture("before")
    way.look("tune")
    if way.pictures and way.ground.hub is None:  # the README's run is a whole one
        page.get_by_role("radio", name="Balanced").check()
    button(page, "Start").click()
    page.wait_for_url(re.compile(r"\?run=\d{8}-\d{6}-[0-9a-f]{12}$"))
    way.address = page.url


def leave_and_come_back(way: Way) -> None:
    page, phone = way.page, way.phone
    expect(headline(page)).to_contain_text("Training: step", timeout=LONG)
    page.reload()
    arrived(page, "2 Tune")
    expect(headline(page)).to_contain_text("Training: step")
    expect(page.locator(".ft-curve svg:visible").first).to_be_visible()
    phone.goto(way.address)
    arrived(phone, "2 Tune")
    expect(headline(phone)).to_contain_text("Training: step")
    expect(phone.locator(".ft-curve svg:visible").first).to_be_visible()


def stop_and_keep(way: Way) -> None:
    """On the phone; the desktop hears of it."""
    button(way.phone, re.compile("^Stop and keep")).click()
    for one in (way.phone, way.page):
        expect(headline(one)).to_have_text("Stopped", timeout=LONG)
    assert way.run.adapter.is_dir() and not way.run.results.exists()
    assert way.run.config.data.mapping == way.ground.mapping
    assert at_rest(way.page) <= 2
    way.look("stopped")


def go_on_to_the_end(way: Way) -> None:
    """From the checkpoint; on the way the app dies and is started anew, and both pages find it again."""
    page, phone, app = way.page, way.phone, way.ground.app
    button(page, re.compile("^Go on from step")).click()
    for one in (page, phone):
        expect(headline(one)).to_contain_text(AT_WORK, timeout=LONG)
    if way.ground.hub is None:
        app.kill()
        expect(phone.locator("#say-lost")).to_have_text("The connection is lost; trying again …")
        app.start()
        expect(phone.locator("#say-lost")).to_have_count(0)
        page.goto(way.address)
        arrived(page, "2 Tune")
        expect(headline(page)).to_contain_text(AT_WORK)
        expect(page).to_have_title(re.compile(r"^(\d+ %|Training: step 0 of \d+|[GC].*) · people · ftspace$"))
    expect(button(page, re.compile("^Stop and keep"))).to_be_visible()
    way.picture("live")
    way.look("live")
    way.look_at_the_phone("live")
    for one in (page, phone):  # the phone stayed open all the while
        expect(headline(one)).to_have_text("Finished", timeout=4 * LONG)
    expect(page).to_have_title(f"Finished · {way.ground.data} · ftspace")


def ask_both(way: Way) -> None:
    page = way.page
    button(page, "Ask both models").click()
    arrived(page, "3 Compare")
    page.locator("#examples button").first.click()
    expect(page.locator("#question textarea")).not_to_have_value("")
    button(page, "Ask both").click()
    expect(button(page, "Ask again")).to_be_visible(timeout=LONG)
    expect(page.locator("#base-answer")).not_to_be_empty()
    expect(page.locator("#tuned-answer")).not_to_be_empty()
    way.picture("compare")
    way.look("compare")


def vote(way: Way) -> None:
    """Two votes on the desktop, by a click and by a key, and a third on the phone, which counts them all."""
    page, phone = way.page, way.phone
    tab(page, "Vote blindly")
    button(page, "Begin").click()
    ballot = page.locator("#ballot section")
    expect(ballot).to_contain_text("1 of ")
    way.picture("vote")
    way.look("vote")
    button(page, re.compile("^A is better")).click()
    expect(ballot).to_contain_text("2 of ")
    ballot.press("2")
    expect(ballot).to_contain_text("3 of ")
    button(page, re.compile("^Show who wrote what")).click()
    expect(page.locator(".ft-vote-said")).to_contain_text(re.compile("A was by (Base|Tuned), B by (Base|Tuned)"))
    phone.goto(way.address)
    arrived(phone, "4 Results")
    tab(phone, "3 Compare")
    tab(phone, "Vote blindly")
    button(phone, "Go on").click()
    expect(phone.locator("#ballot section")).to_contain_text("3 of ")
    button(phone, re.compile("^Equal")).click()
    expect(phone.locator(".ft-vote-said")).to_contain_text("they are equal")
    button(phone, re.compile("^What the votes say")).click()
    expect(phone.locator(".ft-tally")).to_contain_text("3 votes of all who voted")
    way.look_at_the_phone("vote")


def read_the_results(way: Way) -> None:
    page, phone = way.page, way.phone
    tab(page, "4 Results")
    expect(page.locator(".ft-verdict")).to_contain_text(re.compile("tuned model|No difference shown|Too few questions"))
    for part in ("What tuning gave", "What it lost", "Against a good prompt", "Noise floor"):
        expect(page.locator("#results h3", has_text=part)).to_be_visible()
    expect(page.locator("#results tbody tr").first).to_contain_text("Held-out rows")
    choose(page, "With", "Base with examples")
    expect(page.locator(".ft-sample figcaption", has_text="Base with examples").first).to_be_visible()
    choose(page, "With", "Tuned")
    expect(page.get_by_label("All (", exact=False)).to_be_checked()
    page.locator("#samples [data-sample]").nth(1).click()
    expect(page.locator("#sample figure")).to_have_count(2)
    expect(page).to_have_url(re.compile("sample="))
    with page.expect_download() as download:
        button(page, "CSV").or_(page.get_by_role("link", name="CSV").filter(visible=True)).first.click()
    assert download.value.path().read_text().startswith("task,metric,role,side,against,")
    way.picture("results")
    way.look("results")
    tab(phone, "4 Results")
    expect(phone.locator(".ft-verdict")).to_be_visible()
    way.look_at_the_phone("results")
    if way.ground.hub is None and way.pictures:
        picture(phone, way.pictures, "results-phone")
        page.emulate_media(color_scheme="dark")
        page.goto(way.address)
        expect(page.locator(".ft-verdict")).to_be_visible()
        way.picture("results-dark")
        page.emulate_media(color_scheme="light")
        page.goto(way.address)
        arrived(page, "4 Results")


def publish(way: Way) -> None:
    """To the Hub and back from it, or, without one, told what is missing and taken along as files."""
    page = way.page
    tab(page, "5 Publish")
    if way.ground.hub is not None:
        _push(way, way.ground.hub)
    else:
        expect(page.locator("#push-ahead")).to_contain_text("This app is offline")
        with page.expect_download() as download:
            page.get_by_role("link", name=re.compile("^Adapter")).filter(visible=True).click()
        with zipfile.ZipFile(download.value.path()) as taken:
            assert {"adapter_config.json", "adapter_model.safetensors"} <= {Path(one).name for one in taken.namelist()}
    way.look("publish")
    tab(way.phone, "5 Publish")
    expect(way.phone.locator("#take-along")).to_be_visible()
    way.look_at_the_phone("publish")
    page.goto(way.address.replace("?run=", "report/"))
    expect(page.locator("h1")).to_have_text(way.ground.title)
    way.picture("report", whole=False)
    page.goto(way.address)
    arrived(page, "4 Results")


def show_two_runs(way: Way) -> None:
    """Another run of a lower rank beside the one that was walked with: only for their pictures."""
    page, walked = way.page, way.run
    words = ["-m", "ftspace", "run", "--data-dir", str(way.ground.app.data_dir), "--lora.r", "2"]
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True, timeout=LONG / 1000 * 4)
    for run in RunStore(way.ground.app.data_dir / "runs").list():
        rank = "Rank sixteen" if run.id == walked.id else "Rank two"
        note = "which rank is enough?" if run.id == walked.id else ""
        write_label(run, Label(title=rank, tags=("people", "ranks"), note=note))
    page.goto(f"{way.ground.app.url}?runs")
    expect(page.locator(".ft-runs li")).to_have_count(2)
    way.picture("gallery")
    for one in ("Rank two", "Rank sixteen"):
        page.get_by_label(f"Choose {one} to compare it").check()
    button(page, "Compare").click()
    expect(page.locator("#several")).to_contain_text("2 runs compared")
    way.picture("several")


def _push(way: Way, hub: LoopbackHub) -> None:
    page = way.page
    expect(page.locator("#push-repo textarea")).to_have_value("me/base-people-lora")
    button(page, "Look at what is pushed").click()
    pushed = page.locator("#push-bundle")
    expect(pushed).to_contain_text("the dataset is private")
    hub.faults.append(Fault("delay", path="/commit/", seconds=6))
    button(page, "Push").click()
    state = page.locator("#push-state h2")
    expect(state).to_have_text("Uploading to me/base-people-lora")
    page.reload()
    arrived(page, "4 Results")
    tab(page, "5 Publish")
    expect(state).to_have_text("Uploading to me/base-people-lora")
    expect(state).to_have_text("Pushed and verified")
    record = push_state(way.run).verified
    assert record is not None and record.private
    expect(page.locator("#push-state")).to_contain_text(record.commit[:12])
    assert hub.store.repo("models", "me", "base-people-lora").head.id == record.commit
    button(page, "Look at what is pushed").click()
    expect(pushed).to_contain_text("adapter_model.safetensors")
    way.picture("publish")
