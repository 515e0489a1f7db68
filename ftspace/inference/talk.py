"""A conversation on the terminal with some sides of a run at once. Knows no command line and loads nothing itself."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ftspace.access import LOCAL
from ftspace.answering import Answer
from ftspace.chats import new_pad
from ftspace.console import stderr, stdout
from ftspace.errors import FtspaceError, JobError
from ftspace.inference.client import InferenceClient
from ftspace.inference.reference import SIDE, Reference
from ftspace.inference.together import SideFailed
from ftspace.runs import Run, RunStore
from ftspace.words import side_name

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What would steer a terminal."""


class Talk:
    """The conversations: one for each side, since each has answers of its own."""

    def __init__(
        self,
        models: InferenceClient,
        run: Run,
        *,
        system: str | None,
        reference: Reference | None,
        settings: Mapping[str, Any],
    ) -> None:
        """`settings` are those of `InferenceClient.together`; `to` says whom to talk to."""
        self._models, self._run, self._reference = models, run, reference
        self._store = RunStore(run.path.parent)
        self._system = system
        self._settings = settings
        self._sides: list[str] = []
        self._pad = new_pad(run, LOCAL, "chat")
        self._said: dict[str, list[dict[str, str]]] = {}
        self.failed = False
        """Whether a question had no answer."""

    def to(self, sides: Sequence[str]) -> None:
        """Talks to these from now on, from the beginning. Raises FtspaceError for a side that there is not."""
        there = self._models.sides(self._run)
        others = [self._store.get(side) for side in sides if side not in there and side in self._ids()]
        for side in sides:
            if side not in (*there, *(one.id for one in others)):
                raise JobError(f"there is no side {side!r}; there are {', '.join(there)}, and runs by their ids")
        if not self._models.is_open(self._run):
            stderr.print("loading the models …")
        self._models.open(self._run, also=others)
        self._sides = [*sides, *([SIDE] if self._reference else [])]
        self.reset()

    def reset(self) -> None:
        """Begins anew."""
        first = [{"role": "system", "content": self._system}] if self._system else []
        self._said = {side: list(first) for side in self._sides}
        self._pad = new_pad(self._run, LOCAL, "chat")

    def take(self, line: str) -> None:
        """A line that somebody wrote: a command, or the next turn."""
        word, _, rest = line.partition(" ")
        actions: dict[str, Callable[[], None]] = {"/reset": self.reset, "/side": lambda: self.to([rest.strip()])}
        try:
            if word in actions:
                actions[word]()
                stderr.print(f"talking to {', '.join(self._sides)}, from the beginning", markup=False, highlight=False)
            elif word.startswith("/"):
                stderr.print("there are /reset, /side NAME and /quit", markup=False, highlight=False)
            else:
                self._ask(line)
        except FtspaceError as error:
            self._tell_of(str(error))

    def _ask(self, question: str) -> None:
        asked = {side: [*said, {"role": "user", "content": question}] for side, said in self._said.items()}
        texts = dict.fromkeys(self._sides, "")
        over: set[str] = set()
        printed = _Printed(self._sides)
        sides = [side for side in self._sides if side != SIDE]
        messages: Any = asked
        answers = self._models.together(self._run, sides, messages, reference=self._reference, **self._settings)
        try:
            for item in answers:
                side, piece = item
                if isinstance(item, SideFailed):
                    printed.end(side, "(broken off)")
                    self._tell_of(f"{side}: {piece}")
                elif piece:
                    texts[side] += piece
                    printed.add(side, piece)
                else:
                    over.add(side)
                    printed.end(side)
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                raise
            stderr.print("\nbroken off", markup=False)
        finally:
            answers.close()
        self._keep(question, texts, over)
        for side in over:
            self._said[side] = [*asked[side], {"role": "assistant", "content": texts[side]}]

    def _keep(self, question: str, texts: Mapping[str, str], over: set[str]) -> None:
        """Writes down what was said, as the app does."""
        answers = {side: Answer(text, done=True, stopped=side not in over) for side, text in texts.items()}
        if any(texts.values()):
            how = {"system": self._system or "", **self._settings}
            names = {side: side_name(side) for side in self._sides}
            if trouble := self._pad.keep(question, answers, names, how):
                stderr.print(trouble, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def _tell_of(self, error: str) -> None:
        self.failed = True
        stderr.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)

    def _ids(self) -> set[str]:
        return {run.id for run in self._store.list()}


class _Printed:
    """Answers that come at once, printed one behind the other: the first as it is written, then what waited."""

    def __init__(self, sides: Sequence[str]) -> None:
        self._sides = list(sides)
        self._waiting = dict.fromkeys(sides, "")
        self._done: dict[str, str] = {}
        self._begun = False

    def add(self, side: str, piece: str) -> None:
        """A piece of a side's answer."""
        self._waiting[side] += piece
        self._flush()

    def end(self, side: str, empty: str = "(no text)") -> None:
        """A side gives no more; `empty` stands for an answer of which nothing came."""
        self._done[side] = empty
        self._flush()

    def _flush(self) -> None:
        while self._sides:
            side = self._sides[0]
            text, self._waiting[side] = self._waiting[side], ""
            if text and not self._begun:
                text, self._begun = f"{side}> {text.lstrip()}", True
            _write(text)
            if side not in self._done:
                return
            _write("\n" if self._begun else f"{side}> {self._done[side]}\n")
            self._sides.pop(0)
            self._begun = False


def _write(text: str) -> None:
    """A model's words as text: what would steer the terminal is left out."""
    stdout.file.write(_STEERING.sub("", text))
    stdout.file.flush()
