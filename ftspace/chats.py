"""What was asked of a run's models and what they answered: `chats.jsonl` in its folder, a line an exchange.

The app's step Compare and the commands `chat` and `ask` write it, for the run's owner alone: it is shown to nobody
else, pushed nowhere, and goes when the run is deleted or discarded. Secrets are taken out. Knows no screen.
"""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ftspace.answering import Answer
from ftspace.redact import redact
from ftspace.runs import Run

MOST = 64 << 20
"""Bytes that one run's may take."""
_TAIL = 4 << 20
"""Bytes from the end in which the newest conversation is looked for."""
Kind = Literal["chat", "many"]
"""A conversation, or questions that were put one by one."""


class Reply(BaseModel):
    """What one side answered."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str = ""
    first: float | None = None
    """Seconds until the first word."""
    seconds: float = 0.0
    cut: bool = False
    stopped: bool = False
    failed: str = ""

    @classmethod
    def of(cls, answer: Answer) -> "Reply":
        """An answer as it is kept."""
        told = {name: getattr(answer, name) for name in cls.model_fields}
        return cls.model_validate(told | {"text": redact(answer.text), "failed": redact(answer.failed)})

    def answer(self) -> Answer:
        """The answer that was kept."""
        return Answer(**self.model_dump(), done=True)


class Exchange(BaseModel):
    """A question and its answers, as a line of the file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: int = 1
    time: str
    """ISO 8601, UTC."""
    by: str
    """Who asked."""
    kind: Kind
    chat: str
    """Which conversation, or round of questions, it belongs to."""
    question: str
    """"" where a conversation was begun anew and nothing is asked yet."""
    accepted: tuple[str, ...] = ()
    """Answers that would be right, where they are known."""
    again: bool = False
    """Whether it takes the place of the exchange before it."""
    how: dict[str, str | int | float] = {}
    """The settings of the answers."""
    names: dict[str, str] = {}
    """What each side was called."""
    answers: dict[str, Reply] = {}
    """By side."""


@dataclass(frozen=True)
class Pad:
    """One conversation, or round, that is being written down."""

    run: Run
    by: str
    kind: Kind
    chat: str

    def keep(
        self,
        question: str,
        answers: Mapping[str, Answer],
        names: Mapping[str, str],
        how: Mapping[str, str | int | float],
        *,
        accepted: Sequence[str] = (),
        again: bool = False,
    ) -> str:
        """Writes an exchange down, in one write: why it is not kept, or "". `how` are the settings of the answers."""
        return self._add(
            Exchange(
                time=_now(),
                by=self.by,
                kind=self.kind,
                chat=self.chat,
                question=redact(question),
                accepted=tuple(map(redact, accepted)),
                again=again,
                how={name: redact(value) if isinstance(value, str) else value for name, value in how.items()},
                names={side: redact(name) for side, name in names.items()},
                answers={side: Reply.of(one) for side, one in answers.items()},
            )
        )

    def begin(self) -> str:
        """Says that a conversation begins here, so that the one before is not shown again: as `keep`."""
        return self._add(Exchange(time=_now(), by=self.by, kind=self.kind, chat=self.chat, question=""))

    def _add(self, exchange: Exchange) -> str:
        line = exchange.model_dump_json().encode() + b"\n"
        try:
            fd = os.open(self.run.chats, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(fd).st_size
                if size + len(line) > MOST:
                    return (
                        f"What was asked of this run takes {MOST >> 20} MB already, so nothing more is kept: take "
                        f"{self.run.chats.name} out of its folder."
                    )
                torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
                whole = b"\n" * torn + line
                if os.write(fd, whole) < len(whole):
                    os.ftruncate(fd, size)
                    return "What was asked is not kept: the disk is full; make room."
            finally:
                os.close(fd)
        except OSError as error:
            return f"What was asked is not kept: {error.strerror}; mend that, or make room on the disk."
        return ""


def new_pad(run: Run, by: str, kind: Kind) -> Pad:
    """A new conversation, or round, with a run's models."""
    return Pad(run, by, kind, secrets.token_hex(6))


def newest(run: Run, by: str, kind: Kind) -> tuple[Pad, list[Exchange]]:
    """Somebody's newest conversation, or round, and what was asked in it; a new one where there is none."""
    kept = [one for one in _exchanges(run) if (one.by, one.kind) == (by, kind)]
    if not kept:
        return new_pad(run, by, kind), []
    found: list[Exchange] = []
    for one in kept:
        if one.chat != kept[-1].chat or not one.question:
            continue
        if one.again and found:
            found.pop()
        found.append(one)
    return Pad(run, by, kind, kept[-1].chat), found


def _exchanges(run: Run) -> Iterator[Exchange]:
    """What stands at the end of the file, oldest first; lines that are none of this version are passed over."""
    try:
        with run.chats.open("rb") as file:
            begin = max(0, file.seek(0, os.SEEK_END) - _TAIL)
            file.seek(begin)
            lines = file.read().split(b"\n")[1 if begin else 0 :]
    except OSError:
        return
    for line in lines:
        try:
            yield Exchange.model_validate_json(line)
        except ValidationError:
            continue


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
