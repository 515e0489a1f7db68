"""Step 5: a run shown to others, pushed to the Hub, taken along, put on a Space. A push goes on without the page."""

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

from ftspace.access import Visitor
from ftspace.errors import FtspaceError, HubError
from ftspace.hub.bundle.files import PICTURE, build_bundle
from ftspace.hub.bundle.origins import ask_origins, known_origins
from ftspace.hub.bundle.published import texts_of
from ftspace.hub.push.pushing import push_state, requested, start_push, stop_push
from ftspace.hub.push.records import PushFolder, What
from ftspace.hub.push.target import look_at_target
from ftspace.hub.token import Asked, TokenRecord, ask_token
from ftspace.preflight.at_once import Look, Patience
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.desk import Desk
from ftspace.ui.guests import Sharing
from ftspace.ui.part import Updates
from ftspace.ui.publish import publish_markup
from ftspace.ui.publish.deploying import Deploying
from ftspace.ui.publish.exporting import TakeAlong
from ftspace.ui.publish.publish_view import NAMES, good_name, push_view, repo_id_of, request_of, where_to
from ftspace.ui.visitors import token_of
from ftspace.words import sentence

POLL_SECONDS = 2.0
_PATIENCE = 3.0
"""Seconds that the Hub is waited for when the step is opened."""
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_NOTHING = markup.empty("Nothing to publish yet", "Open a run: its link, its report and its push are made here.")
_KINDS: dict[str, What] = {what: what for what in NAMES}
_NO_TOKEN = (
    "There is no token to push with. Make one with the role write at huggingface.co/settings/tokens, then run hf auth "
    "login on this machine, or start the app with HF_TOKEN. Until then look at what would be pushed, or take it along."
)
_OFFLINE = (
    "This app is offline, so the Hub is not asked: start it without HF_HUB_OFFLINE to push. Until then look at what "
    "would be pushed, or take it along."
)
_SIGN_IN = "There is no token to push with: sign in again."


class Publish:
    """The step's widgets."""

    def __init__(self, desk: Desk, run_id: gr.Textbox) -> None:
        """Builds the step inside the tab that is open; `run_id` holds the id of the run that is open."""
        self._desk = desk
        self._nothing = gr.HTML(_NOTHING)
        with gr.Column(visible=False) as self._panel:
            gr.HTML(markup.heading("Show it", self._who()))
            self.link = gr.Textbox(label="Link to this run", interactive=False, buttons=["copy"], elem_id="run-link")
            self._sharing = Sharing(desk, run_id)
            self._reports = gr.HTML(elem_id="reports")
        with gr.Column(visible=False, elem_id="push-form") as self._form:
            gr.HTML(
                markup.heading(
                    "Push it to the Hub",
                    "In one commit with card and results, then read back and compared. The run itself stays as it is.",
                )
            )
            with gr.Row():
                self._what = gr.Radio(
                    [(name, what) for what, name in NAMES.items()], value="adapter", label="What", min_width=240,
                    elem_id="push-what",
                )  # fmt: skip
                self._repo = gr.Textbox(
                    label="Repository", placeholder="owner/name", info="It is made if it is not there.", min_width=280,
                    elem_id="push-repo",
                )  # fmt: skip
            self._public = gr.Checkbox(
                label="Everybody may read it",
                info="Otherwise the new repository is private. One that is there stays as it is.",
                elem_id="push-public",
            )
            with gr.Row():
                self._preview = gr.Button("Look at what is pushed", elem_id="push-look")
                self._push = gr.Button("Push", variant="primary", elem_id="push")
                self._stop = gr.Button("Stop the push", visible=False, elem_id="push-stop")
            self._ahead, self._told = gr.HTML(elem_id="push-ahead"), gr.HTML(elem_id="push-told")
            self._state = gr.HTML(elem_id="push-state")
            self._bundle = gr.HTML(elem_id="push-bundle")
        with gr.Column(visible=False, elem_id="take-along") as self._along_panel:
            self._along = TakeAlong(desk, run_id)
        with gr.Column(elem_id="deploy-section"):
            self._space = Deploying(desk, run_id)
        self._timer = gr.Timer(POLL_SECONDS, active=False)
        self._now: list[Any] = [self._state, self._push, self._stop, self._timer]
        self.outputs: list[Any] = [
            self._nothing, self._panel, self._reports, self._form, self._what, self._repo, self._public, self._ahead,
            self._told, self._bundle, *self._now, *self._sharing.outputs, self._along_panel, *self._along.outputs,
            *self._space.outputs,
        ]  # fmt: skip
        named: list[Any] = [run_id, self._what]
        typed: list[Any] = [*named, self._repo, self._public]
        told: list[Any] = [self._ahead, self._told, *self._now]
        self._what.input(self._choose, named, [self._repo, self._public, self._bundle, *told], **_PRIVATE)
        self._preview.click(self._look, typed, [self._ahead, self._told, self._bundle], trigger_mode="once", **_PRIVATE)
        self._push.click(self._begin, typed, told, trigger_mode="once", **_PRIVATE)
        self._stop.click(self._end, named, told, trigger_mode="once", **_PRIVATE)
        self._timer.tick(self._poll, named, self._now, concurrency_limit=None, **_PRIVATE)

    def wire(self, run_id: gr.Textbox, opened: list[Any]) -> None:
        """What happens when the step is opened: the owner of the token becomes that of the repository."""
        gr.on(opened, self._own, [run_id, self._what, self._repo], [self._repo, self._ahead], **_PRIVATE)

    def _who(self) -> str:
        if self._desk.settings.sign_in:
            return "Whoever has the link sees the run once everybody may see it, without signing in."
        return "The link opens the run for those who can open this app. The report can be sent to anybody."

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """The step for an open run: what everybody who sees it may take along, and for its owner the push."""
        mine = run is not None and visitor.may_change(run.access)
        updates: Updates = {
            **self._sharing.show(run, visitor),
            **self._along.show(run, visitor),
            **self._space.show(run, visitor),
            self._along_panel: gr.update(visible=run is not None),
            self._nothing: gr.update(visible=run is None),
            self._panel: gr.update(visible=run is not None),
            self._form: gr.update(visible=mine and run is not None and run.adapter.is_dir()),
            self._reports: publish_markup.reports(run.id) if run else "",
            self._ahead: "",
            self._told: "",
            self._bundle: "",
        }
        if run is None or not mine:
            return updates | {self._timer: gr.Timer(active=False), self._state: ""}
        what = _newest(run)
        return updates | {self._what: what} | self._named(run, what, visitor) | self._look_at(run, what)

    def _named(self, run: Run, what: What, visitor: Visitor) -> Updates:
        """What was asked for the last time, else a good name."""
        try:
            asked = requested(run, what)
            return {self._repo: asked.repo_id, self._public: asked.public}
        except HubError:
            owner = visitor.name if self._desk.settings.sign_in else ""
            name = good_name(run.config, what)
            return {self._repo: f"{owner}/{name}" if owner else name, self._public: False}

    def _own(self, request: gr.Request, run_id: str, what: str, repo: str) -> Updates:
        """Puts the owner before a name that has none, and tells beforehand why a push would be refused."""
        try:
            run = self._desk.own(run_id, self._desk.visitor(request))
            if not run.adapter.is_dir():
                return {self._repo: gr.skip()}
            with self._desk.answering(request, "look"):
                asked = ask_token()
                if asked.record is None:
                    return {self._ahead: markup.note(self._missing(asked), "warn")}
                name = repo.strip() or good_name(run.config, _KINDS.get(what, "adapter"))
                repo_id = name if "/" in name else f"{asked.record.name}/{name}"
                why = _why_not(asked.record, repo_id_of(repo_id))
        except FtspaceError:  # nothing to push, or not for this visitor
            return {self._repo: gr.skip()}
        return {self._repo: repo_id, self._ahead: markup.note(why and f"{why}.", "warn")}

    def _missing(self, asked: Asked) -> str:
        """What to do where the Hub knows of no token to push with."""
        if asked.trouble == "offline":
            return _OFFLINE
        if asked.trouble != "none":
            return sentence(asked.detail)
        return _SIGN_IN if self._desk.settings.sign_in else _NO_TOKEN

    def _look_at(self, run: Run, what: What) -> Updates:
        """Updates for what changes while a push is at work."""
        state = push_state(run, what)
        again = "Try again" if state.can_retry else "Push again" if state.verified else "Push"
        return {
            self._state: publish_markup.push(push_view(state)),
            self._push: gr.update(value=again, visible=not state.is_at_work),
            self._stop: gr.update(visible=state.is_at_work, interactive=state.status != "stopping"),
            self._timer: gr.Timer(active=state.is_at_work),
        }

    def _choose(self, request: gr.Request, run_id: str, what: str) -> Updates:
        visitor = self._desk.visitor(request)
        try:
            run = self._desk.own(run_id, visitor)
        except FtspaceError as error:
            return {self._told: markup.note(str(error), "bad")}
        kind = _KINDS.get(what, "adapter")
        return {
            self._ahead: "",
            self._told: "",
            self._bundle: "",
            **self._named(run, kind, visitor),
            **self._look_at(run, kind),
        }

    def _poll(self, request: gr.Request, run_id: str, what: str) -> Updates:
        try:
            run = self._desk.own(run_id, self._desk.visitor(request))
        except FtspaceError:
            return {self._timer: gr.Timer(active=False)}
        return self._look_at(run, _KINDS.get(what, "adapter"))

    def _begin(self, request: gr.Request, run_id: str, what: str, repo: str, public: bool) -> Updates:
        """Sets a push going, with the token of whoever signed in, else this machine's."""
        try:
            visitor = self._desk.admit(request, "start")
            run = self._desk.own(run_id, visitor)
            asked = request_of(what, repo, public=public)
            start_push(run, asked, token_of(request))
        except FtspaceError as error:
            return {self._told: markup.note(str(error), "bad")}
        return {self._ahead: "", self._told: "", **self._look_at(run, asked.what)}

    def _end(self, request: gr.Request, run_id: str, what: str) -> Updates:
        kind = _KINDS.get(what, "adapter")
        try:
            run = self._desk.own(run_id, self._desk.visitor(request))
            stop_push(run, kind)
        except FtspaceError as error:
            return {self._told: markup.note(str(error), "bad")}
        return {self._told: "", **self._look_at(run, kind)}

    def _look(self, request: gr.Request, run_id: str, what: str, repo: str, public: bool) -> Updates:
        """Where a push would go and what would refuse it, and its files, made beside the run's and removed again."""
        told, ahead = "", ""
        try:
            with self._desk.answering(request, "look") as visitor:
                run = self._desk.own(run_id, visitor)
                asked = request_of(what, repo, public=public)
                found_token = ask_token()
                if found_token.record is None:
                    ahead = self._missing(found_token)
                elif why := _why_not(found_token.record, asked.repo_id):
                    ahead = f"{why}."
                if asked.what != "adapter":
                    raise HubError(f"the {NAMES[asked.what]} is made when it is pushed; card and records are as these")
                try:
                    ask_origins(run)
                except HubError as error:
                    silent = texts_of(run.config, known_origins(run)).why_none
                    after = "No question and no answer is in what stands below, and a push asks again"
                    known = "What stands below is by what the Hub said before, and a push asks again"
                    told = markup.note(f"{error}. {after if silent else known}.", "warn")
                place = PushFolder(run.path).path.parent
                place.mkdir(exist_ok=True)
                with tempfile.TemporaryDirectory(prefix=".look-", dir=place) as beside:
                    found = build_bundle(run, asked, Path(beside) / "bundle")
                    card = (found.folder / "README.md").read_text(encoding="utf-8")
                    curve = found.folder / PICTURE
                    picture = curve.read_bytes() if curve.is_file() else b""
        except FtspaceError as error:
            return {self._told: markup.note(str(error), "bad"), self._bundle: ""}
        files = [(one.path, one.size) for one in found.files]
        left_out = [(one.what, one.why) for one in found.left_out]
        return {
            self._ahead: markup.note(ahead, "warn"),
            self._told: told,
            self._bundle: publish_markup.bundle(where_to(asked), files, left_out, card, picture),
        }


def _why_not(record: TokenRecord, repo_id: str | None) -> str:
    """Why a push to a repository would be refused, as far as the Hub says in some seconds; "" where nothing is known.

    Where it does not say whether the repository is there, only what would be refused in both cases is told.
    """
    if repo_id is None:
        return ""
    if why := record.why_not_own(repo_id.partition("/")[0]):
        return why
    try:
        target = Look(lambda: look_at_target(repo_id)).within(Patience(_PATIENCE))
    except HubError:
        target = None
    if target and target.taken:
        return f"The name {repo_id} is taken: {target.taken}"
    return record.why_not_write(repo_id, there=target is None or target.there)


def _newest(run: Run) -> What:
    """What is being pushed, else what was asked for last."""
    last: tuple[bool, float, What] = (False, 0.0, "adapter")
    for what in NAMES:
        place = PushFolder(run.path, what).request
        if place.is_file():
            last = max(last, (push_state(run, what).is_at_work, place.stat().st_mtime, what))
    return last[2]
