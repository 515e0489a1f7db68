"""Step 2: settings and Start; then the run at work, as its folder tells it. Starting returns at once."""

import time
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from ftspace import jobs, preflight
from ftspace.config import anchor
from ftspace.disk import trouble
from ftspace.errors import FtspaceError
from ftspace.redact import redact
from ftspace.runs import Run, RunReader
from ftspace.state import TERMINAL, Status
from ftspace.ui import form, markup, views
from ftspace.ui.choice import Choice
from ftspace.ui.desk import Desk

_LOG_BYTES = 20_000


@dataclass
class Watch:
    """What one page has been shown of its run, so that the next look sends only what is new."""

    reader: RunReader
    points: int = -1
    status: Status | None = None
    answers: bool = False
    """Whether Compare was opened."""
    results: bool = False
    """Whether the results were shown."""


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
            self.trouble = gr.HTML()
            self.start = gr.Button("Start", variant="primary", size="lg", elem_id="start")
        with gr.Column(visible=False) as self.live:
            self.state = gr.HTML()
            self.curve = gr.LinePlot(
                views.curves(RunReader(Run(desk.downloads)).state),
                x="step",
                y="loss",
                color="curve",
                color_map={"training": "#6366f1", "validation": "#f59e0b"},
                x_title="step",
                y_title="loss",
                color_title=" ",
                height=280,
                show_label=False,
                visible=False,
                elem_id="curve",
            )
            with gr.Row():
                self.stop = gr.Button("Stop and keep what is learnt", visible=False, elem_id="stop")
                self.see = gr.Button("See the results", variant="primary", visible=False, elem_id="see-results")
                self.ask = gr.Button("Ask both models", visible=False, elem_id="ask-both")
            self.told = gr.HTML()
            with gr.Accordion("The last lines of the log", open=False, visible=False) as self.log_box:
                self.log = gr.Textbox(
                    show_label=False, lines=10, max_lines=20, interactive=False, elem_classes="ft-log"
                )
        self.paced: list[Any] = [self.words, *(self.fields[name] for name in form.SET)]
        self.outputs: list[Any] = [self.form, self.live, *self._values(), self.trouble]
        self.live_outputs: list[Any] = [self.state, self.curve, self.stop, self.see, self.ask, self.log_box, self.log]

    def inputs(self) -> list[Any]:
        """The fields, in the order of `form.NAMES`."""
        return self._values()

    def show(self, run: Run | None, origin: str) -> list[Any]:
        """Updates for `outputs`: the live view for a run, else the form as the run `origin` had it."""
        draft = self._desk.draft(run.id if run else origin)
        values: list[Any] = form.values_of(draft)
        values[form.NAMES.index(form.TASKS)] = gr.update(
            choices=form.task_choices(draft.eval.tasks), value=draft.eval.tasks
        )
        return [gr.update(visible=run is None), gr.update(visible=run is not None), *values, ""]

    def pace(self, name: str | None, model: str, dataset: str) -> list[Any]:
        """Updates for `paced`: what a preset sets for a choice of model and dataset."""
        chosen = form.preset(name)
        return [markup.note(chosen.words), *chosen.values(form.balanced_epochs(model, dataset)).values()]

    def look(self, watch: Watch) -> list[Any]:
        """Updates for `live_outputs` with what is new since the last look."""
        status = watch.reader.status()
        state, run = watch.reader.state, watch.reader.run
        points = len(state.steps) + len(state.validations)
        plot = gr.skip()
        if points != watch.points:
            shown = bool(state.steps or state.validations)
            plot = gr.update(value=views.curves(state), visible=shown) if shown else gr.update(visible=False)
        view = views.live(state, status, run.config, time.time(), trouble(run.path) if status == "interrupted" else "")
        if status == watch.status:
            others: list[Any] = [gr.skip()] * 5
        else:
            over = status in TERMINAL
            broken = status in ("failed", "interrupted")
            others = [
                gr.update(visible=status in ("queued", "running"), interactive=True),
                gr.update(visible=over and run.results.exists()),
                gr.update(visible=over and run.adapter.is_dir()),
                gr.update(visible=over, open=broken),
                _log_tail(run) if over else "",
            ]
        watch.status, watch.points = status, points
        return [markup.live(view), plot, *others]

    def begin(self, choice: Choice, values: list[Any]) -> tuple[Run | None, str]:
        """Checks the choice, makes a run and sets it going: the run, or a note on what is wrong, and nothing made."""
        try:
            config = anchor(form.compose(self._desk.config_of(choice), values))
            self._desk.check_may_read(config)
            preflight.check(config, self._desk.store.runs_dir)
            run = self._desk.store.create(self._desk.with_closed_review(config, choice))
            jobs.start(run)
        except FtspaceError as error:
            return None, markup.note(str(error), "bad")
        return run, ""

    def end(self, run_id: str) -> tuple[str, Any]:
        """Asks the run to stop; a note when it cannot be."""
        try:
            jobs.stop(self._desk.store.get(run_id))
        except FtspaceError as error:
            return markup.note(str(error), "bad"), gr.skip()
        return "", gr.update(interactive=False)

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
