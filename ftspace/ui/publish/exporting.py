"""Take it along: a run's files as links; the merged model is made first. `GET /export/RUN/WHAT` streams them.

Adapter, model and config are their owner's; the answers are for all who may see the run. The address stands
beside Gradio's, as the report's does: nothing is copied anywhere first, and no more than a part is in memory.
"""

from pathlib import Path
from typing import Any

import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ftspace import queue
from ftspace.access import Visitor
from ftspace.errands import Errand, Merge, State
from ftspace.errors import FtspaceError, JobError
from ftspace.exporting import (
    KINDS,
    Kind,
    adapter_files,
    export_of,
    forget_merged,
    has_merged,
    merged_files,
    room_for_merged,
    size_of,
    why_not_merged,
)
from ftspace.redact import redact
from ftspace.runs import Run, RunStore
from ftspace.settings import Settings
from ftspace.ui import markup
from ftspace.ui.desk import Desk
from ftspace.ui.limits import Limits, TooOftenError
from ftspace.ui.part import Updates
from ftspace.ui.publish import publish_markup
from ftspace.ui.publish.publish_markup import File
from ftspace.ui.publish.publish_view import size
from ftspace.ui.visitors import knows_password, visitor_of

POLL_SECONDS = 1.5
FOR_ALL = ("answers",)
"""What everybody may take who may see the run."""
_KINDS: dict[str, Kind] = {one: one for one in KINDS}
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_NONE = "there is no such run here: it may have been deleted, or its owner shows it to nobody"
_HEADS = {
    "working": "Making the merged model",
    "stopping": "Stopping",
    "failed": "The merged model was not made",
    "stopped": "Stopped",
}
_GGUF = (
    "GGUF is not offered: no converter is part of this app. llama.cpp's convert_hf_to_gguf.py makes it of the merged "
    "model."
)


class Exports:
    """Answers for the files."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is made before somebody asks."""
        self._settings = settings
        self._store = RunStore(settings.runs_dir)
        self._limits = Limits()

    @property
    def route(self) -> Route:
        """The address, for the app that serves the page."""
        return Route("/export/{run_id}/{what}", self.answer, methods=["GET"])

    async def answer(self, request: Request) -> Response:
        """The file; 401 without the password, 404 for a run or a file that is none or not the visitor's to have."""
        if not await knows_password(request):
            return PlainTextResponse("open the app and give its password first", 401)
        visitor, what = visitor_of(request, self._settings), request.path_params["what"]
        kind = _KINDS.get(what)
        try:
            if self._settings.sign_in:
                self._limits.take("look", visitor.name)
            run = self._store.visible(request.path_params["run_id"], visitor)
            if kind is None or not (kind in FOR_ALL or visitor.may_change(run.access)):
                return PlainTextResponse(_NONE, 404)
        except TooOftenError as error:
            return PlainTextResponse(str(error), 429)
        except FtspaceError:
            return PlainTextResponse(_NONE, 404)
        try:
            found = await run_in_threadpool(export_of, run, kind)
        except FtspaceError as error:
            return PlainTextResponse(redact(str(error)), 404)
        headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{found.name}"'}
        return StreamingResponse(found.parts, headers=headers, media_type=found.media)


class TakeAlong:
    """The section's widgets."""

    def __init__(self, desk: Desk, run_id: gr.Textbox) -> None:
        """Builds them where the page stands now; `run_id` holds the id of the run that is open."""
        self._desk = desk
        gr.HTML(markup.heading("Take it along", "As files, for other programs, another machine, or to keep."))
        self._files = gr.HTML(elem_id="export-files")
        with gr.Column(visible=False, elem_id="export-merged") as self._panel:
            self._words = gr.HTML(elem_id="export-words")
            self._state = gr.HTML(elem_id="export-state")
            with gr.Row(elem_classes="ft-acts"):
                self._make = gr.Button("Make the merged model", elem_id="export-make", min_width=200)
                self._stop = gr.Button("Stop", visible=False, elem_id="export-stop")
                self._forget = gr.Button("Remove the merged model", visible=False, elem_id="export-forget")
        self._told = gr.HTML(elem_id="export-told")
        self._timer = gr.Timer(POLL_SECONDS, active=False)
        self.outputs: list[Any] = [
            self._files, self._panel, self._words, self._state, self._make, self._stop, self._forget, self._told,
            self._timer,
        ]  # fmt: skip
        for button, act in ((self._make, self._begin), (self._stop, self._end), (self._forget, self._remove)):
            button.click(act, run_id, self.outputs, trigger_mode="once", **_PRIVATE)
        self._timer.tick(self._poll, run_id, self.outputs, concurrency_limit=None, **_PRIVATE)

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """What there is to take of an open run, for this visitor."""
        if run is None:
            return {self._timer: gr.Timer(active=False)}
        mine = visitor.may_change(run.access)
        shown = self._now(run) if mine else {self._panel: gr.update(visible=False), self._timer: gr.Timer(active=False)}
        return {**shown, self._files: publish_markup.take_along(_files_of(run, mine=mine)), self._told: ""}

    def _now(self, run: Run) -> Updates:
        """Updates for what changes while the merged model is made."""
        state = self._errand(run).state()
        made = has_merged(run) and not state.is_at_work
        why, room = why_not_merged(run), room_for_merged(run)
        words = f"No merged model: {why}." if why else "" if made or state.is_at_work else _room(room.needed, room.free)
        if not (why or room.enough):
            words = f"{words} That is too little: make room first."
        shown = state if state.status in _HEADS and not made else State()
        return {
            self._panel: gr.update(visible=run.adapter.is_dir()),
            self._words: publish_markup.line(f"{words} {_GGUF}".strip()),
            self._state: publish_markup.errand(shown, _HEADS.get(shown.status, "")),
            self._make: gr.update(visible=not (why or made or state.is_at_work), interactive=room.enough),
            self._stop: gr.update(visible=state.is_at_work, interactive=state.status != "stopping"),
            self._forget: gr.update(visible=run.merged.is_dir() and not state.is_at_work),
            self._timer: gr.Timer(active=state.is_at_work),
        }

    def _errand(self, run: Run) -> Errand:
        return Errand(Path(self._desk.settings.data_dir) / "errands" / "merge" / run.id)

    def _begin(self, request: gr.Request, run_id: str) -> Updates:
        try:
            visitor = self._desk.visitor(request)
            run = self._desk.own(run_id, visitor)
            self._desk.admit(request, "start")
            if why := why_not_merged(run):
                raise JobError(f"there can be no merged model: {why}")
            if queue.at_work(self._desk.store) is not None:
                raise JobError("the machine is at work on a run; make the merged model when it is done")
            self._desk.models.stop()  # their memory is needed
            self._errand(run).begin(Merge(run=str(run.path), out=str(run.merged)))
            return self.show(run, visitor)
        except FtspaceError as error:
            return {self._told: markup.note(str(error), "bad")}

    def _end(self, request: gr.Request, run_id: str) -> Updates:
        return self._act(request, run_id, lambda run: self._errand(run).stop())

    def _remove(self, request: gr.Request, run_id: str) -> Updates:
        return self._act(request, run_id, forget_merged)

    def _act(self, request: gr.Request, run_id: str, act: Any) -> Updates:
        try:
            visitor = self._desk.visitor(request)
            run = self._desk.own(run_id, visitor)
            act(run)
            return self.show(run, visitor)
        except FtspaceError as error:
            return {self._told: markup.note(str(error), "bad")}

    def _poll(self, request: gr.Request, run_id: str) -> Updates:
        try:
            visitor = self._desk.visitor(request)
            return self.show(self._desk.own(run_id, visitor), visitor)
        except FtspaceError:
            return {self._timer: gr.Timer(active=False)}


def _room(needed: int | None, free: int) -> str:
    takes = f"takes about {size(needed)}" if needed is not None else "takes as much as its base"
    proved = "The merged model is one complete model, proved to answer as base plus adapter."
    return f"{proved} It {takes} of the disk, of which {size(free)} are free."


def _files_of(run: Run, *, mine: bool) -> list[File]:
    """What a visitor may take of a run now."""
    found: list[File] = []
    if mine and run.adapter.is_dir():
        whole = run.config.lora.method == "full"
        name, words = ("Model", "all of it") if whole else ("Adapter", "for PEFT, with its tokenizer and template")
        found.append(File(name, f"zip, {size(size_of(adapter_files(run)))}", words, f"export/{run.id}/adapter"))
    if mine and has_merged(run):
        bytes_ = size(size_of(merged_files(run)))
        found.append(File("Merged model", f"zip, {bytes_}", "base and adapter in one", f"export/{run.id}/merged"))
    if run.results.is_file():
        words = "every question and every side's answer, with its scores"
        found.append(File("Answers", "Parquet", words, f"export/{run.id}/answers"))
    if mine:
        words = "every setting of this run, ready for ftspace run"
        found.append(File("Settings", "YAML", words, f"export/{run.id}/config"))
    if mine and run.chats.is_file():
        words = "what you asked its models, and what they answered"
        found.append(File("Chats", f"JSON Lines, {size(run.chats.stat().st_size)}", words, f"export/{run.id}/chats"))
    found.append(File("Report", "HTML", "verdict, curve and answers in one file", f"report/{run.id}?download=1"))
    return found
