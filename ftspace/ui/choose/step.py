"""Step 1: which model, which dataset, and what its rows look like to the model. Errors are told where they happen.

The panel on the right has a tab for each way to look: rows, tokens, columns, checks, review. All of them look at the
same `Choice`, which is what Start makes a run of.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from ftspace.access import Visitor
from ftspace.chat import answer_spans
from ftspace.config import RunConfig
from ftspace.data.load import BUILDERS
from ftspace.data.prepare import read_manifest
from ftspace.errors import FtspaceError
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.choose.checks import ChecksTab
from ftspace.ui.choose.choice import NAMES, RECOGNIZED, Choice
from ftspace.ui.choose.lab import LabTab
from ftspace.ui.choose.mapping import PICKED, MappingTab
from ftspace.ui.choose.models import template_for
from ftspace.ui.choose.offers import Shelf
from ftspace.ui.choose.pickers import Picker, here
from ftspace.ui.choose.review import ReviewTab
from ftspace.ui.choose.rows import first_rows, seen
from ftspace.ui.desk import Desk
from ftspace.ui.latest import latest
from ftspace.ui.uploads import forget_copy

Updates = dict[Any, Any]
ROWS = 3
_LONGEST = 4000
"""Characters of one rendered conversation that are shown."""
_LOOKED_AT = ("tokens", "checks", "review")
"""The tabs that look at more than the first rows once they are opened."""
_ANEW = ("A new adapter", "")
_OPEN_RUN = """run => {
  const asked = new URLSearchParams({from: run, start: "adapter"}).toString();
  if (/^\\d{8}-\\d{6}-[0-9a-f]{12}$/.test(run) && location.search !== "?" + asked) location.search = asked;
}"""
"""In the browser: an adapter goes with the model and the settings of its run, so the page begins anew with those."""
_LATEST: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}


class Choose:
    """The step's widgets, and what they show for a run or for a new choice."""

    def __init__(self, desk: Desk) -> None:
        """Builds the step inside the tab that is open."""
        self._desk = desk
        self._mapping, self._lab = MappingTab(), LabTab(desk)
        self._checks, self._review = ChecksTab(desk), ReviewTab(desk)
        gr.HTML(markup.heading("What do you want to tune?", "A model, and conversations to learn from."))
        self.fixed = gr.HTML()
        self.about, self.review, self.open, self._filled = (gr.Textbox(visible=False) for _ in range(4))
        self.opened = gr.Textbox(elem_classes="ft-hidden")
        """Differs at each opening of the page; its change is the first look, in one line with the later ones."""
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=300, elem_classes="ft-choice"):
                shelf = Shelf(lambda: here(desk))
                self._models, self._datasets = Picker(desk, "model", shelf), Picker(desk, "dataset", shelf)
                self.model, self.dataset = self._models.widget, self._datasets.widget
                with self._datasets.beneath:
                    self.upload = gr.UploadButton(
                        "Upload a file", file_types=list(BUILDERS), type="filepath", size="sm", elem_id="upload"
                    )
                self.trouble = gr.HTML()
                with gr.Accordion("Train an earlier adapter on", open=False, visible=False) as self.onward:
                    self.start_from = gr.Dropdown(
                        label="Start from",
                        info="An earlier run of yours, or an adapter by its folder or Hub id.",
                        choices=[_ANEW],
                        value="",
                        allow_custom_value=True,
                        elem_id="start-from",
                    )
                self.go_on = gr.Button("Continue", variant="primary", size="lg", elem_id="continue")
            with gr.Column(scale=7, min_width=300, elem_id="panel"):
                gr.HTML('<h3 class="ft-beside">What it learns</h3>')
                self._mapping.ask()
                self._build_tabs()
        self.upload.upload(self._take, self.upload, [self.dataset, self.trouble], api_visibility="private")
        self._fields: dict[str, Component] = {
            "model": self.model, "dataset": self.dataset, "about": self.about, "review": self.review,
            "start_from": self.start_from,
            **self._mapping.inputs, **self._checks.switches,
        }  # fmt: skip

    def _build_tabs(self) -> None:
        self._tabs: dict[str, gr.Tab] = {}
        with gr.Tabs(selected="rows", elem_id="look", overflow_behavior="wrap") as self.look_tabs:
            with gr.Tab("Rows", id="rows") as self._tabs["rows"]:
                self.rows = gr.HTML(markup.empty("Looking at the dataset …", ""), elem_classes="ft-panel")
            with gr.Tab("Tokens", id="tokens") as self._tabs["tokens"]:
                self._lab.build()
            with gr.Tab("Columns", id="columns") as self._tabs["columns"]:
                self._mapping.build()
            with gr.Tab("Checks", id="checks") as self._tabs["checks"]:
                self._checks.build()
            with gr.Tab("Review", id="review") as self._tabs["review"]:
                self._review.build()

    def wire(self, run_id: Component, origin: Component, system: Component) -> None:
        """What happens on a change. The choice also has the run that it started from, and the form's system prompt."""
        self._fields |= {"origin": origin, "system_prompt": system}
        self.said = [self._fields[name] for name in NAMES]
        """The widgets of the choice, in the order of `choice.NAMES`."""
        self.inputs = [run_id, self.open, *self._review.place, *self._lab.place, self.opened, self._filled, *self.said]
        """What a look at the choice needs: the open run and tab, where its tabs are, and the choice."""
        mapping = self._mapping
        self.looked: list[Any] = [
            self.rows, self.look_tabs, self.open, self.about, self._filled, self.review, *mapping.outputs,
            *self._checks.outputs, *self._checks.switches.values(), *self._lab.outputs, *self._review.outputs,
        ]  # fmt: skip
        self.outputs: list[Any] = [
            self.fixed, self.upload, self.go_on, mapping.editor, mapping.more, self.onward,
            self._models.shelf, self._datasets.shelf,
            *self._review.editor, *self.lab_settings.values(), *self._fields.values(),
        ]  # fmt: skip
        picked: list[Any] = [mapping.inputs[name] for name in PICKED]
        changed = [self.opened.change, self.model.change, self.dataset.change, *(one.input for one in picked)]
        latest(changed, self.look, self.inputs, self.looked)
        typed = [one.change for one in mapping.texts]
        settled = [event for one in mapping.lines for event in (one.submit, one.blur)]
        gr.on([*typed, *settled], self._look_while_typing, self.inputs, self.looked, **_LATEST)
        mapping.reading.input(self._answer, [mapping.reading, *self.inputs], self.looked, **_LATEST)
        for name, tab in self._tabs.items():
            if name in _LOOKED_AT:
                tab.select(self._opener(name), self.inputs, self.looked, **_LATEST)
            else:
                tab.select(None, None, self.open, js=f"() => '{name}'", **_LATEST)
        for picker in (self._models, self._datasets):
            picker.wire(self.opened)
        self.start_from.select(None, self.start_from, None, js=_OPEN_RUN, api_visibility="private")
        self._lab.wire(self.said)
        self._checks.wire(self.said)
        self._review.wire(self.said, self.review)

    @property
    def lab_settings(self) -> dict[str, Component]:
        """The lab's controls that begin with what the form says, by the name of the field."""
        return self._lab.by_field

    def show(self, run: Run | None, origin: str, visitor: Visitor, *, on: bool = False) -> Updates:
        """A run's choice, which is fixed, or a new one that starts from the run `origin`, and `on` from its adapter."""
        config = run.config if run else self._desk.draft(origin, visitor)
        fixed = run is not None
        listed = visitor.may_start and not fixed
        note = markup.note(
            "This is what the run was made from.", link=("New run with the same choice", f"?from={run.id}")
        ) if run else ""  # fmt: skip
        review = self._desk.review_of(config, visitor)
        choice = replace(Choice.of_config(config, review, origin), **self._desk.names_for(config, visitor))
        start = origin if on else choice.start_from
        choice = replace(choice, start_from=start if self._desk.may_read(start, visitor) else "")
        trained = self._desk.trained(visitor) if listed else []
        shown: Updates = {
            self._fields[name]: value
            for name, value in choice.values.items()
            if name not in ("origin", "system_prompt")
        }
        frozen = [*self._checks.switches.values()]
        return {
            **shown,
            **{widget: gr.update(value=shown[widget], interactive=not fixed) for widget in frozen},
            **self._lab.starts_with(config),
            self.fixed: note,
            self.model: gr.update(
                choices=self._models.choices(visitor, choice.model), value=choice.model, interactive=not fixed
            ),
            self.dataset: gr.update(
                choices=self._datasets.choices(visitor, choice.dataset), value=choice.dataset, interactive=not fixed
            ),
            self.start_from: gr.update(
                choices=[_ANEW, *trained],
                value=choice.start_from,
                interactive=not fixed,
            ),
            self.onward: gr.update(visible=bool(trained or choice.start_from), open=bool(choice.start_from)),
            self._models.shelf: "" if fixed else self._models.short(),
            self._datasets.shelf: "" if fixed else self._datasets.short(),
            self.upload: gr.update(visible=not fixed),
            self.go_on: gr.update(visible=not fixed),
            self._mapping.editor: gr.update(visible=not fixed),
            self._mapping.more: gr.update(visible=not fixed),
            **{part: gr.update(visible=not fixed) for part in self._review.editor},
        }

    def look(self, request: gr.Request, *sent: Any, typing: bool = False) -> Updates:
        """All that follows from the choice: the rows, how they are read, and the tab that is open."""
        opened, filled = sent[-len(NAMES) - 2 : -len(NAMES)]
        said = Choice.of(sent[-len(NAMES) :])
        choice = said.settled()
        anew = opened != filled or choice != said
        updates: Updates = {self.about: choice.dataset, self._filled: opened}
        if choice != said:
            updates |= {
                **self._checks.cleared(),
                **dict.fromkeys(self._checks.switches.values(), False),
                self.review: "",
            }
        try:
            with self._desk.answering(request, "look") as visitor:
                return updates | self._look_at(choice, visitor, sent, typing=typing, anew=anew)
        except FtspaceError as error:
            trouble = markup.note(str(error), "bad")
            return updates | {self.rows: trouble, **self._mapping.nothing(trouble)}

    def _look_at(self, choice: Choice, visitor: Visitor, sent: tuple[Any, ...], *, typing: bool, anew: bool) -> Updates:
        run_id, tab = sent[:2]
        found = seen(self._desk.config_of(choice.recognized(), visitor).data)
        filled = choice if typing else choice.prefilled(found.columns, found.mapping)
        updates = self._mapping.show(filled, found, anew=anew or filled != choice, fixed=bool(run_id))
        updates |= self._rows(filled, visitor, asked=bool(found.readings) and not run_id)
        if found.format is None and found.columns and anew:
            updates |= {self.look_tabs: gr.Tabs(selected="columns"), self.open: "columns"}
        return updates | self._opened(tab, filled, visitor, sent)

    def _rows(self, choice: Choice, visitor: Visitor, *, asked: bool) -> Updates:
        try:
            config = self._desk.config_of(choice, visitor)
            found = first_rows(config.data)
            template, own = template_for(config.model)
            texts = [_cut(*answer_spans(template, conversation)) for conversation in found.conversations[:ROWS]]
        except FtspaceError as error:
            trouble = markup.note(str(error), "bad")
            said_above = choice.way == RECOGNIZED
            return {
                self.rows: trouble,
                self._mapping.trouble: "" if said_above else trouble,
                self._mapping.example: "",
            }
        first = 1 if asked and found.understood.alternatives else 0
        warnings = found.understood.warnings[first:]
        words = f"Read as {found.format}. Shown as the model reads it, {_written(config, own)}"
        if found.dropped:
            dropped = ", ".join(f"{count} with {reason}" for reason, count in found.dropped.items())
            words += f" Some of the first rows cannot be used: {dropped}."
        words += "".join(f" Note: {warning}." for warning in warnings)
        broken = [] if choice.way == RECOGNIZED else warnings
        return {
            self.rows: markup.preview(texts, words),
            self._mapping.trouble: "".join(markup.note(one, "bad") for one in broken),
            self._mapping.example: markup.preview(texts[:1], "The first row, read so:"),
        }

    def _opened(self, tab: Any, choice: Choice, visitor: Visitor, sent: tuple[Any, ...]) -> Updates:
        """The tab that is open, which looks at more than the first rows."""
        run_id = sent[0]
        if tab == "tokens":
            return self._lab.open(choice, visitor, *sent[4 : 4 + len(self._lab.place)])
        if tab == "review":
            return self._review.open(choice, visitor, *sent[2:4])
        run = self._desk.find(run_id, visitor) if tab == "checks" and run_id else None
        if run and visitor.may_change(run.access):  # the report quotes rows
            manifest = read_manifest(run.data)
            return self._checks.reported(manifest.report) if manifest and manifest.report else {}
        return {}

    def _look_while_typing(self, request: gr.Request, *sent: Any) -> Updates:
        said = Choice.of(sent[-len(NAMES) :])
        if said != said.settled():  # the page is being filled, or the dataset was changed: another look follows
            return {self.rows: gr.skip()}
        return self.look(request, *sent, typing=True)

    def _answer(self, request: gr.Request, reading: Any, *sent: Any) -> Updates:
        """The choice with the reading that was picked."""
        choice = Choice.of(sent[-len(NAMES) :]).settled()
        try:
            with self._desk.answering(request, "look") as visitor:
                found = seen(self._desk.config_of(choice.recognized(), visitor).data)
                choice = self._mapping.answered(choice, found, reading)
                return self._look_at(choice, visitor, sent, typing=False, anew=True)
        except FtspaceError as error:
            return {self.rows: markup.note(str(error), "bad")}

    def _opener(self, tab: str) -> Any:
        def opened(request: gr.Request, *sent: Any) -> Updates:
            choice = Choice.of(sent[-len(NAMES) :]).settled()
            try:
                with self._desk.answering(request, "look") as visitor:
                    return {self.open: tab, **self._opened(tab, choice, visitor, sent)}
            except FtspaceError as error:
                return {self.open: tab, self.rows: markup.note(str(error), "bad")}

        return opened

    def _take(self, request: gr.Request, path: str) -> tuple[Any, str]:
        try:
            return gr.update(value=str(self._desk.keep_upload(Path(path), self._desk.admit(request, "upload")))), ""
        except FtspaceError as error:
            return gr.skip(), markup.note(f"The file was not taken, the dataset above stays: {error}", "bad")
        finally:
            forget_copy(Path(path))


def _written(config: RunConfig, own: bool) -> str:
    if config.model.chat_template != "auto":
        return f"in the template {config.model.chat_template}."
    return "in its own chat template." if own else "in ChatML, since the model has no chat template."


def _cut(text: str, spans: list[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    if len(text) <= _LONGEST:
        return text, spans
    return text[:_LONGEST] + " …", [(start, min(stop, _LONGEST)) for start, stop in spans if start < _LONGEST]
