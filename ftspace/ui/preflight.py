"""What stands in the way of Start, as one list: looked at when the step opens, and when asked. Start does not wait."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from ftspace import preflight
from ftspace.access import Visitor
from ftspace.checks import Check
from ftspace.config import RunConfig
from ftspace.errors import FtspaceError
from ftspace.ui import look_markup, markup
from ftspace.ui.choice import NAMES, Choice
from ftspace.ui.desk import Desk

Compose = Callable[[Choice, list[Any], Visitor], RunConfig]
_ABOUT = "Looks at model, dataset, licenses, memory, disk, time and token in some seconds. Start looks, too."


class Before:
    """The list and its button."""

    def __init__(self, desk: Desk, compose: Compose) -> None:
        """Builds both where the page is; `compose` makes the config that Start would make of a choice and the form."""
        self._desk, self._compose = desk, compose
        with gr.Column(elem_id="before"):
            self.lines = gr.HTML(look_markup.legend(_ABOUT))
            self.again = gr.Button("Look again", size="sm", elem_id="look-ahead")

    def wire(self, run_id: Component, said: Sequence[Component], opened: Sequence[Any]) -> None:
        """What happens on a click, and on the events `opened`; `said` are the choice's widgets and the form's."""
        gr.on(
            [self.again.click, *opened],
            self._look,
            [run_id, *said],
            self.lines,
            trigger_mode="always_last",
            concurrency_limit=4,
            show_progress="minimal",
            api_visibility="private",
        )

    def _look(self, request: gr.Request, run_id: str, *sent: Any) -> str:
        if run_id:  # it was started already
            return ""
        choice, values = Choice.of(sent[: len(NAMES)]), list(sent[len(NAMES) :])
        try:
            with self._desk.answering(request, "look") as visitor:
                config = self._compose(choice.settled(), values, visitor)
                return html(preflight.examine(config, self._desk.store.runs_dir, visitor).checks)
        except FtspaceError as error:
            return markup.note(str(error), "bad")


def html(found: Sequence[Check]) -> str:
    """The list: what stops or warns first and open, what is well behind a line that opens it."""
    due = [one for one in found if one.level != "ok"]
    well = [one for one in found if one.level == "ok"]
    stops = sum(one.level == "stop" for one in due)
    if stops:
        head = markup.note("This run would not get far: see below what to do first.", "bad")
    elif due:
        head = markup.note("It can be started. Some things are worth knowing first.")
    else:
        head = markup.note("Nothing stands in the way.", "good")
    said = f"{len(well)} {'thing is' if len(well) == 1 else 'things are'} well"
    rest = f"<details><summary>{said}</summary>{look_markup.checks(well)}</details>" if well else ""
    return f'<div class="ft-before">{head}{look_markup.checks(due) if due else ""}{rest}</div>'
