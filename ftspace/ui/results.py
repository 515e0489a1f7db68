"""Step 4: the verdict, the table, and every question behind them. Reads results.json and the logs of each task."""

from pathlib import Path
from typing import Any

import gradio as gr

from evals.errors import LogError
from evals.log import read_log
from evals.plan import BASE, TUNED
from evals.results import Results as Comparison
from evals.results import read_results
from evals.table import to_csv, to_markdown
from ftspace.errors import FtspaceError, JobError
from ftspace.report import results_markup
from ftspace.report.pairs import Pair, pairs
from ftspace.report.results_view import results_view
from ftspace.runs import Run
from ftspace.ui import markup, publish_markup, samples
from ftspace.ui.desk import Desk
from ftspace.ui.web import download_name
from ftspace.words import side_name

_NOTHING = markup.empty("No results yet", "When a run has trained and answered its tasks, the verdict stands here.")
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_HEADS = (side_name(BASE), side_name(TUNED))


class ResultsStep:
    """The step's widgets: verdict and table, downloads, and the questions one by one."""

    def __init__(self, desk: Desk, run_id: gr.Textbox) -> None:
        """Builds the step inside the tab that is open; `run_id` holds the id of the run that is open."""
        self._desk = desk
        self.nothing = gr.HTML(_NOTHING)
        with gr.Column(visible=False) as self.panel:
            self.table = gr.HTML(elem_id="results")
            with gr.Row(elem_classes="ft-downloads"):
                self.csv = gr.DownloadButton("CSV", size="sm", min_width=80)
                self.markdown = gr.DownloadButton("Markdown", size="sm", min_width=80)
                self.json = gr.DownloadButton("JSON", size="sm", min_width=80)
            self.report = gr.HTML()
            gr.HTML(markup.heading("Question by question", "Pick a row to read both answers in full."))
            with gr.Row():
                self.task = gr.Dropdown(label="Task", choices=[], scale=1, min_width=200, elem_id="task")
                self.first = gr.Dropdown(label="Compare", choices=[], scale=1, min_width=160, elem_id="first-side")
                self.second = gr.Dropdown(label="With", choices=[], scale=1, min_width=160, elem_id="second-side")
            self.only = gr.Radio([("All", "all")], value="all", label="Show", elem_id="only")
            self.rows = gr.Dataframe(
                headers=samples.columns(*_HEADS),
                interactive=False,
                wrap=True,
                max_height=380,
                show_label=False,
                column_widths=["56px", "320px", "160px", "190px", "150px", "158px"],
                buttons=[],
                elem_id="samples",
            )
            self.detail = gr.HTML(elem_id="sample")
        asked: list[Any] = [run_id, self.task, self.first, self.second]
        self.task.change(
            self._choose_task, [run_id, self.task],
            [self.first, self.second, self.only, self.rows, self.detail], **_PRIVATE,
        )  # fmt: skip
        for side in (self.first, self.second):
            side.input(self._choose_sides, asked, [self.only, self.rows, self.detail], **_PRIVATE)
        self.only.input(self._filter, [*asked, self.only], [self.rows, self.detail], **_PRIVATE)
        self.rows.select(self._read, asked, self.detail, **_PRIVATE)
        self.outputs: list[Any] = [
            self.nothing, self.panel, self.table, self.csv, self.markdown, self.json, self.report,
            self.task, self.first, self.second, self.only, self.rows,
        ]  # fmt: skip

    def show(self, run: Run | None) -> list[Any]:
        """Updates for `outputs`: the run's results, or why there are none."""
        unseen = [gr.update(visible=False), *[gr.skip()] * (len(self.outputs) - 2)]
        if run is None or not run.results.exists():
            return [_NOTHING, *unseen]
        try:
            found = read_results(run.results)
        except LogError as error:
            return [markup.note(str(error), "bad"), *unseen]
        files = [str(path) for path in self._downloads(run, found)]
        tasks = list(dict.fromkeys(row.task for row in found.rows))
        there = _sides(run, tasks[0]) if tasks else []
        both = self._pairs(run, tasks[0], BASE, TUNED) if tasks else []
        return [
            "",
            gr.update(visible=True),
            results_markup.results(results_view(found)),
            *files,
            publish_markup.reports(run.id),
            gr.update(choices=tasks, value=tasks[0] if tasks else None),
            *_choices(there),
            gr.update(choices=samples.tally(both), value="all"),
            samples.frame(both, _HEADS),
        ]

    def _choose_task(self, request: gr.Request, run_id: str, task: str) -> tuple[Any, ...]:
        found, trouble = self._ask_for(request, run_id, task, BASE, TUNED)
        there = [] if trouble else _sides(self._desk.get(run_id, self._desk.visitor(request)), task)
        shown = gr.update(choices=samples.tally(found), value="all"), samples.frame(found, _HEADS), trouble
        return (*_choices(there), *shown)

    def _choose_sides(self, request: gr.Request, run_id: str, task: str, first: str, second: str) -> tuple[Any, ...]:
        found, trouble = self._ask_for(request, run_id, task, first, second)
        heads = (side_name(first), side_name(second))
        return gr.update(choices=samples.tally(found), value="all"), samples.frame(found, heads), trouble

    def _filter(
        self, request: gr.Request, run_id: str, task: str, first: str, second: str, only: str
    ) -> tuple[Any, str]:
        found, trouble = self._ask_for(request, run_id, task, first, second)
        return samples.frame(found, (side_name(first), side_name(second)), only), trouble

    def _read(self, request: gr.Request, run_id: str, task: str, first: str, second: str, event: gr.SelectData) -> str:
        found, trouble = self._ask_for(request, run_id, task, first, second)
        chosen = str(event.row_value[0]) if event.row_value else ""
        for one in found:
            if one.id == chosen:
                given = [(side_name(first), one.first), (side_name(second), one.second)]
                return results_markup.answers(one.question, one.expected, given, one.prompt)
        return trouble

    def _ask_for(self, request: gr.Request, run_id: str, task: str, first: str, second: str) -> tuple[list[Pair], str]:
        """The pairs of a task that a page asked for, and a note when they cannot be had."""
        try:
            run = self._desk.get(run_id, self._desk.visitor(request))
            if task not in {row.task for row in read_results(run.results).rows}:
                raise JobError(f"run {run.id} has no task {task!r}")
            for side in (first, second):
                if side not in (BASE, TUNED, *_sides(run, task)):
                    raise JobError(f"run {run.id} has no answers of {side!r}")
            return self._pairs(run, task, first, second), ""
        except (FtspaceError, LogError) as error:
            return [], markup.note(str(error), "bad")

    def _pairs(self, run: Run, task: str, first: str, second: str) -> list[Pair]:
        """A task's questions with two sides' answers; none when the logs are not there any more."""
        try:
            logs = {side: read_log(run.evals / task / f"{side}.json") for side in {BASE, first, second}}
        except LogError:
            return []
        return pairs(logs[BASE], logs[first], logs[second])

    def _downloads(self, run: Run, found: Comparison) -> list[Path]:
        folder = self._desk.downloads / run.id
        folder.mkdir(exist_ok=True)
        texts = {"csv": to_csv(found), "md": to_markdown(found), "json": found.model_dump_json(indent=1) + "\n"}
        paths: list[Path] = []
        for suffix, text in texts.items():
            path = folder / download_name(run.id, suffix)
            path.write_text(text, encoding="utf-8")
            paths.append(path)
        return paths


def _sides(run: Run, task: str) -> list[str]:
    """Who answered a task, base and tuned before all others."""
    found = [path.stem for path in (run.evals / task).glob("*.json")]
    return sorted(found, key=lambda side: (side != BASE, side != TUNED, side))


def _choices(sides: list[str]) -> tuple[Any, Any]:
    """Updates for the two dropdowns of sides."""
    named = [(side_name(side), side) for side in sides]
    return gr.update(choices=named, value=BASE), gr.update(choices=named, value=TUNED)
