"""What an opened page is sent."""

import asyncio
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from ftspace.settings import read_settings
from ftspace.ui import opening
from ftspace.ui.app import Page, build_app

MOST = 75
"""Widgets that an opened start page changes, of more than five hundred."""


def asked(query: str = "") -> Any:
    return Request({"type": "http", "headers": [], "query_string": query.encode()})


async def _built(data_dir: Path) -> Page:  # where no loop is running Gradio makes one, and leaves it open
    return build_app(read_settings(data_dir, environ={"FTSPACE_WARM": "0"}))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return asyncio.run(_built(tmp_path_factory.mktemp("page") / "data"))


def test_an_opened_page_is_sent_what_it_does_not_show_yet(page: Page) -> None:
    loads = [one for one in page.blocks.fns.values() if one.fn and any(event == "load" for _, event in one.targets)]
    assert len(loads) == 2
    changed = [answer for one in loads if isinstance(answer := one.fn(asked()), dict)]  # pyright: ignore
    assert 0 < sum(map(len, changed)) <= MOST
    sent = {widget for one in changed for widget in one}
    assert not sent & {page.tune.fields[name] for name in ("train.learning_rate", "lora.r", "train.device")}
    assert page.tune.fields["train.max_steps"] in sent, "a number that was built with nothing shows 0"


def test_what_a_link_asks_for_is_sent(page: Page) -> None:
    run = page.desk.store.create(page.desk.draft("", page.desk.visitor(asked())))
    load = next(one for one in page.blocks.fns.values() if page.origin in one.outputs)
    assert load.fn is not None
    sent = load.fn(asked(f"from={run.id}&train.epochs=7"))
    assert sent[page.tune.fields["train.epochs"]] == 7
    assert sent[page.origin] == run.id


def test_only_what_is_the_same_is_left_out() -> None:
    asyncio.run(_left_out())


async def _left_out() -> None:
    with gr.Blocks():
        text, switch, number, none = gr.Textbox("a"), gr.Checkbox(value=True), gr.Number(1), gr.Number(None)
        hidden = gr.Column(visible=False)
        listed = gr.Dropdown(["a"], value="a")
    told: dict[Any, Any] = {text: "a", switch: 1, number: True, hidden: gr.update(visible=False)}
    told |= {listed: gr.update(choices=["b"], value="a"), none: None}
    assert set(opening.changes(told)) == {switch, number, listed, none}
    told = {text: "", switch: True, hidden: gr.update(visible=True), listed: gr.update(value="a")}
    assert set(opening.changes(told)) == {text, hidden}
    assert opening.changes({text: None, number: gr.update(minimum=3)})
