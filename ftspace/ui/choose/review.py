"""The review screen: one row at a time, kept or dropped, with a note. What is decided is written at once."""

from typing import Any

import gradio as gr
from gradio.components import Component

from ftspace.access import Visitor
from ftspace.data.prepare import Preview
from ftspace.data.review import Decision, conversation_id
from ftspace.errors import FtspaceError
from ftspace.ui import markup
from ftspace.ui.choose import look_markup
from ftspace.ui.choose.choice import Choice
from ftspace.ui.choose.rows import REVIEWED, first_rows
from ftspace.ui.choose.sifting import FILTERS, Sifting
from ftspace.ui.desk import Desk

Updates = dict[Any, Any]
_LONGEST_NOTE = 2000
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_KEYS = """
const panel = element.closest('#review')
if (panel && !panel.dataset.keys) {
  panel.dataset.keys = 'yes'
  const buttons = { k: 'review-keep', d: 'review-drop', ArrowLeft: 'review-back', ArrowRight: 'review-on' }
  panel.addEventListener('keydown', event => {
    const id = buttons[event.key.length === 1 ? event.key.toLowerCase() : event.key]
    if (!id || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea')) return
    event.preventDefault()
    document.getElementById(id)?.click()
  })
}
"""


class ReviewTab:
    """The tab's widgets. The decisions lie in a file whose id is the choice's `review`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.place: list[Component] = []
        """The row that is shown, and the filter."""
        self.outputs: list[Any] = []
        self.editor: list[Any] = []
        """What decides; an opened run can only be looked at."""

    def build(self) -> None:
        """Builds the tab that is open."""
        with gr.Column(elem_id="review"):
            self.progress = gr.HTML()
            self.only = gr.Radio(
                [(words, name) for name, words in FILTERS.items()],
                value="all",
                container=False,
                label="Rows to show",
                elem_id="review-only",
            )
            self.card = gr.HTML(markup.empty("No row yet", ""), js_on_load=_KEYS)
            with gr.Row(elem_classes="ft-tight") as self.decide:
                self.keep = gr.Button("Keep", elem_id="review-keep", min_width=90)
                self.drop = gr.Button("Drop", elem_id="review-drop", min_width=90)
            with gr.Row(elem_classes="ft-tight"):
                self.back = gr.Button("Previous", size="sm", elem_id="review-back", min_width=70)
                self.row = gr.Number(1, precision=0, label="Row", container=False, elem_id="review-row", min_width=70)
                self.on = gr.Button("Next", size="sm", elem_id="review-on", min_width=70)
            self.note = gr.Textbox(
                label="Note",
                info="Kept with the decision; Enter keeps it, and an undecided row with it.",
                max_lines=3,
                elem_id="review-note",
            )
            self.told = gr.HTML()
            self.help = gr.HTML(
                '<p class="ft-legend">With this panel in focus, <kbd>K</kbd> keeps, <kbd>D</kbd> drops, <kbd>←</kbd> '
                f"and <kbd>→</kbd> turn the page. The first {REVIEWED} rows can be looked at here; what is dropped is "
                "left out of the run.</p>"
            )
        self.place = [self.row, self.only]
        self.editor = [self.decide, self.note, self.help]
        self.outputs = [self.progress, self.card, self.row, self.note, self.keep, self.drop, self.told]

    def wire(self, said: list[Component], review: Component) -> None:
        """What happens on a click; `said` are the choice's widgets, `review` the one that holds the file's id."""
        self.review = review
        inputs = [*self.place, *said]
        for button, by in ((self.back, -1), (self.on, 1)):
            button.click(self._turner(by), inputs, self.outputs, trigger_mode="always_last", **_QUIET)
        asked = [self.row.submit, self.row.blur, self.only.input]
        gr.on(asked, self._turner(0), inputs, self.outputs, trigger_mode="always_last", **_QUIET)
        for event, keep in ((self.keep.click, True), (self.drop.click, False), (self.note.submit, None)):
            event(self._decider(keep), [self.note, *inputs], [review, *self.outputs], trigger_mode="once", **_QUIET)

    def open(self, choice: Choice, visitor: Visitor, row: object, only: object) -> Updates:
        """The row of a choice's dataset that a page asks for."""
        return self._turn(choice, visitor, row, str(only), 0)

    def _turner(self, by: int) -> Any:
        def turned(request: gr.Request, row: object, only: object, *said: Any) -> Updates:
            try:
                with self._desk.answering(request, "look") as visitor:
                    return self._turn(Choice.of(said).settled(), visitor, row, str(only), by)
            except FtspaceError as error:
                return {self.card: markup.note(str(error), "bad"), self.progress: ""}

        return turned

    def _decider(self, keep: bool | None) -> Any:
        def decided(request: gr.Request, note: object, row: object, only: object, *said: Any) -> Updates:
            try:
                with self._desk.answering(request, "look") as visitor:
                    return self._decide(Choice.of(said).settled(), visitor, row, str(only), note, keep)
            except FtspaceError as error:
                return {self.told: markup.note(str(error), "bad")}

        return decided

    def _turn(self, choice: Choice, visitor: Visitor, row: object, only: str, by: int) -> Updates:
        try:
            found, sifting = self._sift(choice, visitor)
            at = sifting.within(row)
            to = sifting.onward(at, only, by) if by else sifting.nearest(at, only)
        except FtspaceError as error:
            return {self.card: markup.note(str(error), "bad"), self.progress: ""}
        told = ""
        if to is None:
            to, told = at, f"No {'further ' if by else ''}row is {FILTERS.get(only, '').lower() or 'left'}."
        return {**self._show(found, sifting, to), self.told: markup.note(told)}

    def _decide(
        self, choice: Choice, visitor: Visitor, row: object, only: str, note: object, keep: bool | None
    ) -> Updates:
        """Keeps a decision, and goes on to the next row; a note alone keeps an undecided row, and stays at it."""
        found, sifting = self._sift(choice, visitor)
        at = sifting.within(row)
        before = sifting.decision(at)
        kept = keep if keep is not None else before is None or before.keep
        text = str(note).strip()[:_LONGEST_NOTE] if isinstance(note, str) else ""
        reviews = self._desk.reviews_of(visitor)
        review = reviews.decide(choice.review, Decision(id=sifting.ids[at - 1], keep=kept, note=text))
        sifting = Sifting(sifting.ids, reviews.decisions(review))
        to = at if keep is None else sifting.onward(at, only, 1) or sifting.nearest(at, only) or at
        return {self.review: review, **self._show(found, sifting, to), self.told: ""}

    def _sift(self, choice: Choice, visitor: Visitor) -> tuple[Preview, Sifting]:
        config = self._desk.config_of(choice, visitor).data
        found = first_rows(config, REVIEWED)
        ids = [conversation_id(conversation, config.system) for conversation in found.conversations]
        return found, Sifting(ids, self._desk.reviews_of(visitor).decisions(choice.review))

    def _show(self, found: Preview, sifting: Sifting, row: int) -> Updates:
        decision = sifting.decision(row)
        note = decision.note if decision else ""
        looked, rows, dropped = sifting.counts
        return {
            self.progress: look_markup.progress(looked, rows, dropped, sifting.elsewhere),
            self.card: look_markup.turns(found.conversations[row - 1], row, sifting.state(row), note),
            self.row: row,
            self.note: note,
            self.keep: gr.Button(variant="primary" if decision and decision.keep else "secondary"),
            self.drop: gr.Button(variant="stop" if decision and not decision.keep else "secondary"),
        }
