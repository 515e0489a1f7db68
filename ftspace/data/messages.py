"""A cell's value to turns of a conversation, however it spells them. Knows no columns, files or models.

A turn may be `role`/`content`, `from`/`value`, `speaker`/`text`, or question and answer in one; turns may be a list,
its columns (`{"role": [...], "content": [...]}`), numbered (`{"0": ..., "1": ...}`), JSON text, or a tree of replies.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from ftspace.data.cells import RowProblem, text, unfold
from ftspace.data.tools import read_call, written_call


class Message(TypedDict):
    """One turn of a conversation."""

    role: str
    content: str
    tool_calls: NotRequired[list[dict[str, Any]]]
    """Functions that an assistant's turn calls, as chat templates take them."""
    tool_call_id: NotRequired[str]
    name: NotRequired[str]
    """The function that a tool's turn answers for."""
    tools: NotRequired[list[dict[str, Any]]]
    """On the first turn only: the functions that may be called."""


Conversation = list[Message]

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "customer": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "chatbot": "assistant",
    "ai": "assistant",
    "agent": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "function_response": "tool",
    "observation": "tool",
}
_WORD = 20
"""Letters up to which an unknown role is named: what is longer may be somebody's address."""
ROLE_KEYS = ("role", "from", "speaker", "author", "sender")
CONTENT_KEYS = ("content", "value", "text", "utterance", "message")
PAIR_KEYS = (
    ("user", "assistant"),
    ("human", "assistant"),
    ("human", "gpt"),
    ("human", "bot"),
    ("question", "answer"),
    ("prompt", "response"),
    ("instruction", "output"),
    ("input", "output"),
)
_REPLIES = ("replies", "children")
_NAMED = ("speaker", "author", "sender")
"""Keys that may hold a person's name instead of a role."""
_MEDIA = ("image", "audio", "video", "file")
# Blanks before a mark are stripped later: as a part of it, a long run of them would be tried from each of them.
_HASHED = re.compile(r"###\s*(Human|User|Assistant|System|Instruction|Response)\s*:[ \t]*", re.IGNORECASE)
_LINED = re.compile(r"(?:^|\n)[^\S\n]*(Human|User|Assistant|System)\s*:[ \t]*", re.IGNORECASE)


def pair(ask: str, said: str) -> Conversation:
    """A question and its answer."""
    return [Message(role="user", content=ask), Message(role="assistant", content=said)]


def turn_like(value: Any) -> bool:
    """Whether it is a dict that says who speaks and what."""
    if not isinstance(value, Mapping):
        return False
    spoken = any(key in value for key in ROLE_KEYS) and any(key in value for key in CONTENT_KEYS)
    return spoken or any(ask in value and said in value for ask, said in PAIR_KEYS)


def read_turns(value: Any) -> Conversation:
    """The turns of a cell. Raises RowProblem."""
    turns = unfold(value)
    if not isinstance(turns, list) or not turns:
        raise RowProblem("no turns")
    names = _people(turns)
    read: Conversation = []
    for turn in turns:
        read += _turn(turn, names)
    return read


def named_speakers(value: Any) -> bool:
    """Whether the turns of a cell are told apart by names, so that who is the assistant is a guess."""
    turns = unfold(value)
    return isinstance(turns, list) and bool(_people(turns))


def read_alternating(value: Any) -> Conversation:
    """A list of texts, the first of which is the user's, or of pairs of them. Raises RowProblem."""
    turns = unfold(value)
    if not isinstance(turns, list) or not turns:
        raise RowProblem("no turns")
    if all(isinstance(turn, list) and len(turn) == 2 for turn in turns):
        turns = [said for turn in turns for said in turn]
    return [Message(role="assistant" if index % 2 else "user", content=text(turn)) for index, turn in enumerate(turns)]


def read_transcript(value: Any) -> Conversation:
    """A text in which `Human:` and `Assistant:` (or `### Human:`) begin the turns. Raises RowProblem."""
    said = text(value)
    mark = _HASHED if said.lstrip().startswith("###") else _LINED
    parts = mark.split(said)
    if len(parts) < 3 or parts[0].strip():
        raise RowProblem("no turns")
    names = {"instruction": "user", "response": "assistant", **ROLES}
    return [
        Message(role=names[role.lower()], content=content.strip())
        for role, content in zip(parts[1::2], parts[2::2], strict=True)
    ]


def is_transcript(value: Any) -> bool:
    """Whether it is such a text."""
    if not isinstance(value, str):
        return False
    try:
        return {"user", "assistant"} <= {turn["role"] for turn in read_transcript(value)}
    except RowProblem:
        return False


def is_tree(value: Any) -> bool:
    """Whether it is a turn with the turns that reply to it."""
    return isinstance(value, Mapping) and any(isinstance(value.get(key), list) for key in _REPLIES)


def read_tree(value: Any) -> Conversation:
    """One path through a tree of replies: at each turn the best ranked one, the first where none is ranked."""
    read: Conversation = []
    node = value
    while node is not None:
        read += _turn(node, {})
        replies = next((node[key] for key in _REPLIES if isinstance(node.get(key), list)), [])
        if not all(isinstance(reply, Mapping) for reply in replies):
            raise RowProblem("a reply that is no turn")
        node = min(replies, key=_rank, default=None)
    return read


def read_any(value: Any) -> Conversation:
    """The turns of a cell, whichever way it holds them. Raises RowProblem."""
    if is_transcript(value):
        return read_transcript(value)
    if is_tree(value):
        return read_tree(value)
    turns = unfold(value)
    plain = isinstance(turns, list) and turns and all(isinstance(turn, str | list) for turn in turns)
    return read_alternating(turns) if plain else read_turns(turns)


def uses_tools(turns: Conversation) -> bool:
    """Whether a conversation offers, calls or answers for functions."""
    return any(turn["role"] == "tool" or "tool_calls" in turn or "tools" in turn for turn in turns)


def _rank(reply: Mapping[str, Any]) -> float:
    rank = reply.get("rank")
    return rank if isinstance(rank, int | float) and rank == rank else math.inf


def _people(turns: Sequence[Any]) -> dict[str, str]:
    """The roles of two speakers who are named rather than called user and assistant: the first one asks."""
    said: list[str] = []
    for turn in turns:
        key = next((key for key in _NAMED if isinstance(turn, Mapping) and key in turn), None)
        if key is None:
            return {}
        said.append(str(turn[key]).strip().lower())
    names = list(dict.fromkeys(said))
    if len(names) > 2 or not any(name not in ROLES for name in names):
        return {}
    return dict(zip(names, ("user", "assistant"), strict=False))


def _turn(turn: Any, names: Mapping[str, str]) -> Conversation:
    if not isinstance(turn, Mapping):
        raise RowProblem("a turn without role and content")
    role_key = next((key for key in ROLE_KEYS if turn.get(key) is not None), None)
    content_key = next((key for key in CONTENT_KEYS if turn.get(key) is not None), None)
    if role_key is None:
        for ask, said in PAIR_KEYS:
            if ask in turn and said in turn:
                return pair(text(turn[ask]), text(turn[said]))
        raise RowProblem("a turn without role and content")
    name = str(turn[role_key]).strip().lower()
    role = names.get(name) or ROLES.get(name)
    if role is None:
        plain = name.isascii() and name.isalpha() and len(name) <= _WORD
        raise RowProblem("unknown role", f" {name} (known are: {', '.join(ROLES)})" if plain else "")
    calls = unfold(turn.get("tool_calls"))
    if content_key is None and not calls:
        known = any(key in turn for key in CONTENT_KEYS)
        raise RowProblem("missing text" if known else "a turn without role and content")
    read = Message(role=role, content=_content(turn[content_key]) if content_key else "")
    if name == "function_call":
        calls, read["content"] = [written_call(read["content"])], ""
    if calls:
        if role != "assistant" or not isinstance(calls, list):
            raise RowProblem("tool calls that are no list on an assistant's turn")
        read["tool_calls"] = [read_call(one) for one in calls]
    for key in ("tool_call_id", "name"):
        if role == "tool" and isinstance(turn.get(key), str):
            read[key] = turn[key]
    return [read]


def _content(value: Any) -> str:
    """A turn's text; of content parts the texts, one after the other. Images and such are refused by name."""
    if not isinstance(value, list):
        return text(value)
    if not value or not all(isinstance(part, Mapping) for part in value):
        raise RowProblem("list where text is expected")
    said: list[str] = []
    for part in value:
        kind = str(part.get("type") or next((key for key in _MEDIA if part.get(key) is not None), "text"))
        media = next((one for one in _MEDIA if one in kind), None)
        if media:
            raise RowProblem(f"{media} in a turn: only text can be trained")
        said.append(text(part.get("text", part.get("content"))))
    return "".join(said)
