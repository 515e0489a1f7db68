"""Step 1: which model, which dataset, and what its rows look like to the model. Errors are told where they happen."""

from pathlib import Path
from typing import Any

import gradio as gr

from ftspace.chat import answer_spans
from ftspace.config import default_config, help_of, merge, parse_config
from ftspace.data.load import BUILDERS
from ftspace.data.prepare import preview as preview_rows
from ftspace.errors import FtspaceError
from ftspace.preflight import check_model
from ftspace.runs import Run
from ftspace.settings import ASSETS, ROOT
from ftspace.ui import markup
from ftspace.ui.desk import Desk
from ftspace.ui.template import template_of_model

ROWS = 3
_LONGEST = 4000
"""Characters of one rendered conversation that are shown."""


class Choose:
    """The step's widgets, and what they show for a run or for a new choice."""

    def __init__(self, desk: Desk) -> None:
        """Builds the step inside the tab that is open."""
        self._desk = desk
        default = default_config()
        gr.HTML(markup.heading("What do you want to tune?", "A model to start from, and conversations to learn from."))
        self.fixed = gr.HTML()
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=300):
                self.model = gr.Dropdown(
                    label="Model",
                    info=help_of("model.id"),
                    choices=[default.model.id],
                    value=default.model.id,
                    allow_custom_value=True,
                )
                self.dataset = gr.Dropdown(
                    label="Dataset",
                    info=help_of("data.id"),
                    choices=[default.data.id],
                    value=default.data.id,
                    allow_custom_value=True,
                )
                self.upload = gr.UploadButton(
                    "Upload a dataset file", file_types=list(BUILDERS), type="filepath", variant="secondary"
                )
                self.trouble = gr.HTML()
                self.go_on = gr.Button("Continue", variant="primary", size="lg", elem_id="continue")
            with gr.Column(scale=7, min_width=300):
                self.rows = gr.HTML(markup.empty("Looking at the dataset …", ""), elem_classes="ft-panel")
        with gr.Column(visible=True, elem_classes="ft-earlier") as self.earlier:
            gr.HTML(markup.heading("Earlier runs", "Open one to see how it went."))
            self.runs = gr.HTML()
        gr.on(
            [self.model.change, self.dataset.change],
            self.preview,
            [self.model, self.dataset],
            self.rows,
            show_progress="hidden",
            trigger_mode="always_last",
            api_visibility="private",
        )
        self.upload.upload(self._take, self.upload, [self.dataset, self.trouble], api_visibility="private")
        self.outputs: list[Any] = [
            self.fixed, self.model, self.dataset, self.upload, self.go_on, self.earlier, self.runs
        ]  # fmt: skip

    def show(self, run: Run | None, origin: str) -> list[Any]:
        """Updates for `outputs`: a run's choice, which is fixed, or a new one that starts from the run `origin`."""
        config = run.config if run else self._desk.draft(origin)
        models, datasets = self._desk.used()
        bundled = [str(path.relative_to(ROOT)) for path in _bundled_datasets()]
        fixed = run is not None
        note = markup.note(
            "This is what the run was made from.", link=("New run with the same choice", f"?from={run.id}")
        ) if run else ""  # fmt: skip
        return [
            note,
            gr.update(
                choices=_unique(default_config().model.id, *models), value=config.model.id, interactive=not fixed
            ),
            gr.update(choices=_unique(*bundled, *datasets), value=config.data.id, interactive=not fixed),
            gr.update(visible=not fixed),
            gr.update(visible=not fixed),
            gr.update(visible=not fixed),
            "" if fixed else markup.runs(self._desk.lines()),
        ]

    def preview(self, model: str, dataset: str) -> str:
        """The dataset's first rows as the model would be trained on them, or what is wrong with the choice."""
        try:
            given = {"model": {"id": (model or "").strip()}, "data": {"id": (dataset or "").strip()}}
            config = parse_config(merge(default_config().model_dump(), given), where="the choice")
            self._desk.check_may_read(config)
            check_model(config)
            found = preview_rows(config.data, ROWS)
            template, own = template_of_model(config.model)
            texts = [answer_spans(template, conversation) for conversation in found.conversations]
        except FtspaceError as error:
            return markup.note(str(error), "bad")
        words = f"Read as {found.format}. Shown as the model reads it, " + (
            "in its own chat template." if own else "in ChatML, since the model has no chat template."
        )
        if found.dropped:
            dropped = ", ".join(f"{count} with {reason}" for reason, count in found.dropped.items())
            words += f" Some of the first rows cannot be used: {dropped}."
        for warning in found.understood.warnings:
            words += f" Note: {warning}."
        return markup.preview([_cut(text, spans) for text, spans in texts], words)

    def _take(self, path: str) -> tuple[Any, str]:
        try:
            return gr.update(value=str(self._desk.keep_upload(Path(path)))), ""
        except FtspaceError as error:
            return gr.skip(), markup.note(str(error), "bad")


def _cut(text: str, spans: list[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    if len(text) <= _LONGEST:
        return text, spans
    return text[:_LONGEST] + " …", [(start, min(stop, _LONGEST)) for start, stop in spans if start < _LONGEST]


def _unique(*names: str) -> list[str]:
    return list(dict.fromkeys(names))


def _bundled_datasets() -> list[Path]:
    return sorted(
        path for path in (ASSETS / "datasets").iterdir() if path.suffix in BUILDERS and "_text" not in path.stem
    )
