"""The runs, to look through, name, compare and delete: on the start page, and alone at `?runs`.

What is looked for stands in the address (`?runs&q=words&show=better&sort=name`). Cards are HTML; gallery.js hands what
is done on one to `_act`, which asks again whose the run is.
"""

import json
import threading
from contextlib import suppress
from typing import Any

import gradio as gr

from ftspace.access import Visitor
from ftspace.errors import FtspaceError, JobError
from ftspace.gallery import SHOWS, SORTS, Entry, Index, Query, query_of, tags_of
from ftspace.labels import Label, read_label, split_tags, write_label
from ftspace.runs import Run
from ftspace.trash import Deleted, Trash
from ftspace.ui import markup
from ftspace.ui.desk import Desk
from ftspace.ui.part import Updates
from ftspace.ui.runs import gallery_markup

PAGE = 30
"""Runs on a page."""
SECONDS = 3.0
"""Between two looks at the runs that are at work."""
_MOST = 2000
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_LATEST: dict[str, Any] = {**_PRIVATE, "trigger_mode": "always_last"}


def stands_alone(request: gr.Request) -> bool:
    """Whether a page's address asks for the gallery, or for several runs compared, and for nothing else."""
    asked = request.query_params
    return not asked.get("run") and ("runs" in asked or bool(asked.get("compare")))


class About:
    """Title, tags and note of the run that is open, below the page's head."""

    def __init__(self, desk: Desk) -> None:
        """Builds it where the page stands now."""
        self._desk = desk
        self.widget = gr.HTML(elem_id="run-label")
        self.outputs: list[Any] = [self.widget]

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """What was written on the run, and for its owner how to change it."""
        if run is None:
            return {self.widget: ""}
        return {self.widget: gallery_markup.about(run.id, read_label(run), mine=visitor.may_change(run.access))}

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """Nothing: what happens to a run changes no label."""
        return {}


class Gallery:
    """The runs that a visitor may see."""

    def __init__(self, desk: Desk, page: gr.Blocks, head: gr.HTML, about: About) -> None:
        """Builds it where the page stands now; `head` and `about` tell the name of the run that is open."""
        self._desk, self._head, self._about = desk, head, about
        self.store = desk.store
        self._index, self._trash = Index(), Trash(desk.store)
        with gr.Column(elem_id="gallery") as self._panel, gr.Column(visible=False) as self.body:
            self._top = gr.HTML()
            with gr.Row(elem_id="gallery-tools") as self._tools:
                self._text = gr.Textbox(  # "", not None: else the page's opening would pass for typing
                    "", label="Search", placeholder="Title, model, dataset, tag, note or id", scale=3, min_width=200,
                    elem_id="gallery-search",
                )  # fmt: skip
                self._show = gr.Dropdown(
                    label="Show", choices=_shows([]), value="all", scale=2, min_width=150, elem_id="gallery-show"
                )
                self._sort = gr.Dropdown(
                    label="Order", choices=[(words, one) for one, words in SORTS.items()], value="newest", scale=2,
                    min_width=150, elem_id="gallery-sort",
                )  # fmt: skip
            gr.HTML(gallery_markup.choosing(), elem_id="gallery-choosing")
            self.own = gr.HTML(elem_id="gallery-list")
            self.more = gr.Button("Show more", visible=False, elem_id="gallery-more")
            self.others = gr.HTML(elem_id="gallery-others")
            self.deleted = gr.HTML(elem_id="gallery-deleted")
        self._asked, self._told, self.working, self._states = (
            gr.Textbox(elem_id=f"gallery-{name}", elem_classes="ft-hidden")
            for name in ("asked", "told", "working", "states")
        )
        self._count = gr.Number(PAGE, visible=False)
        self._timer = gr.Timer(SECONDS, active=False)
        self.outputs: list[Any] = [self._panel]
        self._wire(page)
        threading.Thread(target=self._look_ahead, name="gallery", daemon=True).start()

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """It stands on the start page, not on that of a run."""
        return {self._panel: gr.update(visible=run is None)}

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """Nothing: it is not shown beside a run."""
        return {}

    def _wire(self, page: gr.Blocks) -> None:
        query: list[Any] = [self._text, self._show, self._sort]
        lists: list[Any] = [
            self.body, self._top, self._tools, self.own, self.more, self.others, self.deleted, self._show,
            self.working, self._timer, self._count,
        ]  # fmt: skip
        page.load(self._open, None, [*lists, self._text, self._sort], **_PRIVATE)
        gr.on([self._text.change, self._show.input, self._sort.input], self._look, query, lists, **_LATEST).then(
            None, query, None, js="(...said) => window.ftGallery.address(...said)", **_PRIVATE
        )
        self.more.click(self._look_further, [*query, self._count], lists, **_LATEST)
        acted = [*lists, self._told, self._head, self._about.widget]
        self._asked.change(self._act, [self._asked, *query, self._count], acted, **_PRIVATE).then(
            None, self._told, None, js="told => window.ftGallery.told(told)", **_PRIVATE
        )
        self._timer.tick(
            self._tick, self.working, [self._states, self._timer], concurrency_limit=None, **_PRIVATE
        ).then(None, self._states, None, js="states => window.ftGallery.states(states)", **_PRIVATE)

    def _look_ahead(self) -> None:
        """Reads the runs once, so that the first search need not."""
        with suppress(OSError):
            for run in self._desk.store.list()[:_MOST]:
                self._index.entry(run)

    def _open(self, request: gr.Request) -> Updates:
        """The gallery for a page's address."""
        asked = request.query_params
        if asked.get("run") or asked.get("compare"):
            return {self.body: gr.update(visible=False)}
        query = query_of(asked.get("q"), asked.get("show"), asked.get("sort"))
        found = self.lists(self._desk.visitor(request), query, PAGE, alone="runs" in asked)
        return {**found, self._text: query.text, self._sort: query.sort}

    def _look(self, request: gr.Request, text: str, show: str, sort: str) -> Updates:
        found = self.lists(self._desk.visitor(request), query_of(text, show, sort), PAGE, alone=True)
        return {widget: value for widget, value in found.items() if widget is not self.body}  # as it was when opened

    def _look_further(self, request: gr.Request, text: str, show: str, sort: str, count: float) -> Updates:
        return self.lists(self._desk.visitor(request), query_of(text, show, sort), _page_of(count) + PAGE, alone=True)

    def lists(self, visitor: Visitor, query: Query, count: int, *, alone: bool) -> Updates:
        """All that is shown for a query. `alone`: also where there is no run at all."""
        own, more = self._index.find(self._desk.owned(visitor), query, count)
        others, others_more = self._index.find(self._desk.shown(visitor), query, count, notes=False)
        gone = self._gone(visitor)
        guest = not visitor.may_start
        tags = tags_of(self._desk.owned(visitor))
        shown = bool(own or others or gone or not query.is_open or alone or guest)
        working = [one.run.id for one in (*own, *others) if one.is_at_work]
        return {
            self.body: gr.update(visible=shown),
            self._top: _heading(guest=guest),
            self._tools: gr.update(visible=bool(own or others or not query.is_open)),
            self.own: self._own_list(own, more, query, guest=guest, others=bool(others)),
            self.more: gr.update(visible=more or others_more),
            self.others: _others_list(others, apart=bool(own) or not guest),
            self.deleted: gallery_markup.deleted(gone),
            self._show: gr.update(choices=_shows([query.tag, *tags]), value=_shown(query)),
            self.working: ",".join(working),
            self._timer: gr.Timer(active=bool(working)),
            self._count: count,
        }

    def _own_list(self, own: list[Entry], more: bool, query: Query, *, guest: bool, others: bool) -> str:
        if own:
            return gallery_markup.counted(len(own), more) + gallery_markup.cards(own, mine=True)
        if not query.is_open:
            none = "Take words away, or show all."
            return "" if others else markup.empty("No run is like that", none)
        if guest:
            said = "Runs that their owners show to everybody stand here."
            return "" if others else markup.empty("Nothing to look at yet", said)
        return markup.empty("No runs yet", "Every run you start is kept here, with its curves, answers and verdict.")

    def _gone(self, visitor: Visitor) -> list[Deleted]:
        return [one for one in self._trash.list() if visitor.may_change(one.run.access)]

    def _tick(self, request: gr.Request, working: str) -> tuple[str, Any]:
        """How the runs at work are now, by their ids."""
        visitor = self._desk.visitor(request)
        found = [self._desk.find(run_id, visitor) for run_id in str(working).split(",")[: 2 * PAGE]]
        entries = [self._index.entry(run) for run in found if run]
        states = {one.run.id: gallery_markup.state(one) for one in entries}
        return json.dumps(states), gr.Timer(active=any(one.is_at_work for one in entries))

    def _act(self, request: gr.Request, asked: str, text: str, show: str, sort: str, count: float) -> Updates:
        """Does what was asked for on a card, and tells what came of it."""
        visitor = self._desk.visitor(request)
        said = _read(asked)
        run_id = str(said.get("run", ""))
        try:
            told = self.do(said, run_id, visitor)
        except FtspaceError as error:
            return {self._told: json.dumps({"trouble": str(error), "run": run_id})}
        run = self._desk.find(run_id, visitor) if said.get("page") else None
        updates: Updates = {self._told: json.dumps({**told, "run": run_id, "page": bool(said.get("page"))})}
        if said.get("page"):
            named = {self._head: markup.header(self._desk.line(run)), **self._about.show(run, visitor)} if run else {}
            return updates | named
        query = query_of(text, show, sort)
        return updates | self.lists(visitor, query, _page_of(count), alone=True)

    def do(self, said: dict[str, Any], run_id: str, visitor: Visitor) -> dict[str, Any]:
        """Names, deletes or restores a run, and tells what came of it. Raises FtspaceError for what may not be done."""
        match said.get("do"):
            case "label":
                run = self._desk.own(run_id, visitor)
                title, tags, note = (str(said.get(name) or "") for name in ("title", "tags", "note"))
                write_label(run, Label(title=title, tags=split_tags(tags), note=note))
                self._desk.followers.of(run_id).void()
                return {"say": "Saved.", "saved": True}
            case "delete":
                run = self._deletable(run_id, visitor)
                if run.ticket.exists() or run.is_alive():
                    raise JobError("this run is at work, or waits for its turn: open it and stop it, then delete it")
                name = self._desk.line(run).title
                self._trash.put(run_id)
                if self._desk.models.is_open(run):
                    self._desk.models.stop()
                self._desk.followers.forget(run_id)
                threading.Thread(target=self._trash.expire, daemon=True).start()
                return {"say": f"Deleted {name}.", "deleted": True}
            case "restore":
                if not any(one.id == run_id for one in self._gone(visitor)):
                    raise JobError("there is no such deleted run of yours; it may have gone for good")
                run = self._trash.restore(run_id)
                return {"say": f"{self._desk.line(run).title} is back.", "restored": True}
            case _:
                raise JobError("nothing was asked for that can be done with a run")

    def _deletable(self, run_id: str, visitor: Visitor) -> Run:
        """A visitor's own run, be it damaged. Raises JobError, NotAllowedError."""
        run = self._desk.store.visible(run_id, visitor)
        return run if visitor.may_change(run.access) else self._desk.own(run_id, visitor)


def _read(asked: Any) -> dict[str, Any]:
    try:
        found = json.loads(asked)
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _page_of(count: Any) -> int:
    return max(PAGE, min(int(count), _MOST)) if isinstance(count, int | float) and count == count else PAGE  # NaN


def _heading(*, guest: bool) -> str:
    if guest:
        return markup.heading("Fine-tunes to look at", "Each with its curves, its answers and its verdict.")
    return markup.heading("Your runs", "Open one to see how it went, or choose two or more to compare them.")


def _others_list(others: list[Entry], *, apart: bool) -> str:
    if not others:
        return ""
    head = markup.heading("Shown by others", "What they let everybody see.") if apart else ""
    return head + gallery_markup.cards(others, mine=False)


def _shows(tags: list[str]) -> list[tuple[str, str]]:
    """The choices of what is shown; each tag once."""
    own = dict.fromkeys(tag for tag in tags if tag)
    return [*((words, one) for one, words in SHOWS.items()), *((f"Tag: {tag}", f"tag:{tag}") for tag in own)]


def _shown(query: Query) -> str:
    return f"tag:{query.tag}" if query.tag else query.show
