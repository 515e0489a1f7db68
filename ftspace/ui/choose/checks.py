"""The data checks: what a look through the first rows finds, each finding with a switch that leaves such rows out."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from ftspace.data.messages import Conversation
from ftspace.data.quality import WORDS, language, look
from ftspace.data.report import DataReport, Tally
from ftspace.data.sift import line_of
from ftspace.errors import FtspaceError
from ftspace.sections import Finding
from ftspace.ui import markup
from ftspace.ui.choose import look_markup
from ftspace.ui.choose.choice import Choice
from ftspace.ui.choose.rows import first_rows
from ftspace.ui.desk import Desk

Updates = dict[Any, Any]
LOOKED_AT = 2000
_LATER: tuple[Finding, ...] = ("near_duplicate", "overlap")
"""What only a look at all rows together finds, when a run prepares them."""


class ChecksTab:
    """The tab's widgets."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.switches: dict[str, Component] = {}
        self._counts: dict[str, gr.HTML] = {}

    def build(self) -> None:
        """Builds the tab that is open."""
        with gr.Column(elem_id="checks"):
            self.begin = gr.Button("Look through the rows", elem_id="look-through")
            self.told = gr.HTML(look_markup.legend(_ABOUT))
            gr.HTML('<p class="ft-over">Leave out</p>')
            for finding, words in WORDS.items():
                with gr.Row(elem_classes="ft-finding"):
                    self.switches[finding] = gr.Checkbox(
                        label=words[:1].upper() + words[1:], container=False, scale=3, min_width=220,
                        elem_id=f"filter-{finding}",
                    )  # fmt: skip
                    self._counts[finding] = gr.HTML(_unknown(finding), min_width=160)
        self.outputs: list[Any] = [self.begin, self.told, *self._counts.values()]

    def wire(self, said: Sequence[Component]) -> None:
        """What happens on a click; `said` are the choice's widgets."""
        self.begin.click(
            self._look, list(said), self.outputs, trigger_mode="once", concurrency_limit=2, api_visibility="private"
        )

    def cleared(self) -> Updates:
        """Nothing looked at yet, as after a change of the dataset."""
        unknown = {html: _unknown(finding) for finding, html in self._counts.items()}
        return {self.begin: gr.update(visible=True), self.told: look_markup.legend(_ABOUT), **unknown}

    def reported(self, report: DataReport) -> Updates:
        """What an opened run's preparation found in all its rows."""
        return {**self._found(report, later=False), self.begin: gr.update(visible=False)}

    def _look(self, request: gr.Request, *values: Any) -> Updates:
        try:
            with self._desk.answering(request, "look") as visitor:
                found = first_rows(self._desk.config_of(Choice.of(values).settled(), visitor).data, LOOKED_AT)
        except FtspaceError as error:
            return {self.told: markup.note(str(error), "bad")}
        return self._found(report_on(found.conversations), later=True)

    def _found(self, report: DataReport, *, later: bool) -> Updates:
        counts = {
            html: _unknown(finding) if later and finding in _LATER else look_markup.finding(None)
            for finding, html in self._counts.items()
        }
        counts |= {self._counts[one.finding]: look_markup.finding(one) for one in report.found}
        which = f"the first {report.rows:,} rows" if later else f"all {report.rows:,} rows"
        after = "Near-duplicates, overlap and all other rows are looked at when the run prepares them." if later else ""
        return {**counts, self.told: look_markup.report(report, which, after)}


def report_on(conversations: Sequence[Conversation]) -> DataReport:
    """What is found in these rows by themselves and beside each other."""
    tally = Tally()
    tongues = [language(conversation) for conversation in conversations]
    commonest = next((tongue for tongue, _ in Counter(filter(None, tongues)).most_common(1)), "")
    known: set[bytes] = set()
    for row, (conversation, tongue) in enumerate(zip(conversations, tongues, strict=True), start=1):
        tally.add(row, conversation, look(conversation), tongue)
        said = line_of(conversation)
        if said in known:
            tally.mark(row, "duplicate", conversation[-1]["content"])
        if tongue and tongue != commonest:
            tally.mark(row, "other_language", conversation[-1]["content"])
        known.add(said)
    return tally.report([])


_ABOUT = (
    f"Looks at the first {LOOKED_AT:,} rows, in a few seconds; all rows are looked at when the run prepares them. What "
    "is switched on is left out of the run."
)


def _unknown(finding: str) -> str:
    return look_markup.legend("told when the run prepares its rows") if finding in _LATER else ""
