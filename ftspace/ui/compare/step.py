"""Step 3: did anything change, what do base and tuned answer. The models live in the inference server."""

from typing import Any

import gradio as gr

from evals.errors import LogError
from evals.results import read_results
from ftspace.access import Visitor
from ftspace.errors import FtspaceError
from ftspace.report.changed import Changed, changed
from ftspace.runs import Run
from ftspace.state import TERMINAL
from ftspace.ui import markup
from ftspace.ui.compare import chat_markup
from ftspace.ui.compare.chat import ChatTab
from ftspace.ui.compare.manner import Manner
from ftspace.ui.compare.prompt_sets import ManyTab
from ftspace.ui.compare.voting import Voting
from ftspace.ui.desk import Desk
from ftspace.ui.guests import OwnersOnly
from ftspace.ui.part import Updates

_WHO = "Both models can be asked by those who may start runs here."
_NO_ADAPTER = markup.empty("Nothing to compare yet", "Once a run has trained an adapter, ask both models here.")


class Compare:
    """The step's widgets, a part of the page (`Part`)."""

    def __init__(self, desk: Desk, run_id: gr.Textbox) -> None:
        """Builds the step inside the tab that is open; `run_id` holds the id of the run that is open."""
        self._desk = desk
        self._nothing = gr.HTML(_NO_ADAPTER)
        with gr.Column(visible=False) as self._panel:
            self._changed = gr.HTML(elem_id="changed")
            with gr.Column() as self._how:
                self._manner = Manner(desk)
            with gr.Tabs(elem_id="asking"):
                with gr.Tab("Ask", id="ask"):
                    self._asking = OwnersOnly()
                    with self._asking.step:
                        self._chat = ChatTab(desk, run_id, self._manner)
                with gr.Tab("Many questions", id="many"):
                    self._putting = OwnersOnly()
                    with self._putting.step:
                        self._many = ManyTab(desk, run_id, self._manner)
                with gr.Tab("Vote blindly", id="vote"):
                    self.voting = Voting(desk, run_id)
        self._inner = (self._manner, self._chat, self._many, self.voting)
        self.outputs: list[Any] = [
            self._nothing,
            self._panel,
            self._changed,
            self._how,
            *self._asking.outputs,
            *self._putting.outputs,
            *(widget for part in self._inner for widget in part.outputs),
        ]

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """The step of a page that is opened: nothing asked yet."""
        updates: Updates = {}
        for part in self._inner:
            updates |= part.show(run, visitor)
        for gate in (self._asking, self._putting):
            updates |= gate.show(_WHO, visitor)
        return updates | {self._how: gr.update(visible=visitor.may_start)} | self._whole(run)

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """What has come since; questions and answers stay."""
        updates: Updates = {}
        for part in self._inner:
            updates |= part.news(run, visitor)
        return updates | self._whole(run)

    def _whole(self, run: Run | None) -> Updates:
        ready = run is not None and run.adapter.is_dir()
        return {
            self._nothing: "" if ready else _NO_ADAPTER,
            self._panel: gr.update(visible=ready),
            self._changed: chat_markup.changed(found(self._desk, run)) if run is not None and ready else "",
        }


def found(desk: Desk, run: Run) -> Changed:
    """Did anything change, or when that will be known."""
    try:
        if run.results.exists():
            return changed(read_results(run.results))
        over = desk.followers.of(run.id).look().status in TERMINAL
    except (FtspaceError, LogError) as error:
        return Changed(f"That cannot be read: {error}", (), "bad")
    if not over:
        return Changed("Known when the run has answered its tasks. Until then ask for yourself.", (), "busy")
    why = f"The run ended without results: compare it under Results, or type ftspace runs evaluate {run.id}"
    return Changed("Not known: nothing was compared.", (why,), "idle")
