"""Step 4: the verdict, the table, what was lost, every question, and all of it as files. Reads what evaluation left."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from evals.errors import LogError
from evals.export import to_csv as samples_to_csv
from evals.export import to_parquet
from evals.results import Results as Comparison
from evals.results import read_results
from evals.table import to_csv, to_markdown
from ftspace.access import Visitor
from ftspace.errors import FtspaceError
from ftspace.report import results_markup
from ftspace.report.results_view import results_view
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.desk import Desk
from ftspace.ui.part import Updates
from ftspace.ui.publish import publish_markup
from ftspace.ui.results.no_results import NoResults
from ftspace.ui.results.samples import Drilldown
from ftspace.ui.web import answers_name, download_name

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class ResultsStep:
    """The step's widgets: verdict and table, downloads, the worst, and the questions one by one."""

    def __init__(self, desk: Desk, run_id: gr.Textbox) -> None:
        """Builds the step inside the tab that is open; `run_id` holds the id of the run that is open."""
        self._desk = desk
        self.nothing = NoResults(desk, run_id)
        with gr.Column(visible=False) as self.panel:
            self.table = gr.HTML(elem_id="results")
            with gr.Row(elem_classes="ft-downloads"):
                self.csv = gr.DownloadButton("CSV", size="sm", min_width=80)
                self.markdown = gr.DownloadButton("Markdown", size="sm", min_width=80)
                self.json = gr.DownloadButton("JSON", size="sm", min_width=80)
                self.every = gr.Button("All answers …", size="sm", min_width=110, visible=False, elem_id="all-answers")
                self.parquet = gr.DownloadButton("Parquet", size="sm", min_width=80, visible=False)
                self.rows = gr.DownloadButton("Answers as CSV", size="sm", min_width=80, visible=False)
            self.told = gr.HTML()
            self.report = gr.HTML()
            self.drill = Drilldown(desk, run_id)
        self.every.click(self._write, run_id, [self.told, self.every, self.parquet, self.rows], **_PRIVATE)
        self.outputs: list[Any] = [
            self.panel, self.table, self.csv, self.markdown, self.json, self.report, self.told,
            self.every, self.parquet, self.rows, *self.drill.outputs,
        ]  # fmt: skip

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """The run's results; nothing where there are none, which `nothing` tells of."""
        if run is None or not run.results.exists():
            return {self.panel: gr.update(visible=False)}
        try:
            found = read_results(run.results)
        except LogError as error:
            return {self.panel: gr.update(visible=True), self.table: markup.note(str(error), "bad")}
        files = [str(path) for path in self._downloads(run, found)]
        return {
            self.panel: gr.update(visible=True),
            self.table: results_markup.results(results_view(found)),
            **dict(zip((self.csv, self.markdown, self.json), files, strict=True)),
            self.report: publish_markup.reports(run.id),
            self.told: "",
            self.every: gr.update(visible=visitor.may_change(run.access)),
            self.parquet: gr.update(visible=False),
            self.rows: gr.update(visible=False),
            **self.drill.show(run),
        }

    def _write(self, request: gr.Request, run_id: str) -> Iterator[Updates]:
        """All answers as files: the owner's only, for prompts may hold training rows."""
        try:
            run = self._desk.own(run_id, self._desk.visitor(request))
            yield {self.told: markup.note("Writing all answers …", "busy"), self.every: gr.update(interactive=False)}
            folder = self._desk.downloads / run.id
            folder.mkdir(exist_ok=True)
            parquet, rows = (folder / answers_name(run.id, suffix) for suffix in ("parquet", "csv"))
            count = to_parquet(run.evals, parquet)
            samples_to_csv(run.evals, rows)
            sizes = [f"{path.stat().st_size / 1e6:,.1f} MB" for path in (parquet, rows)]
            yield {
                self.told: markup.note(f"{count:,} answers of all sides to all tasks, with prompts and every score."),
                self.every: gr.update(interactive=True),
                self.parquet: gr.update(label=f"Parquet, {sizes[0]}", value=str(parquet), visible=True),
                self.rows: gr.update(label=f"CSV of answers, {sizes[1]}", value=str(rows), visible=True),
            }
        except (FtspaceError, LogError, OSError) as error:
            yield {self.told: markup.note(str(error), "bad"), self.every: gr.update(interactive=True)}

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
