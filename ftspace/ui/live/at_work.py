"""A run at work and after it: what its folder tells, and what its owner may do with it. Takes the form's place."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

from ftspace import jobs, queue
from ftspace.errors import FtspaceError
from ftspace.redact import redact
from ftspace.runs import Run
from ftspace.state import TERMINAL
from ftspace.ui import markup, views
from ftspace.ui.desk import Desk
from ftspace.ui.live import live_markup
from ftspace.ui.live.following import Made
from ftspace.ui.visitors import token_of

_LOG_BYTES = 20_000
_STOP = "Stop and keep what is learnt"
_DISCARD = "Stop and discard …"
_ASKED = (
    "Stop this run and keep nothing of it? Its adapter, its checkpoints and its answers are deleted for good; its "
    "settings and this page stay."
)
_FOCUS = """() => requestAnimationFrame(() => {
  const place = document.getElementById("discard-not");
  place?.scrollIntoView({block: "nearest"});
  place?.focus();
})"""
_BACK = "() => requestAnimationFrame(() => document.getElementById('discard')?.focus())"
_CANCEL = "Cancel"


class AtWork:
    """The live view and its buttons."""

    def __init__(self, desk: Desk) -> None:
        """Builds them inside the tab that is open; hidden until a run is."""
        self._desk = desk
        with gr.Column(visible=False) as self.panel:
            with gr.Row():
                self.earlier = gr.Button("Earlier", visible=False, elem_id="earlier")
                self.later = gr.Button("Later", visible=False, elem_id="later")
                self.stop = gr.Button(_STOP, visible=False, elem_id="stop")
                self.discard = gr.Button(_DISCARD, visible=False, elem_id="discard")
                self.go_on = gr.Button("Go on", variant="primary", visible=False, elem_id="go-on")
                self.see = gr.Button("See the results", variant="primary", visible=False, elem_id="see-results")
                self.ask = gr.Button("Ask both models", visible=False, elem_id="ask-both")
            with gr.Column(visible=False, elem_id="discard-ask", elem_classes="ft-ask") as self.asked:
                gr.HTML(markup.note(_ASKED, "warn"))
                with gr.Row():
                    self.sure = gr.Button("Discard it", variant="stop", elem_id="discard-sure")
                    self.not_sure = gr.Button("Let it go on", elem_id="discard-not")
            self.told = gr.HTML()
            self.state = gr.HTML()
            with gr.Accordion("The last lines of the log", open=False, visible=False) as self.log_box:
                self.log = gr.Textbox(
                    show_label=False, lines=10, max_lines=20, interactive=False, elem_classes="ft-log"
                )
        self.acts: list[tuple[gr.Button, Callable[[str, gr.Request], str]]] = [
            (self.stop, self.end),
            (self.sure, self.throw_away),
            (self.go_on, self.resume),
            (self.earlier, self.bring_forward),
            (self.later, self.put_back),
        ]
        self.outputs: list[Any] = [
            self.state, self.earlier, self.later, self.stop, self.discard, self.asked, self.go_on, self.see, self.ask,
            self.log_box, self.log,
        ]  # fmt: skip
        quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        self.discard.click(lambda: gr.update(visible=True), None, self.asked, **quiet).then(None, js=_FOCUS, **quiet)
        gr.on([self.sure.click, self.not_sure.click], lambda: gr.update(visible=False), None, self.asked, **quiet).then(
            None, js=_BACK, **quiet
        )

    def look(self, run: Run, made: Made, *, may_change: bool) -> list[Any]:
        """Updates for `outputs`: what there is to say of a run, and what may be done with it."""
        status = made.status
        over = status in TERMINAL
        stoppable = may_change and status in ("queued", "running", "waiting for GPU time")
        waits = may_change and status == "queued"
        return [
            live_markup.shown(made.html, made.tag),
            gr.update(visible=waits),
            gr.update(visible=waits),
            gr.update(
                value=_CANCEL if status == "queued" else _STOP,
                visible=stoppable,
                interactive=True,
            ),
            gr.update(visible=(stoppable or (may_change and status == "stopping")) and queue.may_discard(run)),
            gr.update(visible=False) if over else gr.skip(),
            gr.update(value=made.go_on, visible=may_change and bool(made.go_on), interactive=True),
            gr.update(visible=over and run.results.exists()),
            gr.update(visible=over and run.adapter.is_dir()),
            gr.update(visible=over and may_change, open=status in ("failed", "interrupted")),
            _log_tail(run) if over and may_change else "",
        ]

    def end(self, run_id: str, request: gr.Request) -> str:
        """Asks the run to stop; a note when it cannot be."""
        return self._do(run_id, request, jobs.stop)

    def throw_away(self, run_id: str, request: gr.Request) -> str:
        """Asks the run to stop with nothing kept; a note when it cannot be."""
        return self._do(run_id, request, partial(jobs.stop, discard=True))

    def resume(self, run_id: str, request: gr.Request) -> str:
        """Lets the run go on from its newest checkpoint; a note when it cannot."""

        def go_on(run: Run) -> None:
            self._desk.admit(request, "start")
            jobs.resume(run, token_of(request))

        return self._do(run_id, request, go_on)

    def bring_forward(self, run_id: str, request: gr.Request) -> str:
        """Lets a run that waits come one place earlier among its owner's; a note when it cannot be."""
        return self._do(run_id, request, lambda run: queue.move(run, -1))

    def put_back(self, run_id: str, request: gr.Request) -> str:
        """The same, one place later."""
        return self._do(run_id, request, lambda run: queue.move(run, 1))

    def _do(self, run_id: str, request: gr.Request, act: Callable[[Run], None]) -> str:
        """Does something to a run that is the visitor's; a note on what is in the way."""
        try:
            act(self._desk.own(run_id, self._desk.visitor(request)))
        except FtspaceError as error:
            return markup.note(str(error), "bad")
        self._desk.followers.of(run_id).void()
        return ""


_SILENT = "It printed nothing."


def _log_tail(run: Run) -> str:
    try:
        with run.log.open("rb") as file:
            file.seek(max(0, run.log.stat().st_size - _LOG_BYTES))
            return redact(views.tail(file.read().decode(errors="replace"))) or _SILENT
    except OSError:
        return _SILENT
