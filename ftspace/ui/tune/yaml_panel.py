"""The YAML of step 2: the whole config to read, copy, edit, paste and upload, and back into the form and the choice."""

import json
import secrets
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from ftspace.config import RunConfig
from ftspace.errors import ConfigError, FtspaceError
from ftspace.fields import NAMES, why_not_here
from ftspace.presets import balanced_epochs, nearest
from ftspace.redact import redact
from ftspace.ui import markup
from ftspace.ui.choose import choice as chosen
from ftspace.ui.choose.choice import Choice
from ftspace.ui.desk import Desk
from ftspace.ui.part import Updates
from ftspace.ui.tune import form, yaml_view
from ftspace.ui.tune.preflight import Compose
from ftspace.ui.uploads import forget_copy

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_EDITED = "Edited here, and not in the form yet: apply it, or take what the form says."


class YamlPanel:
    """The text, what is wrong with it, and its buttons."""

    def __init__(self, desk: Desk) -> None:
        """Builds it where the page is."""
        self._desk = desk
        with gr.Accordion("As YAML, and as a command", open=False, elem_id="as-yaml") as self.whole:
            gr.HTML(_INTRO)
            self.text = gr.Textbox(
                label="The whole run as YAML",
                info="What differs from the defaults stands first. It can be edited, or another pasted over it.",
                lines=16,
                max_lines=32,
                buttons=["copy"],
                elem_id="yaml",
                elem_classes="ft-yaml",
            )
            self.shown = gr.Textbox(elem_classes="ft-hidden")
            """The text as the form said it; "" while nobody has opened this."""
            self.note = gr.HTML(elem_id="yaml-note")
            with gr.Row():
                self.apply = gr.Button("Apply to the form", min_width=160, elem_id="yaml-apply")
                self.again = gr.Button("Take what the form says", min_width=160, elem_id="yaml-again")
                self.upload = gr.UploadButton(
                    "Upload a YAML", file_types=[".yaml", ".yml"], type="filepath", min_width=160
                )

    def wire(
        self,
        said: Mapping[str, Component],
        fields: Mapping[str, Component],
        pace: Component,
        suited: Component,
        tick: Component,
        compose: Compose,
    ) -> None:
        """What its buttons do. `said` are the widgets of step 1 by the names of a choice, `suited` what suits it."""
        self._said, self._fields, self._compose = said, fields, compose
        self._pace, self._suited, self._tick = pace, suited, tick
        widgets = [*said.values(), *fields.values(), pace, suited, tick]
        everything = list(dict.fromkeys([*widgets, self.text, self.shown, self.note]))
        inputs = [said[name] for name in chosen.NAMES], [fields[name] for name in NAMES]
        gr.on(
            [self.whole.expand, self.again.click],
            self._fill,
            [*inputs[0], *inputs[1]],
            [self.text, self.shown, self.note],
            trigger_mode="always_last",
            **_QUIET,
        )
        self.text.change(self._look, [self.text, self.shown], self.note, trigger_mode="always_last", **_QUIET)
        self.apply.click(self._apply, [self.text, said["origin"]], everything, trigger_mode="once", **_QUIET)
        self.upload.upload(self._take, [self.upload, said["origin"]], everything, **_QUIET)

    def say(self, config: RunConfig, text: Any, shown: Any) -> Updates:
        """The text for a config, where somebody reads it and has not edited it."""
        if not shown:
            return {}
        if text != shown:
            return {self.note: markup.note(_EDITED, "warn")}
        written = yaml_view.to_text(config)
        if written == shown:
            return {}
        return {self.text: written, self.shown: written, self.note: ""}

    @property
    def outputs(self) -> list[Any]:
        """What `say` updates."""
        return [self.text, self.shown, self.note]

    def _fill(self, request: gr.Request, *sent: Any) -> list[Any]:
        choice, values = Choice.of(sent[: len(chosen.NAMES)]), sent[len(chosen.NAMES) :]
        visitor = self._desk.visitor(request)
        if not visitor.may_start:
            return [gr.skip()] * 3
        try:
            text = yaml_view.to_text(self._compose(choice.settled(), values, visitor))
        except FtspaceError as error:
            return [gr.skip(), gr.skip(), markup.note(f"It cannot be written as YAML: {error}", "bad")]
        return [text, text, ""]

    def _look(self, text: Any, shown: Any) -> Any:
        if text == shown:
            return gr.skip()
        try:
            yaml_view.read(str(text))
        except ConfigError as error:
            return trouble(str(error))
        return markup.note(_EDITED, "warn")

    def _apply(self, request: gr.Request, text: Any, origin: Any) -> Updates:
        """The page for what a YAML says; nothing of it where that cannot be."""
        try:
            with self._desk.answering(request, "look") as visitor:
                config = yaml_view.read(str(text))
                choice = Choice.of_config(config, self._desk.review_of(config, visitor), str(origin or ""))
                values = form.values_of(config)
                composed = self._compose(choice, values, visitor)
        except FtspaceError as error:
            return {self.note: trouble(str(error))}
        if lost := _lost(config, composed):
            return {self.note: trouble(lost)}
        return {**self._filled(config, choice, values), self.note: markup.note("Applied to the form.", "good")}

    def _filled(self, config: RunConfig, choice: Choice, values: Sequence[Any]) -> Updates:
        """The page for a config: what follows from a choice must not be chosen for it again."""
        written = yaml_view.to_text(config)
        pace = nearest(dict(zip(NAMES, values, strict=True)), balanced_epochs(choice.model, choice.dataset))
        suits = [form.value_of(config, name) for name in form.SUITED]
        known = {"chosen": [choice.origin, choice.model, choice.dataset], "before": suits, "after": suits}
        steps = {
            widget: choice.values[name]
            for name, widget in self._said.items()
            if name not in ("origin", "system_prompt")
        }
        return {
            **steps,
            **{self._fields[name]: value for name, value in zip(NAMES, values, strict=True)},
            self._pace: pace.name,
            self._suited: json.dumps(known),
            self._tick: secrets.token_hex(4),
            self.text: written,
            self.shown: written,
        }

    def _take(self, request: gr.Request, path: str, origin: Any) -> Updates:
        """The same for an uploaded file, whose text is shown in any case."""
        try:
            self._desk.admit(request, "upload")
            text = Path(path).read_bytes()[: 4 * yaml_view.MOST].decode()
        except FtspaceError as error:
            return {self.note: trouble(f"The file was not taken: {error}")}
        except (OSError, UnicodeDecodeError):
            return {self.note: trouble("The file was not taken: it is no text; give a YAML file")}
        finally:
            forget_copy(Path(path))
        return {self.text: text, **self._apply(request, text, origin)}


def trouble(text: str) -> str:
    """Mistakes, a line each."""
    lines = "".join(f"<li>{escape(redact(line))}</li>" for line in text.splitlines())
    head = "<strong>The form stays as it is.</strong>"
    return f'<div class="ft-note ft-bad ft-mend" role="alert">{head}<ul>{lines}</ul></div>'


def _lost(config: RunConfig, composed: RunConfig) -> str:
    """What of a config the page cannot say, a line each; "" where it says all of it."""
    if config == composed:
        return ""
    asked, made = config.model_dump(), composed.model_dump()
    names = [
        f"{section}.{name}"
        for section in asked
        for name in asked[section]
        if asked[section][name] != made[section][name]
    ]
    return "\n".join(f"{name}: the form cannot hold this value: {_why(name)}" for name in names)


def _why(name: str) -> str:
    return why_not_here(name) or "it can be used with the command beside the YAML"


_INTRO = (
    f'<p class="ft-legend">The same run from the command line: save the YAML as <code>{yaml_view.FILE}</code>, then</p>'
    f'<pre class="ft-row ft-command" tabindex="0" aria-label="The command">{yaml_view.COMMAND}</pre>'
)
