"""Which columns hold the conversation, and how a row becomes messages. Knows no files and no models.

Recognized: `messages`, ShareGPT `conversations`, prompt/completion (text or messages), Alpaca (instruction, input,
output) and question/answer pairs. `text` alone has no answer to learn and is refused with a word of why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from ftspace.errors import DatasetError


class Message(TypedDict):
    """One turn of a conversation."""

    role: str
    content: str


Conversation = list[Message]


class RowProblem(Exception):
    """Why one row cannot be used, in a few words that can be counted."""


_ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
}
_PAIRS = [
    ("question", "answer"),
    ("query", "response"),
    ("problem", "solution"),
    ("prompt", "response"),
    ("instruction", "response"),
    ("input", "output"),
]


@dataclass(frozen=True)
class Format:
    """A way of reading rows: its name for people, the columns that it reads, and the reader."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], Conversation]


def recognize(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Format:
    """The format of a dataset by its columns and the values of some rows. Raises DatasetError naming what was found."""
    if not rows:
        raise DatasetError("the dataset has no rows; give one with at least a few question and answer rows")
    has = set(columns)
    if "messages" in has:
        return Format("messages", ("messages",), lambda row: _turns(row["messages"], "role", "content"))
    if "conversations" in has:
        return Format("conversations (ShareGPT)", ("conversations",), _read_conversations)
    if {"prompt", "completion"} <= has:
        return Format("prompt/completion", ("prompt", "completion"), _read_prompt_completion)
    if {"instruction", "output"} <= has:
        used = ("instruction", "input", "output") if "input" in has else ("instruction", "output")
        return Format("instruction/input/output (Alpaca)", used, _read_alpaca)
    for ask, answer in _PAIRS:
        if {ask, answer} <= has:
            return Format(f"{ask}/{answer}", (ask, answer), _pair_reader(ask, answer))
    found = ", ".join(columns) or "none"
    if "text" in has:
        raise DatasetError(
            f"the dataset has plain text only (columns: {found}), so there is no answer to learn; give columns such as "
            "`messages`, or `prompt` and `completion`"
        )
    raise DatasetError(
        f"no usable columns: found {found}; expected `messages`, `conversations`, `prompt` and `completion`, "
        "`instruction` and `output`, or `question` and `answer`"
    )


def to_conversation(row: Mapping[str, Any], fmt: Format, system: str | None = None) -> Conversation:
    """The row's conversation up to its last answer, `system` put in front when it has none. Raises RowProblem."""
    turns = fmt.read(row)
    while turns and turns[-1]["role"] != "assistant":
        turns.pop()
    if not turns:
        raise RowProblem("no answer")
    if not any(turn["role"] == "user" for turn in turns):
        raise RowProblem("no question")
    if not turns[-1]["content"].strip():
        raise RowProblem("empty answer")
    if system and turns[0]["role"] != "system":
        turns.insert(0, Message(role="system", content=system))
    return turns


def _read_conversations(row: Mapping[str, Any]) -> Conversation:
    turns = row["conversations"]
    by_role = isinstance(turns, list) and turns and isinstance(turns[0], Mapping) and "role" in turns[0]
    return _turns(turns, "role", "content") if by_role else _turns(turns, "from", "value")


def _read_prompt_completion(row: Mapping[str, Any]) -> Conversation:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):
        return _turns([*prompt, *completion], "role", "content")
    return _pair(prompt, completion)


def _read_alpaca(row: Mapping[str, Any]) -> Conversation:
    context = row.get("input")
    ask = _text(row["instruction"])
    return _pair(f"{ask}\n\n{_text(context)}" if context else ask, row["output"])


def _pair_reader(ask: str, answer: str) -> Callable[[Mapping[str, Any]], Conversation]:
    return lambda row: _pair(row[ask], row[answer])


def _pair(ask: Any, answer: Any) -> Conversation:
    return [Message(role="user", content=_text(ask)), Message(role="assistant", content=_text(answer))]


def _turns(turns: Any, role_key: str, content_key: str) -> Conversation:
    if not isinstance(turns, list) or not turns:
        raise RowProblem("no turns")
    read: Conversation = []
    for turn in turns:
        if not isinstance(turn, Mapping) or role_key not in turn or content_key not in turn:
            raise RowProblem(f"a turn without {role_key} and {content_key}")
        role = _ROLES.get(str(turn[role_key]).lower())
        if role is None:
            raise RowProblem(f"unknown role {turn[role_key]}")
        read.append(Message(role=role, content=_text(turn[content_key])))
    return read


def _text(value: Any) -> str:
    if value is None:
        raise RowProblem("missing text")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise RowProblem(f"{type(value).__name__} where text is expected")
    return value
