"""What to ask: a task is a name, a kind and samples, read from a JSONL file or made of conversations.

Knows nothing of models or scores. All rows of a file are of one kind, told by their keys:

    generation  {"question": "..."} or {"messages": [...]}, "answer": "..." or ["...", "..."]
    choice      {"question": ..., "choices": ["...", "..."], "answer": index or text, "raw": true?}
    checks      {"question": ..., "checks": {"regex": "..."} and/or {"json_schema": {...}}}

Any row may have `system` (a system message) and `group` (samples that belong together). `raw` asks without a chat
template: the question is a text, and the choices go on with it and carry their own leading space.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from evals.errors import TaskError
from evals.log import Kind

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Message(_Strict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""
    content: str
    """What is said."""


class Checks(_Strict):
    """What an answer must satisfy; with both, it must satisfy both."""

    regex: str | None = None
    """A regular expression that must be found in the answer."""
    json_schema: dict[str, Any] | bool | None = None
    """A JSON schema that the answer, as a whole, must be valid for."""

    @field_validator("regex")
    @classmethod
    def _regex_compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return value

    @field_validator("json_schema")
    @classmethod
    def _schema_is_one(cls, value: dict[str, Any] | bool | None) -> dict[str, Any] | bool | None:
        if value is not None:
            from evals.scorers.checks import schema_problem  # its library takes a while: only tasks with one pay

            problem = schema_problem(value)
            if problem is not None:
                raise ValueError(f"not a JSON schema: {problem}")
        return value

    @model_validator(mode="after")
    def _not_empty(self) -> "Checks":
        if self.regex is None and self.json_schema is None:
            raise ValueError("checks needs a regex or a json_schema")
        return self

    def describe(self) -> str:
        """Return the checks as one line for a table."""
        parts: list[str] = []
        if self.regex is not None:
            parts.append(f"regex {self.regex}")
        if self.json_schema is not None:
            parts.append(f"JSON schema {json.dumps(self.json_schema, sort_keys=True)}")
        return " and ".join(parts)


class TaskSample(_Strict):
    """One question. Its id is its index in the task."""

    messages: tuple[Message, ...]
    """The conversation to answer; for a raw sample one user turn whose text goes to the model as it is."""
    answers: tuple[str, ...] = ()
    """Accepted answers (generation), or the one right choice (choice)."""
    choices: tuple[str, ...] = ()
    """What to choose from (choice)."""
    gold: int | None = None
    """The index of the right choice (choice)."""
    checks: Checks | None = None
    """What the answer must satisfy (checks)."""
    raw: bool = False
    """No chat template."""
    group: str | None = None
    """Samples of one group are not independent of each other."""
    overlap: bool = False
    """Whether training rows repeat it, whole or in part."""


class Task(_Strict):
    """A named list of samples of one kind."""

    name: str
    """Letters, digits, dot, dash and underscore: it names a folder."""
    kind: Kind
    """How it is asked and scored."""
    samples: tuple[TaskSample, ...]
    """At least one."""
    role: Literal["gain", "forgetting"] = "gain"
    """Whether it is asked for what tuning gives or for what it loses."""

    @property
    def content_hash(self) -> str:
        """Sixteen hex digits over kind and samples, in order; the name and what was trained on play no part."""
        content = [self.kind, [sample.model_dump(mode="json", exclude={"overlap"}) for sample in self.samples]]
        text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def head(self, limit: int | None) -> "Task":
        """Return the task with its first `limit` samples, or itself when there is no limit."""
        return self if limit is None else self.model_copy(update={"samples": self.samples[:limit]})

    @classmethod
    def from_messages(
        cls, name: str, rows: Iterable[Sequence[Mapping[str, Any]]], overlap: Collection[int] = ()
    ) -> "Task":
        """Make a generation task of conversations: the last assistant turn is the answer, those before it the prompt.

        Args:
            name: the task's name.
            rows: conversations, each a list of `{"role", "content"}`.
            overlap: the places of those that training rows repeat, from 0.

        Raises:
            TaskError: a conversation without a user turn before its last assistant turn; no rows; a bad name.
        """
        samples: list[TaskSample] = []
        for index, row in enumerate(rows):
            where = f"task {name}, conversation {index + 1}"
            turns = _conversation(row, where)
            last = max((i for i, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
            if last < 0 or not turns[last].content.strip():
                raise TaskError(f"{where}: no assistant turn with text, so there is nothing to compare an answer with")
            if not any(turn.role == "user" for turn in turns[:last]):
                raise TaskError(f"{where}: no user turn before the last assistant turn")
            asked, answers = turns[:last], (turns[last].content,)
            samples.append(TaskSample(messages=asked, answers=answers, overlap=index in overlap))
        return _task(name, "generation", samples, f"task {name}")


class _Row(_Strict):
    """A line of a task file as it is written."""

    question: str | None = Field(default=None, min_length=1)
    messages: list[Message] | None = Field(default=None, min_length=1)
    answer: str | int | list[str] | None = None
    choices: list[str] | None = Field(default=None, min_length=2)
    checks: Checks | None = None
    raw: bool = False
    system: str | None = None
    group: str | None = None

    @property
    def kind(self) -> Kind:
        """The kind that the row's keys say."""
        if self.checks is not None:
            return "checks"
        return "choice" if self.choices is not None else "generation"

    def sample(self) -> TaskSample:
        """Turn the row into a sample. Raises ValueError in plain words."""
        if (self.question is None) == (self.messages is None):
            raise ValueError("give either `question` or `messages`")
        if self.checks is not None and (self.choices is not None or self.answer is not None):
            raise ValueError("`checks` goes without `choices` and `answer`")
        if self.raw and self.choices is None:
            raise ValueError("`raw` is for rows with `choices`")
        if self.raw and (self.messages is not None or self.system is not None):
            raise ValueError("a `raw` row has a `question` only: no `messages`, no `system`")
        turns = tuple(self.messages) if self.messages is not None else (_user(self.question or ""),)
        if turns[-1].role != "user":
            raise ValueError("the last of `messages` must be the user's turn: the answer goes into `answer`")
        if self.system is not None:
            if turns[0].role == "system":
                raise ValueError("`system` and a system message are both given")
            turns = (Message(role="system", content=self.system), *turns)
        if self.checks is not None:
            return TaskSample(messages=turns, checks=self.checks, group=self.group)
        if self.choices is not None:
            gold = _gold(self.choices, self.answer)
            return TaskSample(
                messages=turns,
                answers=(self.choices[gold],),
                choices=tuple(self.choices),
                gold=gold,
                raw=self.raw,
                group=self.group,
            )
        return TaskSample(messages=turns, answers=_answers(self.answer), group=self.group)


def _user(text: str) -> Message:
    return Message(role="user", content=text)


def _gold(choices: list[str], answer: str | int | list[str] | None) -> int:
    if any(not choice.strip() for choice in choices):
        raise ValueError("a choice is empty")
    if len(set(choices)) != len(choices):
        raise ValueError("two choices are the same")
    if isinstance(answer, int):
        if not 0 <= answer < len(choices):
            raise ValueError(f"`answer` {answer} is not an index of the {len(choices)} choices (the first is 0)")
        return answer
    if isinstance(answer, str):
        if answer not in choices:
            raise ValueError("`answer` is none of the choices")
        return choices.index(answer)
    raise ValueError("`answer` must be the index or the text of one choice")


def _answers(answer: str | int | list[str] | None) -> tuple[str, ...]:
    answers = [answer] if isinstance(answer, str) else answer
    if not isinstance(answers, list) or not answers or any(not text.strip() for text in answers):
        raise ValueError("`answer` must be a text or a list of texts, none of them empty")
    return tuple(answers)


def _conversation(row: Sequence[Mapping[str, Any]], where: str) -> tuple[Message, ...]:
    try:
        return tuple(Message.model_validate(dict(turn)) for turn in row)
    except (ValidationError, TypeError, ValueError) as error:
        raise TaskError(f"{where}: {_why(error)}") from error


def _why(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("constrained", "list[")))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"unknown key `{where}`"
    return f"`{where}`: {message}" if where else message


def _task(name: str, kind: Kind, samples: list[TaskSample], where: str) -> Task:
    if not _NAME.fullmatch(name):
        raise TaskError(f"{where}: a task's name may hold letters, digits, dot, dash and underscore; rename {name!r}")
    if not samples:
        raise TaskError(f"{where}: no rows")
    return Task(name=name, kind=kind, samples=tuple(samples))


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def parse_task(name: str, text: str, where: str) -> Task:
    """Read a task from the text of a JSONL file; empty lines are skipped.

    Args:
        name: the task's name.
        text: the file's text.
        where: how to name the file in messages.

    Raises:
        TaskError: with `where:line` and the reason.
    """
    samples: list[TaskSample] = []
    kind: Kind | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_no_constant)
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate can't be written to a log
            row = _Row.model_validate(value)
            samples.append(row.sample())
        except json.JSONDecodeError as error:
            raise TaskError(f"{where}:{number}: not JSON: {error.msg} (column {error.colno})") from error
        except (ValidationError, ValueError, RecursionError) as error:
            raise TaskError(f"{where}:{number}: {_why(error)}") from error
        kind = kind or row.kind
        if row.kind != kind:
            raise TaskError(f"{where}:{number}: a {row.kind} row in a file of {kind} rows")
    return _task(name, kind or "generation", samples, where)


def load_task(path: Path) -> Task:
    """Read a task from a JSONL file named after it. Raises TaskError naming file and line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise TaskError(f"{path}: there is no such task file") from error
    except UnicodeDecodeError as error:
        raise TaskError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    except (OSError, ValueError) as error:
        raise TaskError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from error
    return parse_task(path.stem, text, str(path))


def load_tasks(paths: Sequence[Path]) -> list[Task]:
    """Read several task files, in order. Raises TaskError, also when two have one name."""
    tasks = [load_task(path) for path in paths]
    names = [task.name for task in tasks]
    for name in names:
        if names.count(name) > 1:
            raise TaskError(f"two task files are named {name}: rename one, results are kept by name")
    return tasks
