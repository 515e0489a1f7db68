"""The template lab: one row token by token, as a run would train it, with its length, cuts and padding to play with."""

from typing import Any

import gradio as gr
from gradio.components import Component

from ftspace.access import Visitor
from ftspace.checks import check_rows
from ftspace.config import RunConfig
from ftspace.data.formats import Conversation
from ftspace.errors import FtspaceError
from ftspace.lab import LabRow, lab_row
from ftspace.sections import TrainConfig
from ftspace.supervision import Side
from ftspace.tokenizer import LightTokenizer
from ftspace.ui import markup
from ftspace.ui.choose import look_markup
from ftspace.ui.choose.choice import Choice
from ftspace.ui.choose.models import tokenizer_for
from ftspace.ui.choose.rows import REVIEWED, first_rows
from ftspace.ui.desk import Desk

Updates = dict[Any, Any]
TOGETHER = 8
"""Rows that are padded to the longest of them."""
CHECKED = 20
"""Rows that the checks look at."""
_LONGEST = 65_536
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last"}
_VIEWS = [("Tokens", "tokens"), ("Ids", "ids"), ("Raw text", "text")]
_ARROWS = """
const told = () => element.querySelector('.ft-token-told')
const tell = token => { const box = told(); if (box && token) box.textContent = token.title }
element.addEventListener('mouseover', event => tell(event.target.closest('[data-token]')))
element.addEventListener('focusin', event => tell(event.target.closest('[data-token]')))
element.addEventListener('keydown', event => {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
  const token = event.target.closest('[data-token]')
  if (!by || !token) return
  event.preventDefault()
  const all = [...element.querySelectorAll('[data-token]')]
  const next = all[all.indexOf(token) + by]
  if (next) { token.tabIndex = -1; next.tabIndex = 0; next.focus() }
})
"""


class LabTab:
    """The tab's widgets."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def build(self) -> None:
        """Builds the tab that is open."""
        with gr.Column(elem_id="lab"):
            with gr.Row(elem_classes="ft-tight"):
                self.back = gr.Button("Previous", size="sm", min_width=70, elem_id="lab-back")
                self.row = gr.Number(1, precision=0, label="Row", container=False, min_width=70, elem_id="lab-row")
                self.on = gr.Button("Next", size="sm", min_width=70, elem_id="lab-on")
                self.view = gr.Radio(
                    _VIEWS, value="tokens", label="Show", container=False, min_width=290, scale=4, elem_id="lab-view"
                )
            self.shown = gr.HTML(markup.empty("Opening the tokenizer …", ""), js_on_load=_ARROWS, elem_id="lab-tokens")
            with gr.Row():
                self.length = gr.Number(
                    label="Try another max length",
                    precision=0,
                    min_width=150,
                    elem_id="lab-length",
                    info="Only looked at here; the run takes Max length of the next step.",
                )
                self.side = gr.Dropdown(
                    [("its end", "right"), ("its beginning", "left")], value="right", label="A longer row loses",
                    min_width=150, elem_id="lab-side",
                )  # fmt: skip
            self.pad = gr.Checkbox(
                label=f"Pad as in a batch: to the longest of {TOGETHER} rows", value=False, elem_id="lab-pad"
            )
            self.checks = gr.HTML(elem_id="token-checks")
        self.place: list[Component] = [self.row, self.view, self.length, self.side, self.pad]
        self.by_field: dict[str, Component] = {"train.max_length": self.length, "train.truncation_side": self.side}
        self.outputs: list[Any] = [self.shown, self.checks, self.row]

    def wire(self, said: list[Component]) -> None:
        """What happens on a change; `said` are the choice's widgets."""
        inputs = [*self.place, *said]
        for button, by in ((self.back, -1), (self.on, 1)):
            button.click(self._turner(by), inputs, self.outputs, **_QUIET)
        gr.on(
            [self.row.submit, self.row.blur, self.view.input, self.length.input, self.side.input, self.pad.input],
            self._turner(0), inputs, self.outputs, **_QUIET,
        )  # fmt: skip

    def starts_with(self, config: RunConfig) -> Updates:
        """The controls as the form's settings have them."""
        return {self.length: config.train.max_length, self.side: config.train.truncation_side}

    def open(
        self, choice: Choice, visitor: Visitor, row: Any, view: Any, length: Any, side: Any, pad: Any, by: int = 0
    ) -> Updates:
        """The row that a page asks for, in tokens."""
        try:
            config = self._desk.config_of(choice, visitor)
            rows = first_rows(config.data, REVIEWED).conversations
            at = min(max(1, _whole(row, 1) + by), len(rows))
            longest = min(max(8, _whole(length, 0) or config.train.max_length), _LONGEST)
            cut: Side = "left" if side == "left" else "right"
            opened = tokenizer_for(config.model)
            train = config.train.model_copy(update={"max_length": longest, "truncation_side": cut})
            found = _row(opened.tokenizer, rows, at, train, pad=pad is True)
            asked = config.model_copy(update={"train": train})
            checks = check_rows(opened.tokenizer, rows[:CHECKED], asked, opened.origin)
        except FtspaceError as error:
            return {self.shown: markup.note(str(error), "bad"), self.checks: ""}
        return {
            self.shown: look_markup.lab(found, str(view), f"Row {at:,} of {len(rows):,}"),
            self.checks: look_markup.checks(checks),
            self.row: at,
        }

    def _turner(self, by: int) -> Any:
        size = len(self.place)

        def turned(request: gr.Request, *sent: Any) -> Updates:
            try:
                with self._desk.answering(request, "look") as visitor:
                    return self.open(Choice.of(sent[size:]).settled(), visitor, *sent[:size], by=by)
            except FtspaceError as error:
                return {self.shown: markup.note(str(error), "bad"), self.checks: ""}

        return turned


def _row(tokenizer: LightTokenizer, rows: list[Conversation], at: int, train: TrainConfig, *, pad: bool) -> LabRow:
    length, side = train.max_length, train.truncation_side
    longest = None
    if pad:
        first = (at - 1) // TOGETHER * TOGETHER
        longest = max(lab_row(tokenizer, row, length, side).kept for row in rows[first : first + TOGETHER])
    return lab_row(tokenizer, rows[at - 1], length, side, longest, train.loss_on)


def _whole(value: Any, otherwise: int) -> int:
    return int(value) if isinstance(value, int | float) and abs(value) < 1e9 else otherwise
