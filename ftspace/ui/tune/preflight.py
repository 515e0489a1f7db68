"""What stands in the way of Start, as one list: looked at when the step opens, and when asked. Start does not wait."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.components import Component

from ftspace import preflight
from ftspace.access import Visitor
from ftspace.checks import Check
from ftspace.config import RunConfig
from ftspace.errors import FtspaceError
from ftspace.redact import redact
from ftspace.ui import markup
from ftspace.ui.choose import look_markup
from ftspace.ui.choose.choice import NAMES, Choice
from ftspace.ui.desk import Desk
from ftspace.ui.latest import latest
from ftspace.ui.tune import form
from ftspace.ui.tune.complaints import labelled

Compose = Callable[[Choice, Sequence[Any], Visitor], RunConfig]
_FOR_VISITORS = (
    (re.compile(r"set HF_TOKEN(?=; what hf auth login)"), "ask who runs this app for one"),
    (re.compile(r"make (?:a new )?one(?: with the role \w+)?(?: at [^\s,]+)?,? (?:and|then) "), ""),
    (re.compile(r"set HF_TOKEN(?:,? or run:? hf auth login)?(?: \(in the app: sign in\))?"), "sign in again"),
    (re.compile(r"make room(?: there)?(?: \(ftspace runs gc[^)]*\))?"), "ask who runs this app to make room"),
    (re.compile(r",?(?: or)? name another folder with --data-dir or FTSPACE_DATA(?:, or HF_HOME for the base)?"), ""),
)
"""What a visitor of a Space cannot do, and what can be done instead."""
_ABOUT = "Looks at model, dataset, licenses, memory, disk, time and token in some seconds. Start looks, too."

_OUTDATED = "Settings were changed since this was looked at. Start looks again."


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
        asked = [self.again.click, *opened]
        latest(asked, self._look, [run_id, *said], self.lines, concurrency_limit=4, progress="minimal")

    def worded(self, text: str) -> str:
        """What Start says of a stop, in the same words."""
        return _worded(text, sign_in=self._desk.settings.sign_in)

    def _look(self, request: gr.Request, run_id: str, *sent: Any) -> str:
        if run_id:  # it was started already
            return ""
        choice, values = Choice.of(sent[: len(NAMES)]), list(sent[len(NAMES) :])
        try:
            with self._desk.answering(request, "look") as visitor:
                config = self._compose(choice.settled(), values, visitor)
                found = preflight.examine(config, self._desk.store.runs_dir, visitor).checks
                return html(found, form.digest(sent), sign_in=self._desk.settings.sign_in)
        except FtspaceError as error:
            return markup.note(str(error), "bad")


def html(found: Sequence[Check], of: str, *, sign_in: bool = False) -> str:
    """The list, no secret in it: what stops or warns is open, what is well stands behind a line that opens it.

    `of` is the digest of what was looked at: tune.js shows another head once the form says something else.
    With `sign_in` whoever reads it has an account, and neither this machine's environment nor its command line.
    """
    found = [replace(one, detail=redact(one.detail), fix=_worded(redact(one.fix), sign_in=sign_in)) for one in found]
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
    stale = f'<div class="ft-outdated">{markup.note(_OUTDATED)}</div>'
    return f'<div class="ft-before" data-of="{of}">{head}{stale}{look_markup.checks(due) if due else ""}{rest}</div>'


def _worded(fix: str, *, sign_in: bool) -> str:
    """What to do, in the words of the page."""
    for command, instead in _FOR_VISITORS if sign_in else ():
        fix = command.sub(instead, fix)
    return labelled(fix)
