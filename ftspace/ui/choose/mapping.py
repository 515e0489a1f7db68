"""Which columns are read as what: the question where a dataset can be read in several ways, and the tab to say it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from ftspace.config import choices_of, help_of
from ftspace.ui.choose import look_markup
from ftspace.ui.choose.choice import COLUMNS, MESSAGES, RECOGNIZED, TEMPLATES, WAYS, Choice
from ftspace.ui.choose.rows import Seen

Updates = dict[Any, Any]

PICKED = ("way", "prompt", "completion", "messages", "tools", "system", "template")
"""The inputs that are picked from a list."""
_OTHERS = ("prompt", "completion", "messages", "tools", "system")
_SHOWN_FOR = {
    "pair": (COLUMNS,),
    "turns": (MESSAGES,),
    "texts": (TEMPLATES,),
    "also": (COLUMNS, MESSAGES, TEMPLATES),
}
"""Which groups of inputs go with which way of reading."""


class MappingTab:
    """The widgets that say how rows are read. What they say goes into the config that Start uses."""

    def __init__(self) -> None:
        self.inputs: dict[str, gr.Radio | gr.Dropdown | gr.Textbox] = {}
        self.texts: list[gr.Textbox] = []
        """The templates, looked at while they are typed."""
        self.lines: list[gr.Textbox] = []
        """What is looked at once it is typed."""
        self.groups: dict[str, gr.Row] = {}

    def ask(self) -> None:
        """Builds the question, which shows only where there is a choice."""
        with gr.Column(visible=False, elem_id="question-of-reading", elem_classes="ft-ask") as self.asked:
            self.reading = gr.Radio(
                [], label="This dataset can be read in more than one way. Which one is meant?", elem_id="reading"
            )

    def build(self) -> None:
        """Builds the tab that is open."""
        self.facts = gr.HTML()
        with gr.Column() as self.editor:
            self.inputs["way"] = gr.Radio(
                [(words, way) for way, words in WAYS.items()],
                value=RECOGNIZED,
                label="How to read the rows",
                elem_id="way",
            )
            with gr.Row(visible=False) as self.groups["pair"]:
                self._column("prompt", "Question", "What the user says.")
                self._column("completion", "Answer", "What the model learns to say.")
            with gr.Row(visible=False) as self.groups["turns"]:
                self._column("messages", "Messages", "Lists of turns that say who speaks.")
                self._column("tools", "Functions (optional)", "What the assistant may call.")
            with gr.Row(visible=False) as self.groups["texts"]:
                self._template("prompt_template", "Question", "### Question: {question}")
                self._template("completion_template", "Answer", "{answer}")
            with gr.Row(visible=False) as self.groups["also"]:
                self._column("system", "System prompt (optional)", "What stands before the conversation.")
            self.trouble = gr.HTML(elem_id="mapping-trouble")
        self.example = gr.HTML(elem_id="mapping-example")
        with gr.Accordion("Subset, split and chat template", open=False) as self.more:
            with gr.Row():
                for name, label in (("config", "Subset"), ("split", "Split"), ("revision", "Revision")):
                    self.lines.append(gr.Textbox(label=label, info=help_of(f"data.{name}"), min_width=140))
                    self.inputs[name] = self.lines[-1]
            self.inputs["template"] = gr.Dropdown(
                choices_of("model.chat_template"),
                value="auto",
                label="Chat template",
                info=help_of("model.chat_template"),
                elem_id="chat-template",
            )
        self.outputs: list[Any] = [
            self.facts, self.asked, self.reading, self.trouble, self.example, *self.groups.values(),
            *self.inputs.values(),
        ]  # fmt: skip

    def show(self, choice: Choice, found: Seen, *, anew: bool, fixed: bool) -> Updates:
        """What the tab shows for a dataset; `anew` also sets the inputs to what the choice says."""
        updates: Updates = {
            self.facts: look_markup.reading(found.format, found.columns, found.trouble),
            **self.ask_about(choice, found, fixed=fixed),
            **{group: gr.update(visible=choice.way in _SHOWN_FOR[name]) for name, group in self.groups.items()},
        }
        if anew:
            updates |= self.filled(choice, found)
        return updates

    def nothing(self, trouble: str) -> Updates:
        """The tab without a dataset, and why there is none."""
        return {self.facts: trouble, self.asked: gr.update(visible=False), self.trouble: "", self.example: ""}

    def filled(self, choice: Choice, found: Seen) -> Updates:
        """The inputs with what the choice says, and the columns to choose from."""
        values: Updates = {widget: choice.values[name] for name, widget in self.inputs.items() if name not in _OTHERS}
        for name in _OTHERS:
            value = choice.values[name]
            none = [("(none)", "")] if name in ("tools", "system") else []
            values[self.inputs[name]] = gr.update(choices=[*none, *_options(found, value)], value=value)
        return values

    def ask_about(self, choice: Choice, found: Seen, *, fixed: bool) -> Updates:
        """The question, with the reading that the choice takes marked; none where there is only one reading."""
        if fixed or not found.readings or found.format is None:
            return {self.asked: gr.update(visible=False)}
        readings = {found.format.name: found.mapping, **found.readings}
        choices = [(f"{name}: {look_markup.mapping_words(mapping)}", name) for name, mapping in readings.items()]
        taken = next((name for name, mapping in found.readings.items() if _takes(choice, mapping)), None)
        value = found.format.name if choice.way == RECOGNIZED else taken
        if value is None:  # answered by hand, in the tab
            return {self.asked: gr.update(visible=False)}
        return {self.asked: gr.update(visible=True), self.reading: gr.update(choices=choices, value=value)}

    @staticmethod
    def answered(choice: Choice, found: Seen, name: Any) -> Choice:
        """The choice with the reading that was picked."""
        mapping = found.readings.get(name) if isinstance(name, str) else None
        return choice.read_as(mapping) if mapping else choice.recognized()

    def _column(self, name: str, label: str, info: str) -> None:
        self.inputs[name] = gr.Dropdown(
            [], label=label, info=info, allow_custom_value=True, min_width=180, elem_id=f"column-{name}"
        )

    def _template(self, name: str, label: str, example: str) -> None:
        widget = gr.Textbox(
            label=label,
            info=f"A text with columns in braces, such as {example}",
            lines=3,
            min_width=180,
            elem_id=name.replace("_", "-"),
        )
        self.texts.append(widget)
        self.inputs[name] = widget


def _takes(choice: Choice, mapping: Mapping[str, str]) -> bool:
    """Whether the choice reads by this mapping."""
    said = choice.read_as(mapping)
    return choice.way == said.way and replace(choice, **{name: getattr(said, name) for name in _OTHERS}) == choice


def _options(found: Seen, value: str) -> list[str]:
    return list(dict.fromkeys([*found.columns, *([value] if value else [])]))
