"""Step 3, Ask: base and tuned answer a question beside each other, at the same time, turn after turn.

Each side keeps a conversation of its own. What the run's owner asks is kept with the run and shown again (chats.py); of
others it lies in the page's session alone. The models live in the inference server.
"""

import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import gradio as gr

from ftspace.access import Visitor
from ftspace.answering import Answering, Turn, conversation, load
from ftspace.chats import Pad, new_pad, newest
from ftspace.errors import FtspaceError
from ftspace.questions import kept_back
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.compare import chat_markup
from ftspace.ui.compare.manner import Asked, Manner, Updates
from ftspace.ui.desk import Desk
from ftspace.ui.visitors import token_of
from ftspace.words import duration

EXAMPLES = 6
AT_WORK: dict[str, Any] = {"concurrency_id": "ask", "concurrency_limit": 4}
"""So many visitors are answered at once."""
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_NO_QUESTION = "Write a question first, or pick one of the examples."


@dataclass
class Chat:
    """What was said on a page: of which run, to whom."""

    run_id: str = ""
    visitor: str = ""
    turns: list[Turn] = field(default_factory=list[Turn])
    names: dict[str, str] = field(default_factory=dict[str, str])
    pad: Pad | None = None
    """Where it is written down; None where it is not kept."""

    @classmethod
    def new(cls, run: Run, visitor: Visitor) -> "Chat":
        """One in which nothing was said yet."""
        return cls(run.id, visitor.name, pad=new_pad(run, visitor.name, "chat") if keeps(run, visitor) else None)

    @classmethod
    def kept(cls, run: Run, visitor: Visitor) -> "Chat":
        """The visitor's newest about a run, as far as one is kept."""
        if not keeps(run, visitor):
            return cls.new(run, visitor)
        pad, said = newest(run, visitor.name, "chat")
        turns = [Turn(one.question, {side: reply.answer() for side, reply in one.answers.items()}) for one in said]
        names = {side: name for one in said for side, name in one.names.items()}
        return cls(run.id, visitor.name, turns, names, pad)

    def belongs(self, run: Run, visitor: Visitor) -> bool:
        """Whether it is this visitor's about this run."""
        return (self.run_id, self.visitor) == (run.id, visitor.name)


class Stops:
    """The answers on their way, by the page's session, so that a button can stop them."""

    def __init__(self) -> None:
        self._flags: dict[str, threading.Event] = {}

    def begin(self, request: gr.Request) -> threading.Event:
        """A flag that `stop` sets; the answers of the same session before are stopped."""
        self.stop(request)
        flag = self._flags[str(request.session_hash)] = threading.Event()
        return flag

    def end(self, request: gr.Request, flag: threading.Event) -> None:
        """Forgets the flag."""
        if self._flags.get(str(request.session_hash)) is flag:
            del self._flags[str(request.session_hash)]

    def stop(self, request: gr.Request) -> None:
        """Stops what is on its way to a session."""
        if flag := self._flags.get(str(request.session_hash)):
            flag.set()


class ChatTab:
    """The tab's widgets: a question, and the answers beside each other."""

    def __init__(self, desk: Desk, run_id: gr.Textbox, manner: Manner) -> None:
        """Builds them where the page stands now; `run_id` holds the id of the run that is open."""
        self._desk, self._manner, self._stops = desk, manner, Stops()
        self._chat = gr.State(None)
        self._before = gr.HTML(elem_id="chat-before")
        self._now = gr.HTML(elem_id="chat-now")
        self._told = gr.HTML(elem_id="chat-told")
        with gr.Row(equal_height=True, elem_classes="ft-askbar"):
            self._question = gr.Textbox(
                label="Question", placeholder="Ask something …", lines=1, max_lines=6, scale=8, elem_id="question"
            )
            self._send = gr.Button("Ask both", variant="primary", scale=1, min_width=120, elem_id="send")
            self._stop = gr.Button(
                "Stop", variant="stop", scale=1, min_width=120, visible=False, elem_id="stop-answers"
            )
        with gr.Row(elem_classes="ft-chat-acts"):
            self._again = gr.Button("Ask again", size="sm", scale=0, min_width=120, visible=False, elem_id="ask-again")
            self._over = gr.Button("Start over", size="sm", scale=0, min_width=120, visible=False, elem_id="start-over")
        self._examples = gr.Dataset(
            components=[gr.Textbox(visible=False)],
            samples=[[""]],
            label="From the rows that were kept back",
            elem_id="examples",
        )
        self._kept = gr.HTML(elem_id="chat-kept")
        self._shown = [self._before, self._now, self._told]
        self._buttons = [self._send, self._stop, self._again, self._over]
        self._wire(run_id)
        self.outputs: list[Any] = [
            self._chat, self._question, self._examples, self._kept, *self._shown, *self._buttons,
        ]  # fmt: skip

    def _wire(self, run_id: gr.Textbox) -> None:
        self._examples.click(lambda sample: sample[0], self._examples, self._question, **_PRIVATE)
        answered = [self._chat, self._question, self._kept, *self._shown, *self._buttons]
        asked: dict[str, Any] = {"outputs": answered, "trigger_mode": "once", **AT_WORK, **_PRIVATE}
        gr.on(
            [self._send.click, self._question.submit],
            self._ask,
            [run_id, self._question, self._chat, *self._manner.inputs],
            **asked,
        )
        self._again.click(self._ask_again, [run_id, self._chat, *self._manner.inputs], **asked)
        self._stop.click(self._stop_now, run_id, self._told, concurrency_limit=None, **_PRIVATE)
        self._over.click(self._start_over, run_id, [self._chat, *self._shown, *self._buttons], **_PRIVATE)

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """The visitor's newest conversation about the run."""
        chat = Chat.kept(run, visitor) if run is not None and run.adapter.is_dir() else None
        shown: Updates = {self._chat: chat, self._question: "", **dict.fromkeys(self._shown, "")}
        if chat is not None and chat.turns:
            shown[self._before] = chat_markup.turns(chat.turns[:-1], chat.names)
            shown[self._now] = chat_markup.turn(chat.turns[-1], chat.names)
        kept = {self._kept: _kept(run, visitor) if run else ""}
        return shown | kept | self._ready(chat) | (self._sampled(run, visitor) if run else {})

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """The examples, once there are rows."""
        return self._sampled(run, visitor)

    def _sampled(self, run: Run, visitor: Visitor) -> Updates:
        samples = [[one.question] for one in islice(kept_back(run, visitor), EXAMPLES)]
        return {self._examples: gr.update(samples=samples or [[""]], visible=bool(samples))}

    def _ask(self, request: gr.Request, run_id: str, question: str, chat: Chat | None, *said: Any) -> Iterator[Updates]:
        """The question's answers as they are written."""
        if not str(question or "").strip():
            yield {self._told: markup.note(_NO_QUESTION)}
            return
        yield from self._answer(request, run_id, str(question).strip(), chat, said, again=False)

    def _ask_again(self, request: gr.Request, run_id: str, chat: Chat | None, *said: Any) -> Iterator[Updates]:
        """The last question's answers anew, with the settings as they are now."""
        if chat is None or not chat.turns:
            yield {self._told: markup.note(_NO_QUESTION)}
            return
        yield from self._answer(request, run_id, chat.turns[-1].question, chat, said, again=True)

    def _answer(
        self, request: gr.Request, run_id: str, question: str, chat: Chat | None, said: Any, *, again: bool
    ) -> Iterator[Updates]:
        try:
            visitor = self._desk.admit(request, "ask")
            run = self._desk.get(run_id, visitor)
            asked = self._manner.asked(run, visitor, said)
            if chat is None or not chat.belongs(run, visitor):
                chat = Chat.new(run, visitor)
                if again:
                    raise FtspaceError(_NO_QUESTION)
            flag = self._stops.begin(request)
            try:
                yield from self._written(request, run, visitor, question, chat, asked, flag, again=again)
            finally:
                self._stops.end(request, flag)
        except FtspaceError as error:
            words = self._manner.when_free() or str(error)
            yield {self._told: markup.note(words, "bad"), **self._ready(chat)}

    def _written(
        self,
        request: gr.Request,
        run: Run,
        visitor: Visitor,
        question: str,
        chat: Chat,
        asked: Asked,
        flag: threading.Event,
        *,
        again: bool,
    ) -> Iterator[Updates]:
        if not self._desk.models.is_open(run) or asked.also:
            for seconds in load(self._desk.models, run, token_of(request), asked.also):
                if flag.is_set():
                    yield {self._told: markup.note("Cancelled: nothing was asked."), **self._ready(chat)}
                    return
                words = f"Loading the models, {duration(seconds)} so far; the first answer takes a while …"
                yield {self._told: markup.note(words, "busy"), **self._busy()}
        before = chat.turns[:-1] if again else list(chat.turns)
        chat.names |= asked.sides
        messages = {side: conversation(before, side, asked.how.system, question) for side in asked.sides}
        work = Answering(self._desk.models, run, messages, asked.how, asked.reference)
        turn, most = Turn(question, work.answers), asked.how.max_tokens
        yield {
            self._before: chat_markup.turns(before, chat.names),
            self._now: chat_markup.turn(turn, chat.names, most),
            self._told: self._expected(run, visitor, question),
            self._question: "",
            **self._busy(),
        }
        trouble = ""
        try:
            with closing(work.follow()) as ticks:
                for told in ticks:
                    if flag.is_set():
                        break
                    if told:
                        yield {self._now: chat_markup.turn(turn, chat.names, most)}
        finally:  # also where the page is closed in the middle of an answer
            if chat.pad is not None and any(one.text for one in work.answers.values()):
                trouble = chat.pad.keep(question, work.answers, asked.sides, asdict(asked.how), again=again)
        chat.turns = [*before, turn]
        free = self._manner.when_free() if any(one.failed for one in work.answers.values()) else ""
        yield {
            self._chat: chat,
            self._kept: _kept(run, visitor),
            self._now: chat_markup.turn(turn, chat.names, most),
            **({self._told: markup.note(free or trouble, "warn")} if free or trouble else {}),
            **self._ready(chat),
        }

    def _expected(self, run: Run, visitor: Visitor, question: str) -> str:
        found = next((one for one in kept_back(run, visitor) if one.question == question), None)
        return markup.note(f"The dataset's answer: {found.expected}") if found else ""

    def _busy(self) -> Updates:
        hidden = dict.fromkeys((self._send, self._again, self._over), gr.update(visible=False))
        return {self._stop: gr.update(visible=True), **hidden}

    def _ready(self, chat: Chat | None) -> Updates:
        begun = gr.update(visible=chat is not None and bool(chat.turns))
        return {
            self._send: gr.update(visible=True),
            self._stop: gr.update(visible=False),
            self._again: begun,
            self._over: begun,
        }

    def _stop_now(self, request: gr.Request, run_id: str) -> Any:
        with suppress(FtspaceError):
            self._desk.get(run_id, self._desk.admit(request, "look"))
            self._stops.stop(request)
        return gr.skip()

    def _start_over(self, request: gr.Request, run_id: str) -> Updates:
        chat: Chat | None = None
        with suppress(FtspaceError):
            visitor = self._desk.visitor(request)
            run = self._desk.get(run_id, visitor)
            self._stops.stop(request)
            chat = Chat.new(run, visitor)
            if chat.pad is not None and run.chats.exists():
                chat.pad.begin()
        return {self._chat: chat, **dict.fromkeys(self._shown, ""), **self._ready(None)}


def keeps(run: Run, visitor: Visitor) -> bool:
    """Whether what a visitor asks of a run's models is kept with it: what its owner asks is."""
    return visitor.may_change(run.access)


def _kept(run: Run, visitor: Visitor) -> str:
    return chat_markup.kept(run.id if run.chats.exists() else "", mine=keeps(run, visitor))
