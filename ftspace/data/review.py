"""Decisions about single rows, as a person made them: keep it or leave it out, and why. Knows no screens.

A JSONL file, one line a decision. It is only appended to; the last line about a conversation is the one that counts.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ftspace.data.messages import Conversation
from ftspace.errors import DatasetError
from ftspace.settings import resolve_local


class Decision(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{64}$")
    """The conversation's, as `conversation_id` makes it."""
    keep: bool
    note: str = ""


def conversation_id(conversation: Conversation, system: str | None = None) -> str:
    """SHA-256 of the conversation, so that equal rows share their decision.

    `system` is the prompt that was put before rows without one (`data.system`). It plays no part: when it is set or
    changed later, what was decided still holds.
    """
    first = conversation[0]
    given = system is not None and (first["role"], first["content"]) == ("system", system)
    said = [{key: turn[key] for key in turn if key != "tools"} for turn in conversation[int(given) :]]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()


def find_review(name: str | None) -> Path | None:
    """The file of `data.review`; None when none is named. Raises DatasetError when it is not there."""
    if name is None:
        return None
    path = resolve_local(name)
    if path is None:
        raise DatasetError(f"data.review: there is no file {name}; name the review's file, or leave it out")
    return path


def read_review(path: Path) -> dict[str, Decision]:
    """The decisions by conversation, the newest of each. Raises DatasetError naming the line that is none."""
    found: dict[str, Decision] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    decision = _decision(line, f"{path}, line {number}")
                    found[decision.id] = decision
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise DatasetError(f"data.review: cannot read the decisions in {path}: {why}") from error
    return found


def decide(path: Path, decision: Decision) -> None:
    """Appends a decision in one write. Raises DatasetError."""
    line = decision.model_dump_json() + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
    except OSError as error:
        raise DatasetError(f"the decision cannot be kept in {path}: {error.strerror}") from error


def _decision(line: str, where: str) -> Decision:
    try:
        values: Any = json.loads(line)
        if not isinstance(values, Mapping):
            raise ValueError("no object")
        return Decision.model_validate(values)
    except (ValidationError, ValueError, RecursionError) as error:
        raise DatasetError(
            f"data.review: {where} is no decision; a line is "
            '{"id": "<SHA-256 of the conversation>", "keep": true or false, "note": "..."}'
        ) from error
