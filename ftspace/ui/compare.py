"""Step 3: one question, answered by base and tuned side by side. The models live in the inference server."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal

import gradio as gr

from evals.errors import LogError
from evals.log import read_log
from ftspace.access import Visitor
from ftspace.data.prepare import read_split
from ftspace.errors import FtspaceError
from ftspace.preflight import HELDOUT
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.desk import Desk
from ftspace.ui.visitors import token_of

EXAMPLES = 6
_LOOKED_AT = 200
_Chat = list[dict[str, str]]
_NO_ADAPTER = markup.empty("Nothing to compare yet", "Once a run has trained an adapter, ask both models here.")


class Compare:
    """The step's widgets: a question, two answers."""

    def __init__(self, desk: Desk, run_id: gr.Textbox) -> None:
        """Builds the step inside the tab that is open; `run_id` holds the id of the run that is open."""
        self._desk = desk
        self.nothing = gr.HTML(_NO_ADAPTER)
        with gr.Column(visible=False) as self.panel:
            gr.HTML(markup.heading("Ask them both", "The same question, the same settings; only the training differs."))
            with gr.Row(equal_height=True, elem_classes="ft-askbar"):
                self.prompt = gr.Textbox(
                    label="Question", placeholder="Ask something …", lines=1, max_lines=6, scale=8, elem_id="question"
                )
                self.send = gr.Button("Ask both", variant="primary", scale=1, min_width=120, elem_id="send")
            self.examples = gr.Dataset(
                components=[gr.Textbox(visible=False)],
                samples=[[""]],
                label="From the rows that were kept back",
                elem_id="examples",
            )
            self.told = gr.HTML()
            with gr.Row():
                self.base = _chat("Base", "base-answer")
                self.tuned = _chat("Tuned", "tuned-answer")
            with gr.Accordion("How they answer", open=False), gr.Row():
                self.tokens = gr.Slider(8, 1024, value=64, step=8, label="Longest answer, in tokens")
                self.temperature = gr.Slider(
                    0, 1.5, value=0, step=0.1, label="Temperature", info="0 always takes the likeliest token."
                )
        self.examples.click(
            lambda sample: sample[0], self.examples, self.prompt, api_visibility="private", show_progress="hidden"
        )
        gr.on(
            [self.send.click, self.prompt.submit],
            self._ask,
            [run_id, self.prompt, self.tokens, self.temperature],
            [self.base, self.tuned, self.told],
            show_progress="hidden",
            concurrency_limit=4,
            trigger_mode="once",
            api_visibility="private",
        )
        self.outputs: list[Any] = [self.nothing, self.panel, self.examples, self.tokens]

    def show(self, run: Run | None, visitor: Visitor) -> list[Any]:
        """Updates for `outputs`: examples of the run's test split, or a word on why there is nothing to ask."""
        ready = run is not None and run.adapter.is_dir()
        if run is None or not ready:
            return [_NO_ADAPTER, gr.update(visible=False), gr.skip(), gr.skip()]
        samples = [[question] for question, _ in islice(questions(run, visitor), EXAMPLES)]
        longest = min(1024, max(8, run.config.eval.max_new_tokens))
        return ["", gr.update(visible=True), gr.update(samples=samples, visible=bool(samples)), longest]

    def _ask(
        self, request: gr.Request, run_id: str, prompt: str, tokens: int, temperature: float
    ) -> Iterator[tuple[_Chat, _Chat, str]]:
        question = prompt.strip()
        if not question:
            yield [], [], markup.note("Write a question first, or pick one of the examples.")
            return
        asked = [{"role": "user", "content": question}]
        told = ""
        try:
            visitor = self._desk.admit(request, "ask")
            run = self._desk.get(run_id, visitor)
            if not self._desk.models.is_open(run):
                yield asked, asked, markup.note("Loading the model; the first answer takes some seconds …", "busy")
                self._desk.models.open(run, token_of(request))
            expected = next((answer for known, answer in questions(run, visitor) if known == question), None)
            told = markup.note(f"The dataset's answer: {expected}") if expected is not None else ""
            answers = {"base": "", "tuned": ""}
            for side in _SIDES:
                system = run.config.data.system
                messages: Any = [*([{"role": "system", "content": system}] if system else []), *asked]
                pieces = self._desk.models.stream(
                    run, side, messages, max_tokens=int(tokens), temperature=float(temperature)
                )
                for piece in pieces:
                    answers[side] += piece
                    yield _said(asked, answers["base"]), _said(asked, answers["tuned"]), told
                answers[side] = answers[side].strip() or "(no text)"
            yield _said(asked, answers["base"]), _said(asked, answers["tuned"]), told
        except FtspaceError as error:
            yield asked, asked, markup.note(str(error), "bad")


_SIDES: tuple[Literal["base", "tuned"], ...] = ("base", "tuned")


def _chat(label: str, elem_id: str) -> gr.Chatbot:
    return gr.Chatbot(
        label=label,
        elem_id=elem_id,
        height=300,
        render_markdown=False,  # what a model writes is text, never markup
        layout="bubble",
        placeholder=f"The {label.lower()} model's answer appears here.",
        feedback_options=None,
        buttons=[],
        min_width=280,
    )


def _said(asked: _Chat, answer: str) -> _Chat:
    return [*asked, {"role": "assistant", "content": answer}] if answer else asked


def questions(run: Run, visitor: Visitor) -> Iterator[tuple[str, str]]:
    """Questions of one turn in the run's test split, with the dataset's answers.

    To those who may only look, no others than the evaluation asked, which its log shows them anyway.
    """
    if visitor.may_change(run.access):
        yield from _kept_back(run)
        return
    try:
        asked = [(sample.prompt, sample.expected) for sample in read_log(run.evals / HELDOUT / "base.json").samples]
    except LogError:
        return
    for question, answer in _kept_back(run):
        if any(question.strip() in prompt and answer in expected for prompt, expected in asked):
            yield question, answer


def _kept_back(run: Run) -> Iterator[tuple[str, str]]:
    try:
        for conversation in islice(read_split(run.data, "test"), _LOOKED_AT):
            turns = [turn for turn in conversation if turn["role"] != "system"]
            if [turn["role"] for turn in turns] == ["user", "assistant"]:
                yield turns[0]["content"], turns[1]["content"]
    except OSError:
        return
