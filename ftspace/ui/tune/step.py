"""Step 2: one question, three presets, and Start, which returns at once. `at_work.py` takes its place for an open run.

Beneath stand every setting, in groups, and the whole as YAML. What is said of the form is looked at as one types; how
long it takes is reckoned behind it, and Start waits for neither.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from ftspace import jobs, preflight
from ftspace.access import Access, Visitor
from ftspace.config import RunConfig, anchor
from ftspace.errors import FtspaceError
from ftspace.fields import NAMES as FIELDS
from ftspace.presets import BALANCED, PRESETS, SET, balanced_epochs, nearest, preset
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.choose.choice import NAMES, Choice
from ftspace.ui.desk import Desk
from ftspace.ui.latest import latest
from ftspace.ui.part import Updates
from ftspace.ui.tune import form, preset_cards
from ftspace.ui.tune.complaints import labelled
from ftspace.ui.tune.measuring import Measuring
from ftspace.ui.tune.outlook import Outlooks
from ftspace.ui.tune.preflight import Before
from ftspace.ui.tune.preset_cards import Seen
from ftspace.ui.tune.settings_panel import SettingsPanel
from ftspace.ui.tune.yaml_panel import YamlPanel
from ftspace.ui.visitors import token_of

_LATEST: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
_FIRST = "some settings have to be mended first"


class Tune:
    """The form's widgets."""

    def __init__(self, desk: Desk) -> None:
        """Builds the step inside the tab that is open."""
        self._desk = desk
        self._outlooks = Outlooks(desk.store)
        self._measuring = Measuring(desk.settings.data_dir, wanted=desk.settings.warm)
        self._panel = SettingsPanel()
        with gr.Column(elem_id="tune-form") as self.form:
            gr.HTML(
                markup.heading("How thoroughly?", "Pick one and start. Every setting can be changed, none has to be.")
            )
            with gr.Column(elem_id="paces"):
                self._faces = gr.HTML(preset_cards.faces({}, BALANCED.name), elem_id="faces")
                self.preset = gr.Radio(
                    [one.name for one in PRESETS], value=BALANCED.name, label="How thoroughly?", elem_id="pace"
                )
            self._panel.differing()
            self.before = Before(desk, self._anchored)
            self.start = gr.Button("Start", variant="primary", size="lg", elem_id="start")
            self.trouble = gr.HTML(elem_id="tune-trouble")
            gr.HTML(markup.heading("Settings", "For when you know what you want. Left alone, they suit most runs."))
            self._panel.build()
            self._yaml = YamlPanel(desk)
            self._nudge = gr.Textbox(elem_classes="ft-hidden")
        self.fields: dict[str, Component] = self._panel.fields
        self.outputs: list[Any] = [self.form, self.preset, *self._values(), self.trouble]

    def inputs(self) -> list[Any]:
        """The fields, in the order of `fields.NAMES`."""
        return self._values()

    def wire(self, run_id: Component, suited: Component, said: Mapping[str, Component], opened: Sequence[Any]) -> None:
        """What happens as the form changes, and on the events `opened`.

        `said` are the widgets of step 1 by the names of a choice, `suited` is what is known to suit it.
        """
        panel, tick = self._panel, self._panel.tick
        model, dataset = said["model"], said["dataset"]
        choice = [said[name] for name in NAMES]
        now = [run_id, self.preset, self._yaml.text, self._yaml.shown, *choice, *self._values()]
        panel.wire(self.preset, model, dataset)
        self._yaml.wire(said, self.fields, self.preset, suited, tick, self._composed)
        paced: list[Any] = [*(self.fields[name] for name in SET), tick]
        self.preset.input(self.pace, [self.preset, model, dataset], paced, **_LATEST)
        typed = [form.typed(widget) for widget in self._values()]
        looks = [*typed, tick.change, *opened]
        latest(looks, self._check, now, [*panel.outputs, *self._yaml.outputs, self.trouble])
        reckoned = [self._faces, panel.guessed]
        latest([*looks, self._nudge.change], self._reckon, now, reckoned, concurrency_limit=4)
        gr.on(
            opened, self._measure, run_id, self._nudge, concurrency_limit=None,
            trigger_mode="once", show_progress="hidden", api_visibility="private",
        )  # fmt: skip
        self.before.wire(run_id, [*choice, *self._values()], [*opened, tick.change])

    def show(self, run: Run | None, origin: str, visitor: Visitor) -> list[Any]:
        """Updates for `outputs`: the form as the run `origin` had it; nothing of it where a run is open."""
        draft = self._desk.draft(run.id if run else origin, visitor)
        values: list[Any] = form.values_of(draft)
        by_name = dict(zip(FIELDS, values, strict=True))
        pace = nearest(by_name, balanced_epochs(draft.model.id, draft.data.id))
        for name in form.CHOSEN:
            chosen = form.value_of(draft, name)
            values[FIELDS.index(name)] = gr.update(choices=form.task_choices(chosen), value=chosen)
        return [gr.update(visible=run is None), pace.name, *values, ""]

    def pace(self, name: Any, model: Any, dataset: Any) -> list[Any]:
        """What a preset sets for a choice of model and dataset."""
        return [*preset(name).values(balanced_epochs(model, dataset)).values(), secrets.token_hex(4)]

    def begin(self, request: gr.Request, choice: Choice, values: list[Any]) -> tuple[Run | None, str]:
        """Checks the choice, makes a run and sets it going: the run, or a note on what is wrong, and nothing made."""
        try:
            with self._desk.answering(request, "start") as visitor:
                _, wrong = form.look(self._desk.config_of(choice, visitor), values)
                if wrong:
                    return None, preset_cards.mending(wrong, asked=True)
                config = self._anchored(choice, values, visitor)
                preflight.check(config, self._desk.store.runs_dir, visitor)
                config = self._desk.with_closed_review(config, choice, visitor)
                run = jobs.begin(self._desk.store, config, Access(owner=visitor.name), token_of(request))
        except FtspaceError as error:
            return None, markup.note(self.before.worded(str(error)), "bad")
        return run, ""

    def _composed(self, choice: Choice, values: Sequence[Any], visitor: Visitor) -> RunConfig:
        """The config of a choice and the form. Raises ConfigError, or NotAllowedError for what is not the visitor's."""
        config = form.compose(self._desk.config_of(choice, visitor), values)
        self._desk.check_may_read(config, visitor)
        return config

    def _anchored(self, choice: Choice, values: Sequence[Any], visitor: Visitor) -> RunConfig:
        """The same as a run keeps it, which works in a folder of its own."""
        return anchor(self._composed(choice, values, visitor))

    def _check(self, request: gr.Request, run_id: Any, pace: Any, text: Any, shown: Any, *sent: Any) -> Updates:
        """What is wrong with the form, what differs from the preset, and the YAML if somebody reads it."""
        visitor = self._desk.visitor(request)
        if run_id or not visitor.may_start:
            return {self.trouble: gr.skip()}
        choice, values, of = Choice.of(sent[: len(NAMES)]).settled(), sent[len(NAMES) :], form.digest(sent)
        try:
            config, wrong = form.look(self._desk.config_of(choice, visitor), values)
            if config:
                self._desk.check_may_read(config, visitor)
        except FtspaceError as error:
            said = markup.note(labelled(str(error)), "bad")
            return {**self._panel.say([], values, preset(pace), choice, of), self.trouble: said}
        written = self._yaml.say(config, text, shown) if config else {}
        told = self._panel.say(wrong, values, preset(pace), choice, of)
        return {**told, **written, self.trouble: preset_cards.mending(wrong)}

    def _reckon(self, request: gr.Request, run_id: Any, pace: Any, *sent: Any) -> Iterator[Updates]:
        """What each preset takes: at once where model and rows are known, else after a look at them."""
        visitor = self._desk.visitor(request)
        if run_id or not visitor.may_start:
            yield {self._faces: gr.skip()}
            return
        said = sent[2:]  # behind the YAML
        choice, values = Choice.of(said[: len(NAMES)]).settled(), said[len(NAMES) :]
        configs: dict[str, RunConfig | None] = {one.name: None for one in PRESETS}
        try:
            chosen = self._desk.config_of(choice, visitor)
            for one in PRESETS:
                config, _ = form.look(chosen, _paced(values, one.name, pace, choice))
                configs[one.name] = config and anchor(config)
                if config:
                    self._desk.check_may_read(config, visitor)
        except FtspaceError as error:
            yield {self._faces: preset_cards.faces({one.name: str(error) for one in PRESETS}, str(pace))}
            return
        first = next((one for one in configs.values() if one), None)
        if first and not self._outlooks.knows(first, visitor.name):
            yield {self._faces: preset_cards.faces({}, str(pace))}
            try:
                with self._desk.answering(request, "look"):
                    self._outlooks.facts(first, visitor.name)
            except FtspaceError as error:
                yield {self._faces: preset_cards.faces({one.name: str(error) for one in PRESETS}, str(pace))}
                return
        seen = {name: self._seen(config, visitor) for name, config in configs.items()}
        legend = self._outlooks.where(first) if first else ""
        now = configs.get(str(pace))
        yield {
            self._faces: preset_cards.faces(seen, str(pace), legend),
            self._panel.guessed: self._guessed(now, visitor),
        }

    def _seen(self, config: RunConfig | None, visitor: Visitor) -> Seen:
        if config is None:
            return _FIRST
        try:
            return self._outlooks.of(config, visitor.name)
        except FtspaceError as error:
            return str(error)

    def _guessed(self, config: RunConfig | None, visitor: Visitor) -> Any:
        try:
            return self._panel.guess(self._outlooks.guesses(config, visitor.name)) if config else gr.skip()
        except FtspaceError:
            return gr.skip()

    async def _measure(self, request: gr.Request, run_id: Any) -> Any:
        """Has the machine measured, if nobody has, and has the times reckoned again."""
        visitor = self._desk.visitor(request)
        if run_id or not visitor.may_start or not await self._measuring.done():
            return gr.skip()
        return secrets.token_hex(4)

    def _values(self) -> list[Any]:
        return [self.fields[name] for name in FIELDS]


def _paced(values: Sequence[Any], name: str, pace: Any, choice: Choice) -> list[Any]:
    """The form's values as they would be with a preset; as they are where it is the one that is chosen."""
    if name == pace:
        return list(values)
    sets = preset(name).values(balanced_epochs(choice.model, choice.dataset))
    return [sets.get(field, value) for field, value in zip(FIELDS, values, strict=True)]
