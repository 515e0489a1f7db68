"""Who answers beside base and tuned, and with which settings: widgets for chat and many questions alike."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import gradio as gr
from gradio.components.textbox import InputHTMLAttributes

from evals.plan import BASE, TUNED
from ftspace import queue
from ftspace.access import Visitor
from ftspace.answering import LONGEST, REFERENCE, How
from ftspace.config import parse_config
from ftspace.errors import ConfigError, FtspaceError, JobError
from ftspace.forecasts import history, remaining
from ftspace.inference.client import Reference, reference_named
from ftspace.redact import keep_secret
from ftspace.runs import Run, is_run_id
from ftspace.ui.desk import Desk
from ftspace.words import duration, side_name, title, when

_OTHERS = 20
_SHORTEST_KEY = 16
_NONE = ("Nobody", "")
_ELSEWHERE = ("A model behind an address …", REFERENCE)
Updates = dict[Any, Any]


@dataclass(frozen=True)
class Asked:
    """Who is asked, and how: what the widgets say, checked for who may ask it."""

    sides: Mapping[str, str]
    """What each is called, by its name for the client, in the order of the columns."""
    how: How
    reference: Reference | None
    also: Sequence[Run]


class Manner:
    """The widgets."""

    def __init__(self, desk: Desk) -> None:
        """Builds them where the page stands now."""
        self._desk = desk
        with gr.Accordion("Who answers, and how", open=False, elem_id="manner"):
            with gr.Row():
                self._third = gr.Dropdown(
                    label="Beside base and tuned",
                    info="A checkpoint of this run, another run of yours on the same base, or any model for scale.",
                    choices=[_NONE],
                    value="",
                    elem_id="third-side",
                    scale=2,
                )
                self._tokens = gr.Slider(
                    8, LONGEST // 2, value=64, step=8, label="Longest answer, in tokens", scale=2, elem_id="longest"
                )
            with gr.Row(visible=False) as self._elsewhere:
                self._address = gr.Textbox(
                    label="Its address and name",
                    placeholder="http://127.0.0.1:8000/v1#model",
                    info="Any that speaks OpenAI's protocol; hub:owner/model asks the Hub's providers.",
                    elem_id="reference-address",
                )
                self._key = gr.Textbox(
                    label="Its key",
                    type="password",
                    info="Sent to that address only. It is kept nowhere: give it again after a reload.",
                    html_attributes=InputHTMLAttributes(autocomplete="off"),
                    elem_id="reference-key",
                )
            self._system = gr.Textbox(
                label="System prompt",
                info="Prefilled from the run: both were compared with it.",
                lines=1,
                max_lines=6,
                elem_id="system-prompt",
            )
            with gr.Row():
                self._temperature = gr.Slider(
                    0, 1.5, value=0, step=0.1, label="Temperature", info="0 always takes the likeliest word."
                )
                self._top_p = gr.Slider(
                    0.05, 1, value=1, step=0.05, label="Top p", info="Below 1 leaves out unlikely words."
                )
                self._same = gr.Checkbox(
                    label="Same dice",
                    value=True,
                    info="Above temperature 0: the same seed gives the same answer again.",
                )
                self._seed = gr.Number(label="Seed", value=0, precision=0, minimum=0, maximum=2**32 - 1)
        self._third.input(
            lambda third: gr.update(visible=third == REFERENCE),
            self._third,
            self._elsewhere,
            show_progress="hidden",
            api_visibility="private",
        )
        self.inputs: list[Any] = [
            self._third,
            self._address,
            self._key,
            self._system,
            self._tokens,
            self._temperature,
            self._top_p,
            self._same,
            self._seed,
        ]
        self.outputs: list[Any] = [self._third, self._elsewhere, self._key, self._system, self._tokens]

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """The settings that a run was compared with."""
        if run is None:
            return {self._key: ""}
        longest = min(LONGEST // 2, max(8, run.config.eval.max_new_tokens))
        system = run.config.data.system or ""
        return {
            self._third: gr.update(choices=self._choices(run, visitor), value=""),
            self._elsewhere: gr.update(visible=False),
            self._key: "",
            self._system: system,
            self._tokens: longest,
        }

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """Checkpoints that have come or gone; what was chosen stays."""
        return {self._third: gr.update(choices=self._choices(run, visitor))}

    def _choices(self, run: Run, visitor: Visitor) -> list[tuple[str, str]]:
        checkpoints = [side for side in self._desk.models.sides(run) if side not in (BASE, TUNED)]
        named = [(side_name(side), side) for side in checkpoints]
        named += [
            (f"{title(one.config)}, {when(one.id)}", one.id) for one in islice(self._alike(run, visitor), _OTHERS)
        ]
        return [_NONE, *named, *([_ELSEWHERE] if self._desk.settings.space_id is None else [])]

    def _alike(self, run: Run, visitor: Visitor) -> Iterator[Run]:
        """The newest other runs of a visitor's own that are on the same base."""
        for one in islice(self._desk.store.list(), 200):
            if one.id == run.id or not visitor.may_change(one.access) or not one.adapter.is_dir():
                continue
            found = self._desk.find(one.id, visitor)
            if found is not None and found.config.model == run.config.model:
                yield found

    def asked(self, run: Run, visitor: Visitor, said: Sequence[Any]) -> Asked:
        """What the widgets said: see `asked_by`."""
        return asked_by(self._desk, run, visitor, said)

    def when_free(self) -> str:
        """Why the models cannot be asked now: see `when_free`."""
        return when_free(self._desk)


def asked_by(desk: Desk, run: Run, visitor: Visitor, said: Sequence[Any]) -> Asked:
    """What a visitor's widgets said. Raises FtspaceError for what is none, or not for this visitor."""
    third, address, key, system, tokens, temperature, top_p, same, seed = said
    try:
        dice = int(seed or 0) if same else secrets.randbelow(2**32)
        how = How(str(system or ""), int(tokens), float(temperature), float(top_p), dice)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError("the settings of the answers are not numbers; set them anew") from error
    sides = {BASE: side_name(BASE), TUNED: side_name(TUNED)}
    also: list[Run] = []
    reference = None
    third = str(third or "")
    if third == REFERENCE:
        reference = _reference(desk, str(address or "").strip(), str(key or "").strip(), visitor)
        sides[REFERENCE] = f"{side_name(REFERENCE)}: {reference.model}"
    elif is_run_id(third):
        other = desk.own(third, visitor)
        if other.config.model != run.config.model:
            raise JobError("that run is on another base; choose one on the same")
        also, sides[other.id] = [other], title(other.config)
    elif third:
        if third not in desk.models.sides(run):
            raise JobError(f"{third} is not kept any more; choose another")
        sides[third] = side_name(third)
    return Asked(sides, how, reference, also)


def _reference(desk: Desk, address: str, key: str, visitor: Visitor) -> Reference:
    if not address:
        raise ConfigError("say where the third model is, such as http://127.0.0.1:8000/v1#model")
    named = address if "#" in address and "://" in address else "http://127.0.0.1/v1#model"
    desk.check_may_read(parse_config({"eval": {"reference": named}}), visitor)
    if key and (len(key) < _SHORTEST_KEY or (key.isalpha() and key.islower())):
        raise ConfigError(
            f"that key is a plain word or has fewer than {_SHORTEST_KEY} letters, so it cannot be kept out of what is "
            "shown; leave it empty where any will do"
        )
    keep_secret(key, typed=True)
    return reference_named(address, key or None)


def when_free(desk: Desk) -> str:
    """Why the models cannot be asked now, and when to come back; "" when they can."""
    busy = queue.at_work(desk.store)
    if busy is None:
        return ""
    try:
        store = desk.store
        left = remaining(store.get(busy), history(store), time.time())
    except FtspaceError:
        left = None
    back = f"in about {duration(left)}" if left else "when it is done"
    return f"The machine is at work on a run, and models can be asked once it is free: come back {back}."
