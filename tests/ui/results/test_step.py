"""Steps 3 and 4 through the page's own handlers: what is sent to a browser, and to whom."""

import asyncio
import inspect
import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr
import pytest
from starlette.requests import Request

from ftspace.access import Access
from ftspace.runs import Run, RunStore
from ftspace.settings import read_settings
from ftspace.ui.app import Page, build_app
from tests.report.made import made
from tests.test_voting import COUNT, NAMES, answered
from tests.ui.test_markup_safety import EVIL

BASE, TUNED = [1.0] * 40 + [0.0] * 80, [0.0] * 40 + [1.0] * 60 + [0.0] * 20


class Browser:
    """Calls handlers as widgets do, with what the browser holds in them, and keeps what they answer."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.held: dict[Any, Any] = {}
        self.heard: list[str] = []
        self.query: dict[str, str] = {}

    def open(self, **query: str) -> None:
        self.query = query
        self._take(self.page._open(self._request()))  # pyright: ignore

    def do(self, widget: Any, event: str, data: dict[str, Any] | None = None) -> None:
        """One event, and what follows it."""
        (call,) = (one for one in self.page.blocks.fns.values() if (widget._id, event) in one.targets)  # pyright: ignore
        self._call(call, data)
        for one in self.page.blocks.fns.values():
            if one.trigger_after == call._id and one.fn:  # pyright: ignore
                self._call(one, None)

    def _call(self, call: Any, data: dict[str, Any] | None) -> None:
        sent = [self.held.get(one, getattr(one, "value", None)) for one in call.inputs]
        given = {"request": self._request()} | ({"event": gr.EventData(None, data)} if data is not None else {})
        names = iter(sent)
        bound = [given.get(name) if name in given else next(names) for name in _positional(call.fn, len(sent))]
        answer = call.fn(*bound)
        for updates in answer if inspect.isgenerator(answer) else [answer]:
            self._take(updates if isinstance(updates, dict) else {call.outputs[0]: updates})

    def _request(self) -> Any:
        return Request({"type": "http", "headers": [], "query_string": urlencode(self.query).encode()})

    def _take(self, updates: dict[Any, Any]) -> None:
        for widget, update in updates.items():
            value = update.get("value", self.held.get(widget)) if isinstance(update, dict) else update
            self.held[widget] = value
            self.heard.append(json.dumps(update, default=str))


def _positional(fn: Any, count: int) -> list[str]:
    """The names of a handler's arguments in order, of those that take any number as many as are sent."""
    names = [one.name for one in inspect.signature(fn).parameters.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
    return [*names, *(f"more {place}" for place in range(count - len([one for one in names if one not in _GIVEN])))]


_GIVEN = ("request", "event")


async def _built(data_dir: Path) -> Page:  # where no loop is running Gradio makes one, and leaves it open
    return build_app(read_settings(data_dir))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    yield asyncio.run(_built(tmp_path_factory.mktemp("page")))


@pytest.fixture
def browser(page: Page) -> Browser:
    return Browser(page)


@pytest.fixture
def store(page: Page) -> RunStore:
    return page.desk.store


def test_an_address_opens_what_it_names_and_each_click_says_the_next(browser: Browser, store: RunStore) -> None:
    run = made(store, BASE, TUNED)
    drill = browser.page.results.drill
    browser.open(run=run.id, show="wrong-to-right", find="asked 9")
    browser.do(drill.wanted, "seen")
    listed, opened = browser.held[drill.list], browser.held[drill.detail]
    assert "10 questions, worst first" in listed and f"run={run.id}&amp;show=wrong-to-right&amp;find=asked+9" in listed
    assert "text asked 9" in opened and "1 of 10" in opened and "exact_match" in opened
    assert (browser.held[drill.only], browser.held[drill.find]) == ("wrong to right", "asked 9")
    assert "40 of 120 answers are worth less" in browser.held[drill.worst]

    browser.do(drill.on, "click")
    assert "2 of 10" in browser.held[drill.detail] and "sample=91" in browser.held[drill.list]
    browser.do(drill.back, "click")
    browser.do(drill.back, "click")
    assert "1 of 10" in browser.held[drill.detail]
    browser.held |= {drill.find: "", drill.only: "all"}
    browser.do(drill.find, "input")
    assert "120 questions" in browser.held[drill.list] and 'data-sample="0"' in browser.held[drill.list]
    browser.do(drill.list, "pick", {"page": "3"})
    assert "101 to 120 of 120" in browser.held[drill.list] and "101 of 120" in browser.held[drill.detail]
    browser.do(drill.list, "pick", {"sample": "7"})
    assert "text asked 7" in browser.held[drill.detail] and "1 to 50 of 120" in browser.held[drill.list]
    browser.held[drill.find] = "nothing is like this"
    browser.do(drill.find, "input")
    assert "take a filter off" in browser.held[drill.list] and not browser.held[drill.detail]
    browser.held[drill.task] = "../../secret"
    browser.do(drill.find, "input")
    assert "has no task" in browser.held[drill.detail]


@pytest.mark.parametrize("evil", EVIL)
def test_what_models_and_visitors_write_stays_text(browser: Browser, store: RunStore, evil: str) -> None:
    run = made(store, [1.0, 0.0], [0.0, 1.0], text=evil)
    browser.open(run=run.id, find=evil[:50])
    browser.do(browser.page.results.drill.wanted, "seen")
    browser.do(browser.page.compare.voting.begin, "click")
    html = "".join(str(value) for widget, value in browser.held.items() if isinstance(widget, gr.HTML))
    assert escape(evil) in html
    assert "<img" not in html and "<script" not in html and 'onmouseover="' not in html and "<svg/" not in html


def test_no_answer_to_a_voter_says_whose_answers_these_are(browser: Browser, store: RunStore) -> None:
    run = answered(store)
    voting = browser.page.compare.voting
    browser.open(run=run.id)
    browser.heard.clear()
    browser.do(voting.begin, "click")
    for widget in (voting.a, voting.b, voting.equal, voting.skip, voting.undo):
        browser.do(widget, "click")
    said = "".join(one for one in browser.heard if "ft-tally" not in one)
    assert "3 of 12" in said and not any(name in said for name in NAMES)
    assert "too few votes to tell: 2 of 30" in browser.held[voting.tally]
    browser.do(voting.reveal, "click")
    assert "Base" in browser.held[voting.last] and "Tuned" in browser.held[voting.last]
    before = browser.held[voting.last]
    browser.do(voting.undo, "click")
    assert browser.held[voting.last] == before, "what one was told of cannot be taken back"
    for _ in range(COUNT):
        browser.do(voting.a, "click")
    assert "All 12 are voted on" in browser.held[voting.ballot]


def test_who_may_only_look_reads_what_the_votes_say(browser: Browser, store: RunStore) -> None:
    run = answered(store)
    voting, results = browser.page.compare.voting, browser.page.results
    browser.open(run=run.id)
    browser.do(voting.begin, "click")
    browser.do(voting.a, "click")
    (run.path / "access.json").write_text(Access(owner="ann", public=True).model_dump_json())
    browser.open(run=run.id)
    assert "owner votes" in browser.held[voting.words] and not browser.held[voting.ballot]
    for widget, told in ((voting.a, voting.told), (results.every, results.told)):
        browser.do(widget, "click")
        assert "only the owner" in browser.held[told]
    assert len((run.evals / "votes.jsonl").read_text().splitlines()) == 1
    browser.do(voting.box, "expand")
    assert "1 vote of all" in browser.held[voting.tally]


def test_all_answers_are_files_of_the_owners(browser: Browser, store: RunStore) -> None:
    results, run = browser.page.results, made(store, BASE, TUNED)
    browser.open(run=run.id)
    browser.do(results.every, "click")
    files = [Path(browser.held[one]) for one in (results.parquet, results.rows)]
    assert all(file.stat().st_size > 1000 and file.name.startswith(f"answers-{run.id}.") for file in files)
    assert "240 answers" in browser.held[results.told]


def test_a_run_without_results_can_be_compared_where_that_is_all_it_lacks(
    browser: Browser, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Run] = []
    monkeypatch.setattr("ftspace.jobs.evaluate", lambda run, token: asked.append(run))
    run = made(store, BASE, TUNED)
    run.results.unlink()
    nothing = browser.page.results.nothing
    browser.open(run=run.id)
    assert "Nothing was compared" in browser.held[nothing.words]
    browser.do(nothing.compare, "click")
    assert [one.id for one in asked] == [run.id] and "queued" in browser.held[nothing.told]
