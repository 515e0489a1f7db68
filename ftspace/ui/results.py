"""Step 4: the verdict, the table, and every question behind them. Reads results.json and the logs of each task."""

from pathlib import Path
from typing import Any

import gradio as gr

from evals.errors import LogError
from evals.log import Results as Comparison
from evals.log import read_log, read_results
from evals.table import to_csv, to_markdown
from ftspace.errors import FtspaceError, JobError
from ftspace.runs import Run
from ftspace.ui import markup, samples, views
from ftspace.ui.desk import Desk
from ftspace.ui.web import download_name

_NOTHING = markup.empty("No results yet", "When a run has trained and answered its tasks, the verdict stands here.")


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
            gr.HTML(markup.heading("Question by question", "Pick a row to read both answers in full."))
            with gr.Row():
                self.task = gr.Dropdown(label="Task", choices=[], scale=1, min_width=200, elem_id="task")
                self.only = gr.Radio([("All", "all")], value="all", label="Show", scale=3, elem_id="only")
            self.rows = gr.Dataframe(
                headers=samples.COLUMNS,
                interactive=False,
                wrap=True,
                max_height=380,
                show_label=False,
                column_widths=["56px", "320px", "160px", "190px", "150px", "158px"],
                buttons=[],
                elem_id="samples",
            )
            self.detail = gr.HTML(elem_id="sample")
        self.task.change(
            self._choose_task, [run_id, self.task], [self.only, self.rows, self.detail],
            api_visibility="private", show_progress="hidden",
        )  # fmt: skip
        self.only.input(
            self._filter, [run_id, self.task, self.only], [self.rows, self.detail],
            api_visibility="private", show_progress="hidden",
        )  # fmt: skip
        self.rows.select(self._read, [run_id, self.task], self.detail, api_visibility="private", show_progress="hidden")
        self.outputs: list[Any] = [
            self.nothing, self.panel, self.table, self.csv, self.markdown, self.json, self.task, self.only, self.rows
        ]  # fmt: skip

    def show(self, run: Run | None) -> list[Any]:
        """Updates for `outputs`: the run's results, or why there are none."""
        if run is None or not run.results.exists():
            return [_NOTHING, gr.update(visible=False), *[gr.skip()] * 7]
        try:
            found = read_results(run.results)
        except LogError as error:
            return [markup.note(str(error), "bad"), gr.update(visible=False), *[gr.skip()] * 7]
        words, tone = views.headline(found)
        files = [str(path) for path in self._downloads(run, found)]
        tasks = list(dict.fromkeys(row.task for row in found.rows))
        first = self._pairs(run, tasks[0]) if tasks else []
        return [
            "",
            gr.update(visible=True),
            markup.results(words, tone, views.result_lines(found)),
            *files,
            gr.update(choices=tasks, value=tasks[0] if tasks else None),
            gr.update(choices=samples.tally(first), value="all"),
            samples.frame(first),
        ]

    def _choose_task(self, request: gr.Request, run_id: str, task: str) -> tuple[Any, Any, str]:
        found, trouble = self._ask_for(request, run_id, task)
        return gr.update(choices=samples.tally(found), value="all"), samples.frame(found), trouble

    def _filter(self, request: gr.Request, run_id: str, task: str, only: str) -> tuple[Any, str]:
        found, trouble = self._ask_for(request, run_id, task)
        return samples.frame(found, only), trouble

    def _read(self, request: gr.Request, run_id: str, task: str, event: gr.SelectData) -> str:
        found, trouble = self._ask_for(request, run_id, task)
        chosen = str(event.row_value[0]) if event.row_value else ""
        for one in found:
            if one.id == chosen:
                return markup.answers(one.question, one.expected, one.base, one.tuned, one.prompt)
        return trouble

    def _ask_for(self, request: gr.Request, run_id: str, task: str) -> tuple[list[samples.Pair], str]:
        """The pairs of a task that a page asked for, and a note when they cannot be had."""
        try:
            run = self._desk.get(run_id, self._desk.visitor(request))
            if task not in {row.task for row in read_results(run.results).rows}:
                raise JobError(f"run {run.id} has no task {task!r}")
            return self._pairs(run, task), ""
        except (FtspaceError, LogError) as error:
            return [], markup.note(str(error), "bad")

    def _pairs(self, run: Run, task: str) -> list[samples.Pair]:
        """A task's questions with both answers; none when the logs are not there any more."""
        folder = run.evals / task
        try:
            return samples.pairs(read_log(folder / "base.json"), read_log(folder / "tuned.json"))
        except LogError:
            return []

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
