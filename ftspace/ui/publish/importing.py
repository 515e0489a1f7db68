"""An adapter of the Hub as a run, from the start page: one line, which ends at the new run's page. An errand."""

import re
from pathlib import Path
from typing import Any

import gradio as gr

from ftspace.access import Access, Visitor
from ftspace.errands import Errand, Import
from ftspace.errors import ConfigError, FtspaceError
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.desk import Desk
from ftspace.ui.part import Updates
from ftspace.ui.publish import publish_markup
from ftspace.ui.publish.publish_view import repo_id_of
from ftspace.ui.visitors import scopes_of, token_of

POLL_SECONDS = 1.0
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_OPEN = """run => {
  const asked = "?" + new URLSearchParams({run});
  if (/^\\d{8}-\\d{6}-[0-9a-f]{12}$/.test(run) && location.search !== asked) location.search = asked;
}"""
"""In the browser: goes to the run that was made."""
_HEADS = {
    "working": "Importing",
    "stopping": "Stopping",
    "done": "Imported",
    "failed": "Not imported",
    "stopped": "Stopped",
}


class Importing:
    """The line's widgets."""

    def __init__(self, desk: Desk) -> None:
        """Builds them where the page stands now."""
        self._desk = desk
        with gr.Accordion(
            "Open an adapter of the Hub as a run: to ask it, and to compare it with its base",
            open=False,
            visible=False,
            elem_id="import",
        ) as self._panel:
            with gr.Row(equal_height=True, elem_classes="ft-askbar"):
                self._repo = gr.Textbox(
                    label="Adapter", placeholder="owner/name, or its address", scale=6, min_width=240,
                    elem_id="import-repo",
                )  # fmt: skip
                self._base = gr.Textbox(
                    label="Its base, where it names none", placeholder="owner/name", scale=4, min_width=200,
                    elem_id="import-base",
                )  # fmt: skip
                self._begin = gr.Button("Open", scale=1, min_width=110, elem_id="import-begin")
            self._told, self._state = gr.HTML(elem_id="import-told"), gr.HTML(elem_id="import-state")
            self._stop = gr.Button("Stop", visible=False, size="sm", elem_id="import-stop")
        self._made = gr.Textbox(elem_classes="ft-hidden")
        self._timer = gr.Timer(POLL_SECONDS, active=False)
        now: list[Any] = [self._told, self._state, self._begin, self._stop, self._timer]
        self.outputs: list[Any] = [self._panel, self._repo, *now]
        gr.on(
            [self._begin.click, self._repo.submit, self._base.submit], self._start, [self._repo, self._base], now,
            trigger_mode="once", **_PRIVATE,
        )  # fmt: skip
        self._stop.click(self._end, None, now, trigger_mode="once", **_PRIVATE)
        self._timer.tick(self._poll, None, [*now, self._made], concurrency_limit=None, **_PRIVATE)
        self._made.change(None, self._made, None, js=_OPEN, **_PRIVATE)

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """The line, where no run is open and the visitor may start some."""
        there = run is None and visitor.may_start
        if not there:
            return {self._panel: gr.update(visible=False), self._timer: gr.Timer(active=False)}
        return {self._panel: gr.update(visible=True), self._repo: "", **self._standing(visitor)}

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """Nothing: a run is open."""
        return {}

    def _errand(self, visitor: Visitor) -> Errand:
        return Errand(Path(self._desk.settings.data_dir) / "errands" / "import" / visitor.folder)

    def _standing(self, visitor: Visitor) -> Updates:
        errand = self._errand(visitor)
        state, asked = errand.state(), errand.request
        run = self._desk.find(str(state.result.get("run", "")), visitor) if state.status == "done" else None
        shown = ""
        if run is not None or state.status not in ("done", "none"):
            of = f": {asked.repo_id}" if isinstance(asked, Import) else ""
            more = markup.anchor("Open the run", f"?run={run.id}") if run else ""
            more = "".join(markup.note(f"{one}.") for one in state.result.get("missing", ())) + more
            shown = publish_markup.errand(state, f"{_HEADS.get(state.status, '')}{of}", more)
        return {
            self._told: "",
            self._state: shown,
            self._begin: gr.update(interactive=not state.is_at_work),
            self._stop: gr.update(visible=state.is_at_work, interactive=state.status != "stopping"),
            self._timer: gr.Timer(active=state.is_at_work),
        }

    def _start(self, request: gr.Request, repo: str, base: str) -> Updates:
        try:
            visitor = self._desk.admit(request, "call")
            repo_id, named = repo_id_of(str(repo or "")), str(base or "").strip()
            if repo_id is None:
                raise ConfigError("name an adapter as owner/name, or paste its address on the Hub")
            if named and not self._desk.may_read(named, visitor):
                raise ConfigError(f"{named} is a path on this machine; give a Hub id")
            self._desk.admit(request, "start")
            asked = Import(
                repo_id=repo_id,
                runs_dir=str(self._desk.store.runs_dir),
                base=named or None,
                access=Access(owner=visitor.name),
                scopes=scopes_of(request),
            )
            self._errand(visitor).begin(asked, token_of(request))
            return self._standing(visitor)
        except FtspaceError as error:
            return {self._told: markup.note(str(error), "bad")}

    def _end(self, request: gr.Request) -> Updates:
        try:
            visitor = self._desk.admit(request, "call")
            self._errand(visitor).stop()
            return self._standing(visitor)
        except FtspaceError as error:
            return {self._told: markup.note(str(error), "bad")}

    def _poll(self, request: gr.Request) -> Updates:
        visitor = self._desk.visitor(request)
        if not visitor.may_start:
            return {self._timer: gr.Timer(active=False)}
        updates, state = self._standing(visitor), self._errand(visitor).state()
        made = str(state.result.get("run", "")) if state.status == "done" else ""
        return updates | ({self._made: made} if re.fullmatch(r"[\w-]+", made) else {})
