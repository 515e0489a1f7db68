"""Question by question: filters, a list worst first, and the question that is open. What it shows is in the address.

`report/drill.py` says what there is, and `report/drill_markup.py` how it looks; here are the widgets.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import gradio as gr

from evals.errors import LogError
from evals.plan import BASE, TUNED
from evals.results import Results, read_results
from evals.titles import task_title
from ftspace.errors import FtspaceError, JobError
from ftspace.report import drill_markup
from ftspace.report.breakdown import breakdown
from ftspace.report.drill import (
    LONGEST_SEARCH,
    MARKS,
    OUTCOMES,
    PAGE,
    Drill,
    Place,
    Wanted,
    drill_of,
    leading,
    tasks_of,
)
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.desk import Desk
from ftspace.ui.part import Updates
from ftspace.words import side_name

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_ANY = "Any category"
_SEEN = """
let told = ''
const tell = () => {
  const of = element.querySelector('[data-run]')?.outerHTML
  if (of && of !== told) trigger('seen', { of: told = of })
}
new MutationObserver(tell).observe(element, { childList: true, subtree: true, attributes: true })
tell()
"""
_LIST = """
element.addEventListener('click', event => {
  const button = event.target.closest('button')
  if (button?.dataset.sample) trigger('pick', { sample: button.dataset.sample })
  if (button?.dataset.page) trigger('pick', { page: button.dataset.page })
})
element.addEventListener('keydown', event => {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key]
  const row = event.target.closest('[data-sample]')
  if (!by || !row) return
  event.preventDefault()
  const all = [...element.querySelectorAll('[data-sample]')]
  all[all.indexOf(row) + by]?.focus()
})
let shown = ''
new MutationObserver(() => {
  const address = element.querySelector('[data-address]')?.dataset.address
  if (!address || address === shown) return
  shown = address
  if (address !== location.search) history.replaceState(history.state, '', address)
  const open = element.querySelector('[aria-current]'), list = open?.closest('ol')
  if (list) list.scrollTop = open.offsetTop - list.clientHeight / 3
  if (element.contains(document.activeElement)) open?.focus({ preventScroll: true })
}).observe(element, { childList: true, subtree: true, attributes: true })
"""
_KEYS = """
const panel = element.closest('#drill')
if (panel && !panel.dataset.keys) {
  panel.dataset.keys = 'yes'
  const buttons = { j: 'drill-on', k: 'drill-back' }
  panel.addEventListener('keydown', event => {
    const id = buttons[event.key.toLowerCase()]
    if (!id || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea')) return
    event.preventDefault()
    document.getElementById(id)?.click()
  })
}
"""
_LOOK = "() => { if (innerWidth < 700) document.getElementById('sample')?.scrollIntoView({ block: 'start' }) }"


class Drilldown:
    """The widgets. They fill themselves when they are first seen, for 100,000 answers take seconds to read."""

    def __init__(self, desk: Desk, run_id: gr.Textbox) -> None:
        """Builds them where the page stands now; `run_id` holds the id of the run that is open."""
        self._desk = desk
        self.wanted: Any = gr.HTML(js_on_load=_SEEN)
        gr.HTML(markup.heading("Worst regressions", "What tuning harmed most, before anything else is believed."))
        self.worst = gr.HTML(elem_id="regressions")
        with gr.Column(elem_id="drill"):
            words = "Worst first. With a question in focus, j goes to the next one and k back."
            gr.HTML(markup.heading("Question by question", words))
            with gr.Row():
                self.task = gr.Dropdown(label="Task", choices=[], scale=1, min_width=200, elem_id="task")
                self.first = gr.Dropdown(label="Compare", choices=[], scale=1, min_width=160, elem_id="first-side")
                self.second = gr.Dropdown(label="With", choices=[], scale=1, min_width=160, elem_id="second-side")
            self.kinds = gr.HTML(elem_id="by-category")
            self.only = gr.Radio([("All", "all")], value="all", label="What became of it", elem_id="only")
            with gr.Row():
                self.marks = gr.CheckboxGroup([], label="Only where", scale=3, min_width=300, elem_id="marks")
                self.category = gr.Dropdown(
                    label="Category", choices=[(_ANY, "")], value="", visible=False, min_width=150, elem_id="category"
                )
                self.find = gr.Textbox(
                    label="Search in questions and answers", max_lines=1, scale=2, min_width=220, elem_id="find"
                )
            with gr.Row(elem_id="drill-pair"):
                with gr.Column(scale=2, min_width=300):
                    self.list: Any = gr.HTML(js_on_load=_LIST, elem_id="samples")
                with gr.Column(scale=3, min_width=320):
                    with gr.Row(elem_classes="ft-tight"):
                        self.back = gr.Button("Previous", size="sm", min_width=80, elem_id="drill-back")
                        self.on = gr.Button("Next", size="sm", min_width=80, elem_id="drill-on")
                    self.detail = gr.HTML(js_on_load=_KEYS, elem_id="sample")
            self.sample = gr.Textbox(elem_classes="ft-hidden", label="Sample")
        self.outputs: list[Any] = [self.wanted]
        place: list[Any] = [
            run_id, self.task, self.first, self.second, self.only, self.marks, self.category, self.find, self.sample
        ]  # fmt: skip
        shown = [self.kinds, self.only, self.marks, self.category, self.list, self.detail, self.sample]
        choosing = [self.task, self.first, self.second, self.find]
        self.wanted.seen(self._open, run_id, [self.worst, *choosing, *shown], **_PRIVATE)
        self.task.input(self._turn_to, [run_id, self.task], [*choosing, *shown], **_PRIVATE)
        for widget in (self.first, self.second):
            widget.input(self._compare, place, shown, trigger_mode="always_last", **_PRIVATE)
        for widget in (self.only, self.marks, self.category, self.find):
            widget.input(self._sift, place, shown, trigger_mode="always_last", **_PRIVATE)
        self.list.pick(self._pick, place, shown, **_PRIVATE).then(None, js=_LOOK, **_PRIVATE)
        self.back.click(self._step(-1), place, shown, trigger_mode="always_last", **_PRIVATE)
        self.on.click(self._step(1), place, shown, trigger_mode="always_last", **_PRIVATE)

    def show(self, run: Run) -> Updates:
        """What makes them fill themselves."""
        return {self.wanted: f'<span data-run="{run.id}" data-at="{run.results.stat().st_mtime_ns}"></span>'}

    def _open(self, request: gr.Request, run_id: str) -> Iterator[Updates]:
        """The question that the address names, then the regressions of each task."""
        yield {self.worst: markup.note("Reading the answers …", "busy")}
        try:
            run, results = self._results(request, run_id)
            tasks = tasks_of(results)
            query = {name: str(value) for name, value in request.query_params.items()}
            place = Place.asked(query if query.get("run") == run_id else {}, tasks)
            yield {
                self.task: gr.update(choices=[(task_title(one), one) for one in tasks], value=place.task or None),
                self.find: place.wanted.text,
                **self._sides(run, place),
                **self._kinds(run, results, place),
                **self._shown(run, results, place),
            }
            yield {self.worst: drill_markup.regressions(list(_drills(run, results)))}
        except (FtspaceError, LogError) as error:
            yield {self.worst: markup.note(str(error), "bad"), self.list: "", self.detail: ""}

    def _turn_to(self, request: gr.Request, run_id: str, task: str) -> Updates:
        """Another task, from its first question."""
        try:
            run, results = self._results(request, run_id)
            place = Place(task=str(task))
            about = {**self._sides(run, place), **self._kinds(run, results, place)}
            return {self.find: "", **about, **self._shown(run, results, place)}
        except (FtspaceError, LogError) as error:
            return self._trouble(error)

    def _compare(self, request: gr.Request, run_id: str, *said: Any) -> Updates:
        """Other sides, from the first question."""
        shown = self._look(request, run_id, said)
        try:
            place = Place(str(said[0]), str(said[1]), str(said[2]))
            return {**shown, **self._kinds(*self._results(request, run_id), place)}
        except (FtspaceError, LogError):
            return shown

    def _sift(self, request: gr.Request, run_id: str, *said: Any) -> Updates:
        """What filters and search ask for, from the first question."""
        return self._look(request, run_id, said)

    def _pick(self, request: gr.Request, event: gr.EventData, run_id: str, *said: Any) -> Updates:
        """The question that was clicked, or another page."""
        told: Any = event._data  # pyright: ignore[reportPrivateUsage]
        told = told if isinstance(told, dict) else {}
        page = told.get("page")
        return self._look(
            request, run_id, said, sample=str(told.get("sample") or ""),
            page=int(page) if isinstance(page, str) and page.isdecimal() and len(page) < 9 else 0,
        )  # fmt: skip

    def _step(self, by: int) -> Any:
        def stepped(request: gr.Request, run_id: str, *said: Any) -> Updates:
            return self._look(request, run_id, said, sample=str(said[-1] or ""), by=by)

        return stepped

    def _look(
        self, request: gr.Request, run_id: str, said: tuple[Any, ...], sample: str = "", page: int = 0, by: int = 0
    ) -> Updates:
        task, first, second, only, marks, category, find, _ = said
        try:
            run, results = self._results(request, run_id)
            chosen = tuple(one for one in MARKS if isinstance(marks, list) and one in marks)
            text = find.strip() if isinstance(find, str) else ""
            wanted = Wanted(
                str(only) if only in OUTCOMES else "all", chosen, text[:LONGEST_SEARCH], str(category or "")
            )
            return self._shown(run, results, Place(str(task), str(first), str(second), wanted, sample), page, by)
        except (FtspaceError, LogError) as error:
            return self._trouble(error)

    def _shown(self, run: Run, results: Results, place: Place, page: int = 0, by: int = 0) -> Updates:
        """The list and the open question of a place; `page` turns to another page, `by` to the next question."""
        drill = self._drill(run, results, place)
        if place.wanted.category not in ("", *drill.categories):
            place = replace(place, wanted=replace(place.wanted, category=""))
        found, counts = drill.select(place.wanted), drill.counts(place.wanted)
        here = next((spot for spot, at in enumerate(found) if drill.pairs[at].id == place.sample), 0)
        here = min(max(0, here + by), max(0, len(found) - 1))
        if page:
            here = min(max(0, page - 1) * PAGE, max(0, (len(found) - 1) // PAGE * PAGE))
        at = found[here] if found else None
        picked = drill.pairs[at].id if at is not None and (place.sample or page or by) else ""
        usual = next(iter(tasks_of(results)), "")
        address = replace(place, sample=picked).address(run.id, usual)
        outcomes = [
            (f"{one.capitalize()} ({counts[one]:,})", one) for one in OUTCOMES if one != "unscored" or counts[one]
        ]
        named = [(f"{words} ({counts[one]:,})", one) for one, words in MARKS.items()]
        kinds = [(_ANY, ""), *((one, one) for one in drill.categories)]
        return {
            self.category: gr.update(choices=kinds, value=place.wanted.category, visible=bool(drill.categories)),
            self.only: gr.update(choices=[(f"All ({counts['all']:,})", "all"), *outcomes], value=place.wanted.only),
            self.marks: gr.update(choices=named, value=list(place.wanted.marks)),
            self.list: drill_markup.listing(drill, found, here // PAGE + 1, at, address),
            self.detail: "" if at is None else drill_markup.sample(drill, at, f"{here + 1:,} of {len(found):,}"),
            self.sample: picked,
        }

    def _drill(self, run: Run, results: Results, place: Place) -> Drill:
        """A place's questions. Raises JobError for a task or a side that the run does not have, LogError."""
        if place.task not in tasks_of(results):
            raise JobError(f"run {run.id} has no task {place.task!r}")
        for side in (place.first, place.second):
            if side not in _sides(run, place.task):
                raise JobError(f"run {run.id} has no answers of {side!r} to {place.task}")
        return drill_of(run, results, place.task, place.first, place.second)

    def _kinds(self, run: Run, results: Results, place: Place) -> Updates:
        """The breakdown of a task; it stays as it is while single questions are looked through."""
        drill = self._drill(run, results, place)
        return {self.kinds: drill_markup.breakdown(drill, breakdown(drill))}

    def _sides(self, run: Run, place: Place) -> Updates:
        named = [(side_name(side), side) for side in _sides(run, place.task)]
        return {
            self.first: gr.update(choices=named, value=place.first),
            self.second: gr.update(choices=named, value=place.second),
        }

    def _results(self, request: gr.Request, run_id: str) -> tuple[Run, Results]:
        run = self._desk.get(run_id, self._desk.visitor(request))
        return run, read_results(run.results)

    def _trouble(self, error: Exception) -> Updates:
        return {self.list: "", self.detail: markup.note(str(error), "bad")}


def _drills(run: Run, results: Results) -> Iterator[Drill]:
    """The questions of each task with scores of single answers whose logs are still there."""
    for task in leading(results):
        with suppress(LogError):
            yield drill_of(run, results, task)


def _sides(run: Run, task: str) -> list[str]:
    """Who answered a task, base and tuned before all others."""
    found = [path.stem for path in (run.evals / task).glob("*.json")]
    return sorted(found, key=lambda side: (side not in (BASE, TUNED), side))
