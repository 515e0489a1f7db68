"""Step 2: settings and Start; then the run at work, as its folder tells it. Starting returns at once."""

from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.components import Component

from ftspace import jobs, preflight, queue
from ftspace.access import Access, Visitor
from ftspace.config import RunConfig, anchor
from ftspace.errors import FtspaceError
from ftspace.redact import redact
from ftspace.runs import Run
from ftspace.state import TERMINAL
from ftspace.ui import form, markup, views
from ftspace.ui.choice import Choice
from ftspace.ui.desk import Desk
from ftspace.ui.following import Made
from ftspace.ui.preflight import Before
from ftspace.ui.visitors import token_of

_LOG_BYTES = 20_000
_STOP = "Stop and keep what is learnt"
_CANCEL = "Cancel"


class Tune:
    """The step's widgets: the form, and the live view that takes its place."""

    def __init__(self, desk: Desk) -> None:
        """Builds the step inside the tab that is open."""
        self._desk = desk
        with gr.Column() as self.form:
            gr.HTML(markup.heading("How thoroughly?", "Pick a pace. Every number can be changed, none has to be."))
            self.preset = gr.Radio(
                [one.name for one in form.PRESETS], value=form.BALANCED.name, label="Pace", elem_classes="ft-presets"
            )
            self.words = gr.HTML(markup.note(form.BALANCED.words))
            self.fields: dict[str, Component] = {}
            self._grid(form.MAIN, 3)
            self.fields[form.TASKS] = form.widget(form.TASKS)
            with gr.Accordion("More settings", open=False):
                self._grid(form.MORE, 2)
                self.fields[form.FORGETTING] = form.widget(form.FORGETTING)
            self.before = Before(desk, self._composed)
            self.trouble = gr.HTML()
            self.start = gr.Button("Start", variant="primary", size="lg", elem_id="start")
        with gr.Column(visible=False) as self.live:
            self.state = gr.HTML()
            with gr.Row():
                self.earlier = gr.Button("Earlier", visible=False, elem_id="earlier")
                self.later = gr.Button("Later", visible=False, elem_id="later")
                self.stop = gr.Button(_STOP, visible=False, elem_id="stop")
                self.go_on = gr.Button("Go on", variant="primary", visible=False, elem_id="go-on")
                self.see = gr.Button("See the results", variant="primary", visible=False, elem_id="see-results")
                self.ask = gr.Button("Ask both models", visible=False, elem_id="ask-both")
            self.told = gr.HTML()
            with gr.Accordion("The last lines of the log", open=False, visible=False) as self.log_box:
                self.log = gr.Textbox(
                    show_label=False, lines=10, max_lines=20, interactive=False, elem_classes="ft-log"
                )
        self.acts: list[tuple[gr.Button, Callable[[str, gr.Request], str]]] = [
            (self.stop, self.end),
            (self.go_on, self.resume),
            (self.earlier, self.bring_forward),
            (self.later, self.put_back),
        ]
        self.paced: list[Any] = [self.words, *(self.fields[name] for name in form.SET)]
        self.outputs: list[Any] = [self.form, self.live, *self._values(), self.trouble]
        self.live_outputs: list[Any] = [
            self.state, self.earlier, self.later, self.stop, self.go_on, self.see, self.ask, self.log_box, self.log
        ]  # fmt: skip

    def inputs(self) -> list[Any]:
        """The fields, in the order of `form.NAMES`."""
        return self._values()

    def show(self, run: Run | None, origin: str, visitor: Visitor) -> list[Any]:
        """Updates for `outputs`: the live view for a run, else the form as the run `origin` had it."""
        draft = self._desk.draft(run.id if run else origin, visitor)
        values: list[Any] = form.values_of(draft)
        for name in form.CHOSEN:
            chosen = form.value_of(draft, name)
            values[form.NAMES.index(name)] = gr.update(choices=form.task_choices(chosen), value=chosen)
        return [gr.update(visible=run is None), gr.update(visible=run is not None), *values, ""]

    def pace(self, name: str | None, model: str, dataset: str) -> list[Any]:
        """Updates for `paced`: what a preset sets for a choice of model and dataset."""
        chosen = form.preset(name)
        return [markup.note(chosen.words), *chosen.values(form.balanced_epochs(model, dataset)).values()]

    def look(self, run: Run, made: Made, *, may_change: bool) -> list[Any]:
        """Updates for `live_outputs`: what there is to say of a run, and what may be done with it."""
        status = made.status
        over = status in TERMINAL
        waits = may_change and status == "queued"
        return [
            markup.shown(made.html, made.tag, made.known),
            gr.update(visible=waits),
            gr.update(visible=waits),
            gr.update(
                value=_CANCEL if status == "queued" else _STOP,
                visible=may_change and status in ("queued", "running"),
                interactive=True,
            ),
            gr.update(value=made.go_on, visible=may_change and bool(made.go_on), interactive=True),
            gr.update(visible=over and run.results.exists()),
            gr.update(visible=over and run.adapter.is_dir()),
            gr.update(visible=over and may_change, open=status in ("failed", "interrupted")),
            _log_tail(run) if over and may_change else "",
        ]

    def begin(self, request: gr.Request, choice: Choice, values: list[Any]) -> tuple[Run | None, str]:
        """Checks the choice, makes a run and sets it going: the run, or a note on what is wrong, and nothing made."""
        try:
            with self._desk.answering(request, "start") as visitor:
                config = self._composed(choice, values, visitor)
                preflight.check(config, self._desk.store.runs_dir, visitor)
                config = self._desk.with_closed_review(config, choice, visitor)
                run = jobs.begin(self._desk.store, config, Access(owner=visitor.name), token_of(request))
        except FtspaceError as error:
            return None, markup.note(str(error), "bad")
        return run, ""

    def end(self, run_id: str, request: gr.Request) -> str:
        """Asks the run to stop; a note when it cannot be."""
        return self._do(run_id, request, jobs.stop)

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

    def _composed(self, choice: Choice, values: list[Any], visitor: Visitor) -> RunConfig:
        """The config of a choice and the form. Raises ConfigError, or NotAllowedError for what is not the visitor's."""
        config = anchor(form.compose(self._desk.config_of(choice, visitor), values))
        self._desk.check_may_read(config, visitor)
        return config

    def _grid(self, names: list[str], columns: int) -> None:
        for start in range(0, len(names), columns):
            with gr.Row():
                for name in names[start : start + columns]:
                    self.fields[name] = form.widget(name)

    def _values(self) -> list[Any]:
        return [self.fields[name] for name in form.NAMES]


def _log_tail(run: Run) -> str:
    try:
        with run.log.open("rb") as file:
            file.seek(max(0, run.log.stat().st_size - _LOG_BYTES))
            return redact(views.tail(file.read().decode(errors="replace")))
    except OSError:
        return ""
