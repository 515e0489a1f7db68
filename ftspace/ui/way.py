"""The way through the page: which of its steps are done, and which have nothing to show yet, and why.

steps.js marks the steps so; this part also keeps the open run's status in the page's head.
"""

import json
from collections.abc import Mapping
from html import escape
from typing import Any, Literal

import gradio as gr

from ftspace.access import Visitor
from ftspace.errors import FtspaceError
from ftspace.hub.push.pushing import push_state
from ftspace.runs import Run
from ftspace.state import TERMINAL
from ftspace.ui import markup, tour
from ftspace.ui.desk import Desk
from ftspace.words import STATUS_WORDS, TONES

Updates = dict[Any, Any]
State = Literal["done", "open", "later"]
_NO_ADAPTER = "There is something to {do} once a run has trained an adapter."
_NO_RESULTS = "There are results once a run has asked both models."


def steps(*, run: bool, over: bool = False, adapter: bool = False, results: bool = False, pushed: bool = False) -> (
    dict[str, tuple[State, str]]
):  # fmt: skip
    """Each step by its id: how far it is, and why there is nothing in it yet."""
    compare, publish = _NO_ADAPTER.format(do="ask"), _NO_ADAPTER.format(do="publish")
    return {
        "choose": ("done" if run else "open", ""),
        "tune": ("done" if over and adapter else "open", ""),
        "compare": ("open", "") if adapter else ("later", compare),
        "results": ("done", "") if results else ("later", _NO_RESULTS),
        "publish": ("done" if pushed else "open", "") if adapter else ("later", publish),
    }


def told(found: Mapping[str, tuple[State, str]], *, with_tour: bool, known: str = "") -> str:
    """What the page's scripts read: the steps, the tour's stops for those who can walk it, and what the page knows."""
    said = {"steps": found, "tour": tour.told() if with_tour else [], "known": known}
    return f'<div data-way="{escape(json.dumps(said))}"></div>'


class Way:
    """The part of the page: a hidden note to the scripts, and the head."""

    def __init__(self, desk: Desk, head: gr.HTML) -> None:
        """Builds the note where the page stands now; `head` is the page's head."""
        self._desk, self._head = desk, head
        self._told = gr.HTML(told(steps(run=False), with_tour=False), elem_id="way", elem_classes="ft-hidden")
        self.outputs: list[Any] = [self._told, head]

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """The steps for an opened page, and its head."""
        if run is None:
            found = steps(run=False)
            return {self._told: told(found, with_tour=visitor.may_start), self._head: markup.header(None)}
        return self.news(run, visitor)

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """The same for a run, as it is now."""
        made = self._desk.followers.of(run.id).look()
        found = steps(
            run=True,
            over=made.status in TERMINAL,
            adapter=run.adapter.is_dir(),
            results=run.results.exists(),
            pushed=_is_pushed(run),
        )
        head = markup.header(self._desk.line(run), (STATUS_WORDS[made.status], TONES[made.status]))
        return {self._told: told(found, with_tour=visitor.may_start, known=made.known), self._head: head}


def _is_pushed(run: Run) -> bool:
    try:
        return push_state(run).verified is not None
    except FtspaceError:
        return False
