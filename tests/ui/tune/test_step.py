"""Step 2 by the page's own handlers, called as its widgets call them."""
# pyright: reportPrivateUsage=false

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from ftspace.config import default_config, load_config
from ftspace.devices import Speed, keep_speed
from ftspace.fields import NAMES, id_of
from ftspace.runs import RunStore
from ftspace.settings import read_settings
from ftspace.ui.app import Page, build_app
from ftspace.ui.tune import yaml_view

DEFAULT = default_config()
REQUEST = Request({"type": "http", "headers": []})


async def _built(data_dir: Path) -> Page:  # where no loop is running Gradio makes one, and leaves it open
    return build_app(read_settings(data_dir, environ={"FTSPACE_WARM": "0"}))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return asyncio.run(_built(tmp_path_factory.mktemp("page") / "data"))


class Form:
    """The widgets' values, and what their handlers answer."""

    def __init__(self, page: Page) -> None:
        self.page, self.tune = page, page.tune
        self.values: dict[int, Any] = {one._id: getattr(one, "value", None) for one in page.blocks.blocks.values()}  # pyright: ignore
        opened = page._page(None, "", page.desk.visitor(REQUEST))  # pyright: ignore
        self.take(opened)

    def set(self, name: str, value: Any) -> None:
        """Types into a field."""
        self.values[self.tune.fields[name]._id] = value

    def value(self, widget: Any) -> Any:
        return self.values[widget._id]

    def field(self, name: str) -> Any:
        return self.value(self.tune.fields[name])

    def by_id(self, elem_id: str) -> Any:
        return next(one for one in self.page.blocks.blocks.values() if getattr(one, "elem_id", None) == elem_id)

    def calls(self, widget: Any, event: str) -> list[Any]:
        """The handlers of a widget's event, and those that follow one of it."""
        handlers = self.page.blocks.fns.values()
        hung = {one._id for one in handlers if (widget._id, event) in one.targets}
        return [one for one in handlers if one.fn and (one._id in hung or one.trigger_after in hung)]

    def fire(self, widget: Any, event: str, which: int = 0) -> Any:
        """Calls a handler of a widget's event; gives what it answered last."""
        call = self.calls(widget, event)[which]
        sent = [self.values.get(one._id) for one in call.inputs]
        answer = call.fn(REQUEST, *sent) if _asks(call.fn) else call.fn(*sent)  # pyright: ignore
        for told in answer if isinstance(answer, Iterator) else [answer]:
            self.take(told if isinstance(told, dict) else dict(zip(call.outputs, _listed(told), strict=True)))
        return answer

    def take(self, updates: dict[Any, Any]) -> None:
        for widget, update in updates.items():
            if isinstance(update, dict) and update.get("__type__") == "update":
                if "value" in update:
                    self.values[widget._id] = update["value"]
            elif update != gr.skip():
                self.values[widget._id] = update

    def look(self) -> dict[str, Any]:
        """What is said of the form."""
        self.fire(self.tune.fields["train.epochs"], "input")
        told = json.loads(self.value(self.tune._panel.told))
        assert told.pop("of")
        return told


def _asks(fn: Any) -> bool:
    import inspect

    return any(one.annotation is gr.Request for one in inspect.signature(fn).parameters.values())


def _listed(answer: Any) -> list[Any]:
    return list(answer) if isinstance(answer, list | tuple) else [answer]


@pytest.fixture
def form(page: Page) -> Form:
    return Form(page)


def test_what_is_wrong_stands_at_its_field_and_start_leads_there(form: Form) -> None:
    assert form.look() == {"wrong": {}, "back": {}} and not form.value(form.tune.trouble)
    form.set("train.epochs", 0)
    form.set("lora.rslora", True)
    form.set("lora.method", "adalora")
    said = form.look()
    assert said["wrong"] == {
        id_of("train.epochs"): "Has to be more than 0 (given: 0).",
        id_of("lora.rslora"): "“rsLoRA” belongs to the method lora, not to adalora; leave it out.",
    }
    assert said["back"][id_of("train.epochs")] == "Back to 2" and len(said["back"]) == 3
    trouble = form.value(form.tune.trouble)
    assert "2 things have to be mended" in trouble and 'role="status"' in trouble and "data-lead" not in trouble
    form.fire(form.tune.start, "click")
    trouble = form.value(form.tune.trouble)
    assert 'role="alert" data-lead>' in trouble and 'data-to="set-lora-rslora" data-in="group-adapter"' in trouble
    assert not form.page.desk.store.list()
    assert form.field("train.epochs") == 0  # nothing typed is lost


def test_a_preset_sets_its_fields_and_there_is_a_way_back(form: Form) -> None:
    form.set("eval.shots", 0)
    form.values[form.tune.preset._id] = "Quick look"
    form.fire(form.tune.preset, "input")
    assert (form.field("train.max_steps"), form.field("eval.max_samples"), form.field("eval.shots")) == (40, 60, 0)
    assert form.look()["back"] == {id_of("eval.shots"): "Back to 4"}
    form.values[form.by_id("back-to")._id] = f"{id_of('eval.shots')}#1"
    form.fire(form.by_id("back-to"), "change")
    assert form.field("eval.shots") == 4 and form.look()["back"] == {}
    form.set("lora.r", 99)
    form.fire(form.by_id("back"), "click")
    assert form.look() == {"wrong": {}, "back": {}}


def test_each_preset_tells_what_it_takes_here(form: Form) -> None:
    form.fire(form.tune.fields["train.epochs"], "input", which=1)
    faces = form.value(form.by_id("faces"))
    assert faces.count("Memory") == 3 and faces.count('<span class="ft-chip ft-good">fits</span>') == 3
    assert "Balanced: " in faces and "a guess: this machine is not measured yet" in faces
    form.set("train.epochs", 0)
    form.fire(form.tune.fields["train.epochs"], "input", which=1)
    faces = form.value(form.by_id("faces"))  # the others set the epochs anew
    assert faces.count("<dd>cannot be estimated") == 1 and "Some settings have to be mended first." in faces
    guessed = json.loads(form.value(form.tune._panel.guessed))["auto"]
    assert guessed[id_of("train.batch_size")][0] == "16" and "QLoRA" in guessed[id_of("train.batch_size")][1]


def test_the_yaml_goes_into_the_form_and_step_1_and_nothing_follows_from_it_again(form: Form, tmp_path: Path) -> None:
    form.fire(form.by_id("as-yaml"), "expand")
    written = form.value(form.by_id("yaml"))
    assert yaml_view.read(written) == DEFAULT
    form.set("train.max_steps", 9)
    form.look()
    assert "max_steps: 9" in form.value(form.by_id("yaml"))  # it follows the form while nobody edits it
    text = (
        "model: {id: assets/base, chat_template: chatml}\n"
        "data:\n  id: assets/datasets/people.jsonl\n  mapping: {messages: messages}\n  system: Be short.\n"
        "train: {learning_rate: 2e-4, report_to: [tensorboard]}\nlora: {target_modules: [q_proj]}\n"
    )
    (tmp_path / "run.yaml").write_text(text)
    form.values[form.by_id("yaml")._id] = text
    form.look()
    assert form.value(form.by_id("yaml")) == text and "Edited here" in form.value(form.by_id("yaml-note"))
    form.fire(form.by_id("yaml-apply"), "click")
    assert "Applied" in form.value(form.by_id("yaml-note"))
    choose = form.page.choose
    said = {name: form.value(widget) for name, widget in choose._fields.items()}
    assert (said["way"], said["messages"], said["template"]) == ("messages", "messages", "chatml")
    assert said["about"] == said["dataset"] == "assets/datasets/people.jsonl"
    assert (form.field("data.system"), form.field("train.epochs")) == ("Be short.", None)
    form.fire(choose.model, "change", which=_place(form, choose.model, "_suit"))
    assert form.field("train.learning_rate") == 2e-4 and form.field("eval.tasks") == ["heldout"]
    form.values[form.by_id("yaml")._id] = ""
    form.fire(form.by_id("yaml-again"), "click")
    assert yaml_view.read(form.value(form.by_id("yaml"))) == load_config(tmp_path / "run.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train:\n  epochs: x", "line 2: train.epochs: has to be a number"),
        ("model:\n  id: a/b\n  trust_code: " + 40 * "a", "model.trust_code: the form cannot hold this value: it runs"),
        ("train: [", "this is not YAML"),
        ("data: {review: /tmp/none.jsonl}", "data.review: the form cannot hold this value"),
    ],
)
def test_what_cannot_be_applied_is_said_and_nothing_changes(form: Form, text: str, said: str) -> None:
    before = dict(form.values)
    form.values[form.by_id("yaml")._id] = text
    form.fire(form.by_id("yaml-apply"), "click")
    note = form.value(form.by_id("yaml-note"))
    assert said in note and "The form stays as it is." in note
    changed = {key for key, value in form.values.items() if before.get(key) != value}
    assert changed <= {form.by_id("yaml")._id, form.by_id("yaml-note")._id}


def test_a_page_that_starts_from_a_run_has_its_settings_and_its_preset(page: Page) -> None:
    train = DEFAULT.train.model_copy(update={"max_steps": 40})
    asked = DEFAULT.eval.model_copy(update={"max_samples": 60, "tasks": ["heldout", "gsm8k|4"]})
    store: RunStore = page.desk.store
    run = store.create(DEFAULT.model_copy(update={"train": train, "eval": asked}))
    visible, pace, *values, trouble = page.tune.show(None, run.id, page.desk.visitor(REQUEST))  # pyright: ignore
    by_name = dict(zip(NAMES, values, strict=True))
    assert visible["visible"] and pace == "Quick look" and trouble == ""
    assert by_name["train.max_steps"] == 40 and by_name["eval.tasks"]["value"] == ["heldout", "gsm8k|4"]


def test_nothing_is_measured_where_no_worker_may_wait(page: Page) -> None:
    measuring = page.tune._measuring
    assert asyncio.run(measuring.done()) is False and measuring._child is None
    keep_speed(page.desk.settings.data_dir, Speed(1e12, 1e12, 1e11, 1e-6))
    assert asyncio.run(measuring.done()) is False


def _place(form: Form, widget: Any, name: str) -> int:
    return next(place for place, one in enumerate(form.calls(widget, "change")) if one.fn.__name__ == name)
