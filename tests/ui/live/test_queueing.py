"""The place of runs that wait, and the buttons that change it: only their owner's clicks do anything."""

import asyncio
from itertools import product
from typing import Any

import gradio as gr
import pytest

from ftspace import jobs, queue
from ftspace.access import NOBODY, OWNER, Access, Visitor
from ftspace.config import default_config
from ftspace.runs import Run, RunStore
from ftspace.settings import Settings
from ftspace.ui import desk
from ftspace.ui.desk import Desk
from ftspace.ui.live import at_work, queueing
from ftspace.ui.live.queueing import turn_of


@pytest.fixture
def line(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Three runs that wait, and nobody who looks after them."""
    monkeypatch.setattr(jobs, "look_after", lambda store: None)
    monkeypatch.setattr(queue, "SECONDS", 0.0, raising=False)
    runs = [store.create(default_config(), Access(owner="ada")) for _ in range(3)]
    for run in runs:
        queue.enqueue(run, token=False, most=5)
    return runs


@pytest.fixture
def step(store: RunStore) -> at_work.AtWork:
    settings = Settings(store.runs_dir.parent, "127.0.0.1", 7860, None, hub_token=False, space_id=None)

    async def build() -> at_work.AtWork:  # in a loop, as gradio leaves those open that it makes for itself
        with gr.Blocks():
            return at_work.AtWork(Desk.of(settings))

    return asyncio.run(build())


def places(store: RunStore, line: list[Run]) -> list[int | None]:
    turns = [turn_of(store, run) for run in line]
    return [turn.place if turn else None for turn in turns]


def test_runs_that_wait_have_places(store: RunStore, line: list[Run]) -> None:
    assert places(store, line) == [1, 2, 3]
    assert queueing.turn_of(store, store.create(default_config())) is None


def test_their_owner_moves_and_cancels_them(
    store: RunStore, line: list[Run], step: at_work.AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "visitor_of", lambda request, settings: Visitor("ada", may_start=True))
    request: Any = None
    assert step.bring_forward(line[2].id, request) == ""
    assert places(store, line) == [1, 3, 2]
    assert step.put_back(line[0].id, request) == ""
    assert places(store, line) == [2, 3, 1]
    assert step.end(line[0].id, request) == ""
    assert places(store, line) == [None, 2, 1]
    assert "not" in step.put_back(line[0].id, request)


def test_nobody_else_does(
    store: RunStore, line: list[Run], step: at_work.AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    line[1].share(public=True)
    request: Any = None
    for visitor in (NOBODY, OWNER, Visitor("eve", may_start=True)):
        monkeypatch.setattr(desk, "visitor_of", lambda request, settings, who=visitor: who)
        for run, (_, act) in product(line, step.acts):
            assert 'role="alert"' in act(run.id, request)
    assert places(store, line) == [1, 2, 3]
    assert not any(run.stop_flag.exists() for run in line)
