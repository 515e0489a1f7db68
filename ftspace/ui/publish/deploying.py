"""Put it on a Space: this app, or a chat demo of a pushed run. First what it would do, then just that.

Both ask the Hub several times and are errands: they go on without the page. What is done is what was shown.
"""

from pathlib import Path
from typing import Any, cast

import gradio as gr

from ftspace.access import Visitor
from ftspace.errands import Deploy, Errand, State
from ftspace.errors import ConfigError, FtspaceError, HubError, JobError
from ftspace.hub.spaces.files import demo_files, pushed
from ftspace.hub.spaces.hardware import FREE, TABLE
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.desk import Desk
from ftspace.ui.part import Updates
from ftspace.ui.publish import publish_markup
from ftspace.ui.publish.publish_view import repo_id_of
from ftspace.ui.visitors import scopes_of, token_of

POLL_SECONDS = 1.5
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_AS_IS = "As it is; free for a new Space"
_APP, _DEMO = "app", "demo"
_WHATS = [("This app", _APP), ("A chat demo: base against tuned", _DEMO)]
_LOOKS = {"working": "Looking what there is to do", "failed": "It cannot be deployed so"}
_DOES = {"working": "Deploying", "failed": "Not deployed", "done": "Deployed"}
_ALWAYS = {"stopping": "Stopping", "stopped": "Stopped"}
_DEPLOYED = "The Hub builds it now, which takes some minutes. Watch it there:"
_GUEST = "Who may start runs here can put this app, or a demo of a run, on a Space of their own: sign in for it."


class Deploying:
    """The section's widgets."""

    def __init__(self, desk: Desk, run_id: gr.Textbox) -> None:
        """Builds them where the page stands now; `run_id` holds the id of the run that is open."""
        self._desk = desk
        gr.HTML(
            markup.heading("Put it on a Space", "On the Hub, under your name. Nothing is done before you have seen it.")
        )
        self._guest = gr.HTML(elem_id="deploy-guest")
        with gr.Column(elem_id="deploy-form") as self._form:
            with gr.Row():
                self._what = gr.Radio(_WHATS, value=_APP, label="What", min_width=280, elem_id="deploy-what")
                self._name = gr.Textbox(
                    label="Space", placeholder="owner/name", info="Your own name stands before one without an owner.",
                    min_width=260, elem_id="deploy-space",
                )  # fmt: skip
            with gr.Row():
                self._hardware = gr.Dropdown(
                    [_AS_IS, *(_choice(one.name, one.title, one.dollars_an_hour or 0.0) for one in TABLE)],
                    value=_AS_IS, label="Hardware", min_width=280, elem_id="deploy-hardware",
                )  # fmt: skip
                self._sleep = gr.Number(
                    30, label="Sleep after minutes without a visitor", minimum=0, precision=0, min_width=260,
                    info="Unpaid while it sleeps; 0 is never. Only for hardware that is paid.", elem_id="deploy-sleep",
                )  # fmt: skip
            with gr.Row():
                self._private = gr.Checkbox(
                    label="Only I see it", value=True, info="Otherwise everybody can, or it stays as it is.",
                    min_width=280, elem_id="deploy-private",
                )  # fmt: skip
                self._storage = gr.Checkbox(
                    label="Keep its runs in a storage bucket", min_width=260, elem_id="deploy-storage",
                    info="Without it runs are lost whenever the Space restarts or sleeps. For the app only.",
                )  # fmt: skip
            gr.HTML(publish_markup.hardware())
            self._told, self._state = gr.HTML(elem_id="deploy-told"), gr.HTML(elem_id="deploy-state")
            with gr.Row(elem_classes="ft-acts"):
                self._look = gr.Button("What it would do", elem_id="deploy-look", min_width=180)
                self._go = gr.Button("Put it there", variant="primary", visible=False, elem_id="deploy", min_width=180)
                self._stop = gr.Button("Stop", visible=False, elem_id="deploy-stop", min_width=120)
        self._timer = gr.Timer(POLL_SECONDS, active=False)
        self._now: list[Any] = [self._told, self._state, self._look, self._go, self._stop, self._timer]
        self.outputs: list[Any] = [self._guest, self._form, self._name, *self._now]
        said: list[Any] = [
            run_id, self._what, self._name, self._hardware, self._private, self._sleep, self._storage
        ]  # fmt: skip
        self._look.click(self._plan, said, self._now, trigger_mode="once", **_PRIVATE)
        self._go.click(self._do, run_id, self._now, trigger_mode="once", **_PRIVATE)
        self._stop.click(self._end, run_id, self._now, trigger_mode="once", **_PRIVATE)
        self._what.input(self._suggest, [run_id, self._what], self._name, **_PRIVATE)
        self._timer.tick(self._poll, run_id, self._now, concurrency_limit=None, **_PRIVATE)

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """The section for a visitor, on the page of a run or of none."""
        updates: Updates = {
            self._guest: "" if visitor.may_start else markup.note(_GUEST),
            self._form: gr.update(visible=visitor.may_start),
            self._name: "ftspace",
        }
        if not visitor.may_start:
            return updates | {self._timer: gr.Timer(active=False)}
        return updates | self._standing(visitor, run.id if run else "")

    def _standing(self, visitor: Visitor, run_id: str) -> Updates:
        """Updates for what changes while it is at work; nothing of what was asked for another run."""
        errand = self._errand(visitor)
        state, asked = errand.state(), errand.request
        if not isinstance(asked, Deploy) or asked.demo not in (None, run_id):
            state, asked = State(), Deploy(repo_id="", runs_dir="")
        heads = _ALWAYS | (_LOOKS if asked.dry_run else _DOES)
        planned = asked.dry_run and state.status == "done"
        shown = publish_markup.plan(state.result) if planned else publish_markup.errand(
            state, heads.get(state.status, ""), _where(state) if state.status == "done" else ""
        )  # fmt: skip
        return {
            self._told: "",
            self._state: shown,
            self._look: gr.update(visible=not state.is_at_work),
            self._go: gr.update(visible=planned and bool(state.result.get("steps")), value=_label(state)),
            self._stop: gr.update(visible=state.is_at_work, interactive=state.status != "stopping"),
            self._timer: gr.Timer(active=state.is_at_work),
        }

    def _errand(self, visitor: Visitor) -> Errand:
        return Errand(Path(self._desk.settings.data_dir) / "errands" / "deploy" / visitor.folder)

    def _suggest(self, request: gr.Request, run_id: str, what: str) -> Any:
        """A good name for it."""
        run = self._desk.find(run_id, self._desk.visitor(request)) if what == _DEMO else None
        try:
            return f"{pushed(run).repo_id}-demo" if run else "ftspace"
        except HubError:
            return "ftspace-demo"

    def _plan(
        self, request: gr.Request, run_id: str, what: str, name: str, hardware: str, private: bool, sleep: float | None,
        storage: bool,
    ) -> Updates:  # fmt: skip
        """Begins to look what there is to do."""
        try:
            visitor = self._desk.admit(request, "look")
            demo = self._demo(run_id, visitor) if what == _DEMO else None
            chosen = hardware.partition(":")[0] if hardware != _AS_IS else None
            paid = chosen not in (None, FREE)
            asked = Deploy(
                repo_id=_name_of(name),
                runs_dir=str(self._desk.store.runs_dir),
                demo=demo,
                hardware=chosen,
                private=True if private is True else None,
                sleep_minutes=int(sleep) if paid and sleep else None,
                storage=storage is True and demo is None,
                scopes=scopes_of(request),
            )
            self._errand(visitor).begin(asked, token_of(request))
            return self._standing(visitor, run_id)
        except FtspaceError as error:
            return {self._told: markup.note(str(error), "bad")}

    def _demo(self, run_id: str, visitor: Visitor) -> str:
        """The id of the run that a demo is to be of. Raises FtspaceError where there can be none."""
        if not run_id:
            raise JobError("open a run first: a demo is of a run that was pushed")
        run = self._desk.own(run_id, visitor)
        demo_files(run)
        return run.id

    def _do(self, request: gr.Request, run_id: str) -> Updates:
        """Does what was shown."""
        try:
            visitor = self._desk.admit(request, "call")
            errand = self._errand(visitor)
            state, asked = errand.state(), errand.request
            if not isinstance(asked, Deploy) or not asked.dry_run or state.status != "done":
                raise JobError("look first what it would do")
            if asked.demo:
                self._desk.own(asked.demo, visitor)
            self._desk.admit(request, "start")
            steps = tuple(cast("list[str]", state.result.get("steps", [])))
            sure = asked.model_copy(update={"dry_run": False, "steps": steps, "scopes": scopes_of(request)})
            errand.begin(sure, token_of(request))
            return self._standing(visitor, run_id)
        except FtspaceError as error:
            return {self._told: markup.note(str(error), "bad")}

    def _end(self, request: gr.Request, run_id: str) -> Updates:
        try:
            visitor = self._desk.admit(request, "call")
            self._errand(visitor).stop()
            return self._standing(visitor, run_id)
        except FtspaceError as error:
            return {self._told: markup.note(str(error), "bad")}

    def _poll(self, request: gr.Request, run_id: str) -> Updates:
        visitor = self._desk.visitor(request)
        return self._standing(visitor, run_id) if visitor.may_start else {self._timer: gr.Timer(active=False)}


def _name_of(text: str) -> str:
    """A Space's name, with its owner or without. Raises ConfigError."""
    name = str(text or "").strip().replace("/spaces/", "/")
    if repo_id_of(name if "/" in name else f"me/{name}") is None:
        raise ConfigError("name a Space as owner/name, with letters, digits, - _ and . only")
    return (repo_id_of(name) or name) if "/" in name else name


def _choice(name: str, title: str, dollars: float) -> str:
    return f"{name}: {title}, {f'${dollars:.2f} an hour' if dollars else 'free'}"


def _label(state: State) -> str:
    """What the button says that does it: with its price, where it begins to cost one."""
    hour = state.result.get("dollars_an_hour")
    if not state.result.get("costs"):
        return "Put it there"
    return f"Put it there, for ${hour:.2f} an hour" if isinstance(hour, float) else "Put it there; its price is unknown"


def _where(state: State) -> str:
    url = str(state.result.get("url", ""))
    return publish_markup.line(_DEPLOYED) + markup.anchor(url, url)
