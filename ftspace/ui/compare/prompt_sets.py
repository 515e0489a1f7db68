"""Step 3, Many questions: pasted, from a file, of the run or a set that was kept; all sides answer them in a table."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import gradio as gr

from evals.tasks import SUITES
from evals.titles import task_title
from ftspace.access import Visitor
from ftspace.answering import Answer, Answering, conversation, load
from ftspace.asking import to_csv
from ftspace.chats import Pad, new_pad, newest
from ftspace.errors import ConfigError, FtspaceError
from ftspace.questions import (
    AT_ONCE,
    IN_A_SET,
    PromptSets,
    Question,
    answers_only,
    kept_back,
    lines,
    of_task,
    own_tasks,
    read_file,
)
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.compare import chat_markup
from ftspace.ui.compare.chat import AT_WORK, Stops, keeps
from ftspace.ui.compare.manner import Asked, Manner, Updates
from ftspace.ui.desk import Desk
from ftspace.ui.uploads import forget_copy
from ftspace.ui.visitors import token_of
from ftspace.words import duration

_TYPED, _KEPT_BACK, _SUITE, _TASK, _SET = "", "kept-back", "suite:", "task:", "set:"
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass
class Round:
    """What was answered: of which run, to whom."""

    run_id: str
    visitor: str
    names: Mapping[str, str]
    pad: Pad | None = None
    """Where it is written down; None where it is not kept."""
    rows: list[tuple[Question, Mapping[str, Answer]]] = field(
        default_factory=list[tuple[Question, Mapping[str, Answer]]]
    )

    @classmethod
    def kept(cls, run: Run, visitor: Visitor) -> "Round | None":
        """The visitor's newest; None where none is kept."""
        pad, said = newest(run, visitor.name, "many") if keeps(run, visitor) else (None, [])
        if not said:
            return None
        found = cls(run.id, visitor.name, said[-1].names, pad)
        for one in said:
            answers = {side: reply.answer() for side, reply in one.answers.items()}
            found.rows.append((Question(question=one.question, answers=one.accepted), answers))
        return found


class ManyTab:
    """The tab's widgets: questions, a table that fills, and what to keep of it."""

    def __init__(self, desk: Desk, run_id: gr.Textbox, manner: Manner) -> None:
        """Builds them where the page stands now; `run_id` holds the id of the run that is open."""
        self._desk, self._manner, self._stops = desk, manner, Stops()
        self._round = gr.State(None)
        with gr.Row():
            self._source = gr.Dropdown(
                label="Questions",
                info=f"Your own, one a line, or a set; the first {AT_ONCE} are asked.",
                choices=[("Typed below", _TYPED)],
                value=_TYPED,
                elem_id="question-set",
                scale=2,
            )
            self._file = gr.UploadButton(
                "From a file (.txt, .jsonl)",
                file_types=[".txt", ".jsonl"],
                size="sm",
                scale=1,
                min_width=180,
                elem_id="questions-file",
            )
        self._typed = gr.Textbox(
            label="One question a line", lines=5, max_lines=12, placeholder="Where does Ann live?", elem_id="questions"
        )
        with gr.Row(elem_classes="ft-chat-acts"):
            self._send = gr.Button("Ask all", variant="primary", scale=0, min_width=160, elem_id="ask-all")
            self._stop = gr.Button("Stop", variant="stop", scale=0, min_width=160, visible=False, elem_id="stop-all")
            self._only = gr.Checkbox(label="Only where answers differ", visible=False, elem_id="only-differing")
            self._save = gr.Button("Download as CSV", size="sm", scale=0, min_width=160, visible=False, elem_id="csv")
        self._told = gr.HTML(elem_id="many-told")
        self._table = gr.HTML(elem_id="many-table")
        self._csv = gr.Textbox(elem_classes="ft-hidden", elem_id="many-csv")
        with gr.Accordion("Keep these questions", open=False, elem_id="keep-questions"), gr.Row():
            self._name = gr.Textbox(label="Name of the set", max_length=60, scale=2, elem_id="set-name")
            self._keep = gr.Button("Keep", size="sm", scale=0, min_width=100, elem_id="keep-set")
            self._drop = gr.Button("Delete the set", size="sm", scale=0, min_width=140, elem_id="delete-set")
        self._wire(run_id)
        self.outputs: list[Any] = [
            self._round, self._source, self._typed, self._told, self._table, self._csv, self._name,
            self._send, self._stop, self._only, self._save,
        ]  # fmt: skip

    def _wire(self, run_id: gr.Textbox) -> None:
        asked = [run_id, self._source, self._typed]
        gr.on(
            [self._send.click],
            self._ask,
            [*asked, *self._manner.inputs],
            [self._round, self._told, self._table, self._csv, self._send, self._stop, self._only, self._save],
            trigger_mode="once",
            **AT_WORK,
            **_PRIVATE,
        )
        self._stop.click(self._stop_now, run_id, self._told, concurrency_limit=None, **_PRIVATE)
        self._source.input(self._choose, asked[:2], [self._typed, self._name, self._told], **_PRIVATE)
        self._file.upload(self._take_in, [run_id, self._file], [self._source, self._typed, self._told], **_PRIVATE)
        self._only.input(self._filter, [run_id, self._round, self._only], self._table, **_PRIVATE)
        self._save.click(None, self._csv, None, js="text => window.ftSave('answers.csv', text)", **_PRIVATE)
        kept = [self._source, self._told]
        self._keep.click(self._keep_set, [*asked, self._name], kept, **_PRIVATE)
        self._drop.click(self._drop_set, [run_id, self._source], [*kept, self._typed], **_PRIVATE)

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """The visitor's newest round, and where questions can come from."""
        found = Round.kept(run, visitor) if run is not None and run.adapter.is_dir() else None
        shown: Updates = {
            self._round: found,
            self._source: gr.update(choices=self._sources(run, visitor), value=_TYPED),
            **dict.fromkeys((self._typed, self._told, self._table, self._csv, self._name), ""),
        }
        if found is not None:
            shown[self._told] = markup.note(f"What you asked last: {len(found.rows)} questions.")
            shown[self._table] = chat_markup.table(found.rows, found.names)
            shown[self._csv] = to_csv(found.rows, list(found.names))
        return shown | self._ready(found)

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """The rows kept back, once there are some."""
        return {self._source: gr.update(choices=self._sources(run, visitor))}

    def _sources(self, run: Run | None, visitor: Visitor) -> list[tuple[str, str]]:
        found = [("Typed below", _TYPED)]
        if run is not None:
            found += [("Rows kept back from training", _KEPT_BACK)] if any(kept_back(run, visitor)) else []
            found += [(f"The run's task: {task_title(name)}", _TASK + name) for name in self._tasks(run, visitor)]
        found += [(f"Bundled: {task_title(name)}", _SUITE + name) for name in SUITES]
        return found + [(f"Kept: {name}", _SET + name) for name in self._sets(visitor).names()]

    def _tasks(self, run: Run, visitor: Visitor) -> dict[str, str]:
        return {name: path for name, path in own_tasks(run, visitor).items() if self._desk.may_read(path, visitor)}

    def _sets(self, visitor: Visitor) -> PromptSets:
        return PromptSets(self._desk.settings.data_dir / "prompts" / visitor.folder)

    def _questions(self, run: Run, visitor: Visitor, source: str, typed: str) -> list[Question]:
        """The questions that are meant. Raises FtspaceError."""
        kind, _, name = source.partition(":")
        if source == _TYPED:
            return lines(typed)
        if source == _KEPT_BACK:
            return list(islice(kept_back(run, visitor), IN_A_SET))
        if f"{kind}:" == _SUITE and name in SUITES:
            return of_task(name)
        if f"{kind}:" == _TASK and name in (tasks := self._tasks(run, visitor)):
            return answers_only(of_task(tasks[name]))
        if f"{kind}:" == _SET:
            return answers_only(self._sets(visitor).read(name))
        raise ConfigError("there are no such questions any more; choose others")

    def _ask(self, request: gr.Request, run_id: str, source: str, typed: str, *said: Any) -> Iterator[Updates]:
        """All questions answered, a row of the table after the other."""
        found: Round | None = None
        try:
            visitor = self._desk.admit(request, "ask")
            run = self._desk.get(run_id, visitor)
            questions = self._questions(run, visitor, str(source or ""), str(typed or ""))
            if not questions:
                raise ConfigError("write some questions first, one a line, or choose a set of them")
            asked = self._manner.asked(run, visitor, said)
            pad = new_pad(run, visitor.name, "many") if keeps(run, visitor) else None
            found = Round(run.id, visitor.name, asked.sides, pad)
            flag = self._stops.begin(request)
            try:
                yield from self._answered(request, run, questions, found, asked, flag)
            finally:
                self._stops.end(request, flag)
        except FtspaceError as error:
            yield {self._told: markup.note(self._manner.when_free() or str(error), "bad"), **self._ready(found)}

    def _answered(
        self,
        request: gr.Request,
        run: Run,
        questions: Sequence[Question],
        found: Round,
        asked: Asked,
        flag: threading.Event,
    ) -> Iterator[Updates]:
        for seconds in load(self._desk.models, run, token_of(request), asked.also):
            yield {self._told: markup.note(f"Loading the models, {duration(seconds)} so far …", "busy"), **self._busy()}
            if flag.is_set():
                break
        total, trouble = min(len(questions), AT_ONCE), ""
        for question in questions[:AT_ONCE]:
            if flag.is_set():
                break
            said = chat_markup.progress(len(found.rows), total, f"{len(found.rows)} of {total} questions answered")
            yield {self._told: said, self._table: chat_markup.table(found.rows, found.names), **self._busy()}
            system = question.system or asked.how.system
            messages = {side: conversation([], side, system, question.question) for side in asked.sides}
            work = Answering(self._desk.models, run, messages, asked.how, asked.reference)
            with closing(work.follow()) as ticks:
                for _ in ticks:
                    if flag.is_set():
                        break
            if flag.is_set():
                break
            found.rows.append((question, work.answers))
            if found.pad is not None:
                trouble = found.pad.keep(
                    question.question, work.answers, asked.sides, asdict(asked.how), accepted=question.answers
                )
            if all(one.failed and not one.text for one in work.answers.values()):
                break
        left = len(questions) - total
        words = f"{len(found.rows)} of {total} questions answered."
        words += " Stopped: what was answered stays." if flag.is_set() else ""
        words += f" {left} more of this set were not asked: {AT_ONCE} are asked at a time." if left else ""
        yield {
            self._round: found,
            self._told: markup.note(f"{words} {trouble}".strip()),
            self._table: chat_markup.table(found.rows, found.names),
            self._csv: to_csv(found.rows, list(found.names)),
            **self._ready(found),
        }

    def _busy(self) -> Updates:
        hidden = dict.fromkeys((self._send, self._only, self._save), gr.update(visible=False))
        return {self._stop: gr.update(visible=True), **hidden}

    def _ready(self, found: Round | None) -> Updates:
        some = found is not None and bool(found.rows)
        return {
            self._send: gr.update(visible=True),
            self._stop: gr.update(visible=False),
            self._only: gr.update(visible=some, value=False),
            self._save: gr.update(visible=some),
        }

    def _stop_now(self, request: gr.Request, run_id: str) -> Any:
        with suppress(FtspaceError):
            self._desk.get(run_id, self._desk.admit(request, "look"))
            self._stops.stop(request)
        return gr.skip()

    def _filter(self, request: gr.Request, run_id: str, found: Round | None, only: bool) -> str:
        visitor = self._desk.visitor(request)
        run = self._desk.find(run_id, visitor)
        if found is None or run is None or (found.run_id, found.visitor) != (run.id, visitor.name):
            return ""
        return chat_markup.table(found.rows, found.names, differing_only=only is True)

    def _choose(self, request: gr.Request, run_id: str, source: str) -> tuple[Any, Any, str]:
        """Shows the questions of a set."""
        try:
            visitor = self._desk.admit(request, "look")
            run = self._desk.get(run_id, visitor)
            found = self._questions(run, visitor, str(source or ""), "")
        except FtspaceError as error:
            return gr.skip(), gr.skip(), markup.note(str(error), "bad")
        name = source.removeprefix(_SET) if source.startswith(_SET) else ""
        typed = source == _TYPED
        shown = "\n".join(" ".join(one.question.split()) for one in found[:AT_ONCE])
        return gr.update(value=shown, interactive=typed), name, ""

    def _take_in(self, request: gr.Request, run_id: str, file: str) -> tuple[Any, Any, str]:
        """Keeps the questions of an uploaded file as a set of the file's name, and chooses it."""
        path = Path(file)
        try:
            visitor = self._desk.admit(request, "upload")
            run = self._desk.get(run_id, visitor)
            found = read_file(path)[:IN_A_SET]
            name = self._sets(visitor).keep("".join(c if c.isalnum() or c in " .-_" else "-" for c in path.stem), found)
        except FtspaceError as error:
            return gr.skip(), gr.skip(), markup.note(str(error), "bad")
        finally:
            forget_copy(path)
        shown = "\n".join(" ".join(one.question.split()) for one in found[:AT_ONCE])
        chosen = gr.update(choices=self._sources(run, visitor), value=_SET + name)
        return chosen, gr.update(value=shown, interactive=False), markup.note(f"{len(found)} questions kept as {name}.")

    def _keep_set(self, request: gr.Request, run_id: str, source: str, typed: str, name: str) -> tuple[Any, str]:
        try:
            visitor = self._desk.admit(request, "look")
            run = self._desk.get(run_id, visitor)
            found = self._questions(run, visitor, str(source or ""), str(typed or ""))
            kept = self._sets(visitor).keep(str(name or ""), found[:IN_A_SET])
        except FtspaceError as error:
            return gr.skip(), markup.note(str(error), "bad")
        told = f"{min(len(found), IN_A_SET)} questions are kept as {kept}; they stand in the list above."
        return gr.update(choices=self._sources(run, visitor)), markup.note(told)

    def _drop_set(self, request: gr.Request, run_id: str, source: str) -> tuple[Any, str, Any]:
        try:
            visitor = self._desk.admit(request, "look")
            run = self._desk.get(run_id, visitor)
            if not str(source or "").startswith(_SET):
                raise ConfigError("choose a set that you kept first; the others are not yours to delete")
            self._sets(visitor).delete(source.removeprefix(_SET))
        except FtspaceError as error:
            return gr.skip(), markup.note(str(error), "bad"), gr.skip()
        shown = gr.update(choices=self._sources(run, visitor), value=_TYPED)
        return shown, markup.note("The set is deleted."), gr.update(value="", interactive=True)
