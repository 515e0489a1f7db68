"""The settings of step 2 in groups, with a search, and a way back to the preset. tune.js marks what is said of them."""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from ftspace.fields import GROUPS, NAMES, group_of, id_of
from ftspace.presets import Preset, preset
from ftspace.ui.choose.choice import Choice, picked
from ftspace.ui.part import Updates
from ftspace.ui.tune import form
from ftspace.ui.tune.complaints import Wrong
from ftspace.ui.tune.outlook import Guess
from ftspace.ui.tune.preset_cards import changes
from ftspace.words import sentence

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


class SettingsPanel:
    """The fields' widgets, by dotted name, in one closed group each."""

    def __init__(self) -> None:
        """Makes the list of what differs, which `differing` builds where it is to stand."""
        self.fields: dict[str, Component] = {}
        self.groups: dict[str, gr.Accordion] = {}

    def differing(self) -> None:
        """Builds the line that says what differs from the preset, and the way back."""
        with gr.Row(elem_classes="ft-differing"):
            self.changes = gr.HTML()
            self.back = gr.Button("Back to the preset", size="sm", visible=False, min_width=160, elem_id="back")

    def build(self) -> None:
        """Builds the groups where the page is."""
        self.find = gr.Textbox(
            label="Find a setting",
            placeholder="learning rate, memory, judge …",
            elem_id="find-setting",
        )
        self.told, self.guessed = (gr.Textbox(elem_classes="ft-hidden") for _ in range(2))
        self.asked_back = gr.Textbox(elem_id="back-to", elem_classes="ft-hidden")
        self.tick = gr.Textbox(elem_classes="ft-hidden")
        """Differs after each change that nobody typed."""
        with gr.Column(elem_id="settings"):
            gr.HTML('<p id="settings-found" class="ft-legend" role="status"></p>')
            for group in GROUPS:
                with gr.Accordion(group.name, open=False, elem_id=group.id, elem_classes="ft-group") as self.groups[
                    group.name
                ]:
                    gr.HTML(f'<p class="ft-legend">{group.words}</p>')
                    for name in group.fields:
                        self.fields[name] = form.widget(name)

    def wire(self, pace: Component, model: Component, dataset: Component) -> None:
        """What a way back does, from one setting or from all of them."""
        values = [self.fields[name] for name in NAMES]
        chosen = [pace, model, dataset]
        self.asked_back.change(self._go_back, [self.asked_back, *chosen], [*values, self.tick], **_QUIET)
        self.back.click(self._all_back, chosen, [*values, self.tick], **_QUIET)
        for box in (self.told, self.guessed):
            box.change(None, box, None, js="said => window.ftspace.tuned(said)", **_QUIET)

    @property
    def outputs(self) -> list[Any]:
        """What `say` updates."""
        return [self.told, self.changes, self.back, *self.groups.values()]

    def say(self, wrong: Sequence[Wrong], values: Sequence[Any], pace: Preset, choice: Choice, of: str) -> Updates:
        """What is wrong, and what differs from the preset; `of` is the digest of all that was sent."""
        differs = form.changed(values, pace, choice.model, choice.dataset)
        marks = {
            "wrong": {id_of(one.field): sentence(one.said) for one in wrong if group_of(one.field)},
            "back": {id_of(name): f"Back to {form.shown(name, before)}" for name, before in differs.items()},
            "of": of,
        }
        return {
            self.told: json.dumps(marks),
            self.changes: changes(differs, pace),
            self.back: gr.update(visible=bool(differs), value=f"Back to {pace.name}"),
            **{
                self.groups[group.name]: gr.update(label=_titled(group.name, group.fields, wrong, differs))
                for group in GROUPS
            },
        }

    @staticmethod
    def guess(guesses: Mapping[str, Guess]) -> str:
        """What the run will choose where a field is left open, for tune.js."""
        said = {id_of(name): [one.value, f"auto: {one.value}. {sentence(one.why)}"] for name, one in guesses.items()}
        return json.dumps({"auto": said})

    def _go_back(self, asked: Any, pace: Any, model: Any, dataset: Any) -> Updates:
        """One setting as the preset has it; tune.js writes its id, and a number behind it."""
        name = next((one for one in NAMES if id_of(one) == str(asked).partition("#")[0]), None)
        if name is None:
            return {self.tick: gr.skip()}
        return {self.fields[name]: self._plain(pace, model, dataset)[name], **self.ticked()}

    def _all_back(self, pace: Any, model: Any, dataset: Any) -> Updates:
        plain = self._plain(pace, model, dataset)
        return {**{self.fields[name]: value for name, value in plain.items()}, **self.ticked()}

    @staticmethod
    def _plain(pace: Any, model: Any, dataset: Any) -> dict[str, Any]:
        return form.plain(preset(pace), picked(model), picked(dataset))

    def ticked(self) -> Updates:
        """Has what is said of the form looked at again."""
        return {self.tick: secrets.token_hex(4)}


def _titled(name: str, fields: Sequence[str], wrong: Sequence[Wrong], differs: Mapping[str, Any]) -> str:
    """A group's name, with how many of its settings differ, and how many are wrong."""
    many, mend = sum(one in differs for one in fields), sum(one.field in fields for one in wrong)
    said = [f"{many} changed"] * bool(many) + [f"{mend} to mend"] * bool(mend)
    return " · ".join([name, *said])
