"""Composes the page: five steps, one open run. Its id is in the address; everything shown is read from its folder.

Run it: `python app.py`. A reload, a second browser or a new app process show the same run, for none of them owns it.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ftspace.access import Visitor
from ftspace.runs import Run
from ftspace.settings import Settings
from ftspace.state import TERMINAL
from ftspace.ui import language, markup, opening, theme
from ftspace.ui.api import Api
from ftspace.ui.choose.choice import NAMES, Choice
from ftspace.ui.choose.step import Choose
from ftspace.ui.compare.step import Compare
from ftspace.ui.desk import Desk
from ftspace.ui.guests import Door, Invitation, OwnersOnly
from ftspace.ui.latest import latest
from ftspace.ui.lighter import Lighter
from ftspace.ui.live.at_work import AtWork
from ftspace.ui.live.live import KEEP_SECONDS, LiveView
from ftspace.ui.live.live_view import advised
from ftspace.ui.part import Part, Updates
from ftspace.ui.publish.exporting import Exports
from ftspace.ui.publish.importing import Importing
from ftspace.ui.publish.step import Publish
from ftspace.ui.report_page import ReportPage
from ftspace.ui.results.step import ResultsStep
from ftspace.ui.runs.gallery import About, Gallery, stands_alone
from ftspace.ui.runs.several import SeveralRuns
from ftspace.ui.tune import form
from ftspace.ui.tune.step import Tune
from ftspace.ui.way import Way
from ftspace.ui.web import Gate

MAX_UPLOAD = "200mb"
_FOLLOW = """id => {
  window.ftspace.follow(id);
  return id ? new URL("?run=" + encodeURIComponent(id), location.href).href : "";
}"""
"""live.js puts the run into the address and keeps its view up to date; here it gives the run's link."""
_SETTLE = """(suited, ...now) => {
  const {before, after} = JSON.parse(suited);
  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
  return now.map((value, place) => same(value, before[place]) ? after[place] : value);
}"""
"""In the browser, where nothing can be typed meanwhile: a field takes what suits the dataset if nobody has changed it
since that was asked for."""
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build_app(settings: Settings) -> "Page":
    """The page, ready for `launch`."""
    desk = Desk.of(settings)
    desk.look_after(warm=False)
    gr.set_static_paths(desk.downloads)  # else Gradio's copies go after an hour, while pages still name them
    return Page(desk)


def launch(page: "Page", settings: Settings, *, share: bool = False) -> None:
    """Serves the page until the process is ended. Asks for the password of the settings when they have one."""
    if settings.zero_gpu:
        from ftspace.ui.leases import lend_to

        lend_to(settings.runs_dir)
    live = LiveView(page.desk.followers, settings)
    gate = Middleware(Gate, settings=settings, shared_at=lambda: page.blocks.share_url, downloads=page.desk.downloads)
    page.blocks.queue(default_concurrency_limit=8, max_size=200, api_open=False).launch(
        server_name=settings.host,
        server_port=settings.port,
        share=share,
        auth=("ftspace", settings.password) if settings.password else None,
        auth_message="The user is ftspace, the password is the one that this app was started with.",
        theme=theme.THEME,
        css_paths=theme.CSS,
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        ssr_mode=False,
        max_file_size=MAX_UPLOAD,
        i18n=language.words(),
        head=language.told() + "".join(f"<script>{one.read_text(encoding='utf-8')}</script>" for one in theme.SCRIPTS),
        num_workers=0,  # they would serve files and take uploads past the gate
        app_kwargs={
            "routes": [live.route, ReportPage(settings).route, language.ROUTE, Exports(settings).route],
            "middleware": [gate, Middleware(Lighter)],
        },
        prevent_thread_lock=True,
    )
    if page.blocks.server:
        page.blocks.server.config.timeout_keep_alive = KEEP_SECONDS
    page.blocks.block_thread()


@dataclass
class Watch:
    """What one page's widgets know of its run."""

    run_id: str
    answers: bool = False
    """Whether the adapter was there."""
    results: bool = False
    """Whether the results were shown."""


class Page:
    """The page's widgets and what happens between them. Handlers return at once; none keeps anything for a run."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        with gr.Blocks(title="ftspace", analytics_enabled=False, delete_cache=(600, 3600)) as self.blocks:
            self.run_id = gr.Textbox(visible=False)
            self.origin = gr.Textbox(visible=False)
            self.watch = gr.State(None)
            self.head = gr.HTML(markup.header(None))
            self.about = About(desk)
            self.way = Way(desk, self.head)
            self.door = Door(desk)
            self.notice = gr.HTML()
            with gr.Tabs(selected="choose", elem_id="steps", overflow_behavior="wrap") as self.steps:
                with gr.Tab("1 Choose", id="choose", elem_id="choose-step"):
                    self.choosing = OwnersOnly()
                    with self.choosing.step:
                        self.choose = Choose(desk)
                        self.importing = Importing(desk)
                with gr.Tab("2 Tune", id="tune", elem_id="tune-step") as self.tune_tab:
                    self.tune = Tune(desk)
                    self.at_work = AtWork(desk)
                with gr.Tab("3 Compare", id="compare", elem_id="compare-step"):
                    self.compare = Compare(desk, self.run_id)
                with gr.Tab("4 Results", id="results", elem_id="results-step"):
                    self.results = ResultsStep(desk, self.run_id)
                with gr.Tab("5 Publish", id="publish", elem_id="publish-step") as publish_tab:
                    self.publish = Publish(desk, self.run_id)
                self.publish.wire(self.run_id, [publish_tab.select])
            self.gallery = Gallery(desk, self.blocks, self.head, self.about)
            self.invitation, self.several = Invitation(desk), SeveralRuns(desk, self.blocks)
            self.parts: list[Part] = [self.way, self.importing, self.compare, self.results.nothing]
            self.parts += [self.about, self.gallery, self.invitation, self.several]
            self.look = gr.Button(visible="hidden", elem_id="news")
            self.suited = gr.Textbox(elem_classes="ft-hidden")
            Api(desk)
            self._wire()
            opening.blank(self.blocks)

    def _wire(self) -> None:
        choose, tune, at_work = self.choose, self.tune, self.at_work
        choose.wire(self.run_id, self.origin, tune.fields["data.system"])
        news = [self.watch, self.notice, *at_work.outputs, *self.results.outputs]
        news += self.publish.outputs
        news += [widget for part in self.parts for widget in part.outputs]
        everything = [
            self.run_id,
            self.origin,
            self.head,
            self.steps,
            *choose.outputs,
            *tune.outputs,
            at_work.panel,
            *news,
        ]
        everything += [
            *self.choosing.outputs,
            choose.opened,
            *self.door.outputs,
            *self.publish.outputs,
        ]
        everything = list(dict.fromkeys(everything))
        chosen = [choose.model, choose.dataset]

        self.blocks.load(self._arrive, None, everything, **_PRIVATE).then(
            None, self.run_id, self.publish.link, js=_FOLLOW, **_PRIVATE
        )
        self.look.click(
            self._news, [self.run_id, self.watch], news, concurrency_limit=None, trigger_mode="multiple", **_PRIVATE
        )
        for button, act in at_work.acts:
            button.click(act, self.run_id, at_work.told, trigger_mode="once", **_PRIVATE).then(
                None, self.run_id, self.publish.link, js=_FOLLOW, **_PRIVATE
            )
        suited = [tune.fields[name] for name in form.SUITED]
        latest(
            [choose.model.change, choose.dataset.change],
            self._suit,
            [self.suited, self.origin, *chosen, *suited],
            [self.suited, *(tune.fields[name] for name in form.CHOSEN), tune.trouble],
        ).then(None, [self.suited, *suited], suited, js=_SETTLE, **_PRIVATE)
        tune.start.click(self._start, [*choose.said, *tune.inputs()], everything, trigger_mode="once", **_PRIVATE).then(
            None, self.run_id, self.publish.link, js=_FOLLOW, **_PRIVATE
        )
        tune.wire(self.run_id, self.suited, dict(zip(NAMES, choose.said, strict=True)), [self.tune_tab.select])
        for name, widget in choose.lab_settings.items():
            field: Any = tune.fields[name]
            field.change(lambda value: value, field, widget, **_PRIVATE)
        for button, step in ((choose.go_on, "tune"), (at_work.see, "results"), (at_work.ask, "compare")):
            button.click(_goer(step), None, self.steps, queue=False, **_PRIVATE)

    def _arrive(self, request: gr.Request) -> Updates:
        """What a page shows for its address, and not yet."""
        return opening.changes(self._open(request))

    def _open(self, request: gr.Request) -> Updates:
        """The page for its address: `?run=ID` shows a run, `?from=ID` a new one with that run's settings.

        With `start=adapter` the new one trains that run's adapter on.
        """
        visitor = self.desk.visitor(request)
        wanted, origin = (str(request.query_params.get(name) or "") for name in ("run", "from"))
        run = self.desk.find(wanted, visitor) if wanted else None
        lost = f"There is no run {wanted} here; it may have been deleted." if wanted and run is None else ""
        origin_run = self.desk.find(origin, visitor) if origin else None
        self.desk.look_after(warm=visitor.may_start)
        on = origin_run is not None and request.query_params.get("start") == "adapter"
        page = self._page(run, origin_run.id if origin_run else "", visitor, on=on)
        asked = advised(request.query_params) if origin_run else {}
        page |= {field: asked[name] for name, field in self.tune.fields.items() if name in asked}
        alone = {self.steps: gr.Tabs(visible=False)} if stands_alone(request) else {}
        return {**page, **alone, self.choose.opened: secrets.token_hex(4), self.notice: markup.note(lost, "bad")}

    def _page(self, run: Run | None, origin: str, visitor: Visitor, *, on: bool = False) -> Updates:
        return {
            self.run_id: run.id if run else "",
            self.origin: origin,
            **self.door.show(run, visitor),
            **{widget: value for part in self.parts for widget, value in part.show(run, visitor).items()},
            **self.publish.show(run, visitor),
            **self.choose.show(run, origin, visitor, on=on),
            **dict(zip(self.tune.outputs, self.tune.show(run, origin, visitor), strict=True)),
            self.at_work.panel: gr.update(visible=run is not None),
            **(self._news_for(visitor, run.id, None) if run else {self.watch: None}),
            **self.choosing.show(self._made_from(run, visitor), visitor),
            self.steps: gr.Tabs(selected=self._step_of(run), visible=run is not None or visitor.may_start),
        }

    def _made_from(self, run: Run | None, visitor: Visitor) -> str:
        names = self.desk.names_for(run.config, visitor) if run else {}
        return f"Made from {names['model']} and {names['dataset']}." if names else ""

    def _step_of(self, run: Run | None) -> str:
        """The step that a page opens with."""
        if run is None:
            return "choose"
        over = self.desk.followers.of(run.id).look().status in TERMINAL
        return "results" if over and run.results.exists() else "tune"

    def _news(self, request: gr.Request, run_id: str, watch: Watch | None) -> Updates:
        """What the widgets have to show of the run; what they show already is not sent again."""
        news = self._news_for(self.desk.visitor(request), run_id, watch)
        news.pop(self.at_work.state, None)  # live.js has put it there, and what is opened in it stays open
        return news

    def _news_for(self, visitor: Visitor, run_id: str, watch: Watch | None) -> Updates:
        run = self.desk.find(run_id, visitor)
        if run is None:
            return {self.notice: markup.note(f"The run {run_id} is gone; it may have been deleted.", "bad")}
        if watch is None or watch.run_id != run_id:  # a page that was open before this app was started
            watch = Watch(run_id)
        live = self.at_work.look(run, self.desk.followers.of(run_id).look(), may_change=visitor.may_change(run.access))
        updates: Updates = {self.watch: watch, **dict(zip(self.at_work.outputs, live, strict=True))}
        for part in self.parts:
            updates |= part.news(run, visitor)
        if run.adapter.is_dir() and not watch.answers:
            watch.answers = True
            updates |= self.publish.show(run, visitor)
        if run.results.exists() and not watch.results:
            watch.results = True
            updates |= self.results.show(run, visitor)
        return updates

    def _start(self, request: gr.Request, *sent: Any) -> Updates:
        said, values = sent[: len(NAMES)], list(sent[len(NAMES) :])
        run, trouble = self.tune.begin(request, Choice.of(said), values)
        if run is None:
            return {self.tune.trouble: trouble}
        return {**self._page(run, "", self.desk.visitor(request)), self.notice: ""}

    def _suit(self, request: gr.Request, known: str, origin: str, model: str, dataset: str, *before: Any) -> list[Any]:
        """What suits a choice; nothing anew for the same one, which a list that was filled tells of again."""
        chosen = [origin, model, dataset]
        if known and json.loads(known)["chosen"] == chosen:
            return [gr.skip()] * (2 + len(form.CHOSEN))
        draft = self.desk.draft(origin, self.desk.visitor(request))
        own = not known and (model, dataset) == (draft.model.id, draft.data.id)  # a link may have asked for others
        after = list(before) if own else form.suiting(draft, model, dataset)
        suited = json.dumps({"chosen": chosen, "before": before, "after": after})
        named = [gr.update(choices=form.task_choices(form.value_of(draft, name))) for name in form.CHOSEN]
        return [suited, *named, ""]


def _goer(step: str) -> Any:
    return lambda: gr.Tabs(selected=step)
