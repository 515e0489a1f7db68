"""The fields for model and dataset: lists that search the Hub as one types, and what is known of what was picked.

What is typed stays: an answer only changes the list beneath it. picker.js says when the typing has paused.
"""

import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from ftspace.access import Visitor
from ftspace.config import default_config, parse_config
from ftspace.data.load import BUILDERS
from ftspace.devices import Device, this_machine
from ftspace.errors import FtspaceError
from ftspace.hub.finding import search
from ftspace.hub.finding.facts import NOT_KNOWN, dataset_words, fit_of_facts, model_words
from ftspace.hub.finding.find import address_of
from ftspace.hub.finding.local import dataset_here, model_here
from ftspace.hub.finding.names import Kind
from ftspace.settings import ASSETS, ROOT, resolve_local
from ftspace.ui import markup
from ftspace.ui.choose import look_markup
from ftspace.ui.choose.choice import NOT_THEIRS, picked
from ftspace.ui.choose.offers import Shelf
from ftspace.ui.desk import Desk
from ftspace.ui.latest import latest

_LATEST: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
_HERE = {"model": ", or name a folder here", "dataset": ", or name a file here"}
LINES = 100
"""Of a list while one types, as many as Gradio shows. Its page breaks where an open list gets shorter (6.31), so what
is left of them are lines of nothing, which page.css hides."""
_USED = 50
"""Names of earlier runs in a list."""
_SECONDS = 60
"""After so long the machine's free memory is looked at again."""


class Picker:
    """One of the fields, its list and its card."""

    def __init__(self, desk: Desk, kind: Kind, shelf: Shelf) -> None:
        """Builds it where the page is being built."""
        self._desk, self._shelf = desk, shelf
        self._kind: Kind = kind
        field = "model.id" if kind == "model" else "data.id"
        chosen = getattr(default_config(), field.partition(".")[0]).id
        self.widget = gr.Dropdown(
            label=kind.capitalize(),
            info=f"Search the Hub{_HERE[kind] if desk.settings.space_id is None else ''}.",
            choices=[chosen],
            value=chosen,
            allow_custom_value=True,
            elem_id=f"pick-{kind}",
            elem_classes="ft-picker",
        )
        self._asked = gr.Textbox(elem_id=f"pick-{kind}-asked", elem_classes="ft-hidden")
        self._taken = gr.Textbox(elem_id=f"pick-{kind}-taken", elem_classes="ft-hidden")
        self._trouble, self._card = gr.HTML(), gr.HTML(elem_id=f"card-{kind}")
        with gr.Row(elem_classes="ft-beneath") as self.beneath:
            self.shelf = gr.HTML()
        """The short list, which `show` of the step fills; and the row that it stands in, beneath the field."""

    def wire(self, opened: gr.Textbox) -> None:
        """What happens as one types, and when something was picked or the page is opened."""
        self._asked.change(self._search, self._asked, [self.widget, self._trouble], **_LATEST)
        self._taken.change(self._take, self._taken, [self.widget, self._taken], **_LATEST)
        picked = [self.widget.change, self.widget.select]  # what was there before may be picked once more
        latest(picked, self._settle, self.widget, [self.widget, self._trouble])
        latest([self.widget.change, opened.change], self._tell, self.widget, self._card)

    def choices(self, visitor: Visitor, chosen: str) -> list[tuple[str, str]]:
        """The list before anything is typed; asks nobody."""
        return self._shelf.near(self._kind, self._used(visitor), chosen)

    def short(self) -> str:
        """The short list as cards to take one from; asks nobody."""
        return look_markup.shelf(self._kind, self._shelf.short(self._kind))

    def _settle(self, request: gr.Request, value: Any) -> list[Any]:
        """Has the field show the bare name of what was picked, and says no more what came of the search."""
        chosen = value if isinstance(value, str) else ""
        return [gr.update(choices=self.choices(self._desk.visitor(request), chosen)), ""]

    def _take(self, request: gr.Request, value: str) -> list[Any]:
        """Puts what was taken from the short list into the field, and is ready for the same once more."""
        if not value:
            return [gr.skip(), gr.skip()]
        return [gr.update(choices=self.choices(self._desk.visitor(request), str(value)), value=str(value)), ""]

    def _search(self, request: gr.Request, text: str) -> list[Any]:
        try:
            with self._desk.answering(request, "look") as visitor:
                found = self._shelf.matching(self._kind, str(text), self._used(visitor))
        except FtspaceError as error:
            return [gr.skip(), markup.note(str(error), "bad")]
        return [
            gr.update(choices=filled(found.choices)),
            markup.note(found.trouble, "idle" if found.offline else "bad"),
        ]

    def _tell(self, request: gr.Request, value: Any) -> str:
        """The card of what was picked; "" where nothing is known of it: the look at the rows says why."""
        try:
            with self._desk.answering(request, "look") as visitor:
                return self._told(picked(value), visitor)
        except FtspaceError:
            return ""

    def _told(self, name: str, visitor: Visitor) -> str:
        if not name or name.endswith(NOT_THEIRS):
            return ""
        model = self._kind == "model"
        config = parse_config({"model" if model else "data": {"id": name}})
        repo_id, revision = (
            (config.model.id, config.model.revision) if model else (config.data.id, config.data.revision)
        )
        if not self._desk.may_read(repo_id, visitor):
            return ""
        path = resolve_local(repo_id)
        page = "" if path else address_of(self._kind, repo_id)
        note = ask = ""
        if model:
            found = model_here(repo_id, path) if path else search.describe_model(repo_id, revision)
            pairs = model_words(found, fit_of_facts(found, here(self._desk))) if found else []
            note = f"It cannot be tuned here: {found.unfit}." if found and found.unfit else ""
            ask = page if found and found.closed else ""
        else:
            data = dataset_here(repo_id, path) if path else search.describe_dataset(repo_id, revision)
            pairs = dataset_words(data) if data else []
        known = [one for one in pairs if path is None or one[1] != NOT_KNOWN]
        return look_markup.facts(repo_id, known, page, note, ask) if known else ""

    def _used(self, visitor: Visitor) -> list[str]:
        """The names of a visitor's own earlier runs; of datasets the bundled ones before them."""
        models, datasets = self._desk.used(visitor) if visitor.may_start else ([], [])
        if self._kind == "model":
            return list(dict.fromkeys(models))[:_USED]
        bundled = [str(path.relative_to(ROOT)) for path in _bundled_datasets()]
        return list(dict.fromkeys([*bundled, *datasets]))[:_USED]


def filled(choices: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """A list of LINES lines."""
    return [*choices[:LINES], *[("", "")] * (LINES - len(choices))]


def here(desk: Desk) -> Device:
    """This machine, looked at once a minute."""
    return _device(desk.settings.data_dir, int(time.time() // _SECONDS))


@lru_cache(maxsize=2)
def _device(data_dir: Path, moment: int) -> Device:
    return this_machine(data_dir)


def _bundled_datasets() -> list[Path]:
    folder = ASSETS / "datasets"
    return sorted(path for path in folder.iterdir() if path.suffix in BUILDERS and "_text" not in path.stem)
