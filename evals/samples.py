"""One question of a task: a conversation to answer and what a right answer is, and how it is written in a JSONL file.

Knows nothing of files, models or scores.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evals.log import Kind, Sample


class Strict(BaseModel):
    """What is frozen, and takes neither unknown keys nor values of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def short_hash(content: Any) -> str:
    """Return sixteen hex digits over what can be written as JSON."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def answers_hash(answers: Mapping[str, Sample]) -> str:
    """Return sixteen hex digits over what sides, by name, were asked and answered: does an opinion of it still hold?"""
    return short_hash([[side, one.item_hash or one.prompt, one.output] for side, one in sorted(answers.items())])


class Message(Strict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""
    content: str
    """What is said."""


class Checks(Strict):
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


class TaskSample(Strict):
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
    category: str | None = None
    """What kind of question it is: a label to break scores down by, which plays no part in them."""
    overlap: bool = False
    """Whether training rows repeat it, whole or in part."""
    document: dict[str, Any] | None = None
    """What LightEval's metrics must know of it; None in tasks of our own."""

    @property
    def question(self) -> str:
        """What is asked, without the solved examples that a LightEval task puts before it."""
        return self.messages[-1].content if self.document is None else str(self.document["query"])

    @property
    def item_hash(self) -> str:
        """Sixteen hex digits over what is asked and what is expected: the same in every task that asks just this."""
        return short_hash(self.model_dump(mode="json", exclude={"group", "category", "overlap", "document"}))


class WrittenRow(Strict):
    """A line of a task file as it is written."""

    question: str | None = Field(default=None, min_length=1)
    messages: list[Message] | None = Field(default=None, min_length=1)
    answer: str | int | list[str] | None = None
    choices: list[str] | None = Field(default=None, min_length=2)
    checks: Checks | None = None
    raw: bool = False
    system: str | None = None
    group: str | None = None
    category: str | None = Field(default=None, min_length=1, max_length=100)

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
            return TaskSample(messages=turns, checks=self.checks, group=self.group, category=self.category)
        if self.choices is not None:
            gold = _gold(self.choices, self.answer)
            return TaskSample(
                messages=turns,
                answers=(self.choices[gold],),
                choices=tuple(self.choices),
                gold=gold,
                raw=self.raw,
                group=self.group,
                category=self.category,
            )
        return TaskSample(messages=turns, answers=_answers(self.answer), group=self.group, category=self.category)


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
