"""How a job of the Hub speaks: lines of its log that are events or a list of files; all others are anybody's. Pure.

A log may cut long lines, so what is long comes in parts, each a line of its own.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ftspace.events import Event, parse_event

EVENT, FILES, PART = "ftspace-event ", "ftspace-files ", "ftspace-part "
LONGEST = 4000
"""Characters of a line."""


class Files(BaseModel):
    """All that the job has of the run by now, as a commit of the repository holds it."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    commit: str
    files: dict[str, str]
    """SHA-256 of each, by its path in the run's folder."""


@dataclass(frozen=True)
class Printed:
    """A line that somebody printed."""

    text: str


Heard = Event | Files | Printed


def said(word: Event | Files) -> list[str]:
    """The lines for it."""
    kind = FILES if isinstance(word, Files) else EVENT
    text = word.model_dump_json()
    parts = [text[start : start + LONGEST] for start in range(0, len(text), LONGEST)]
    return [*(PART + part for part in parts[:-1]), kind + parts[-1]]


class Listener:
    """Takes the lines of a log in their order and gives what was said."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def take(self, line: str) -> Heard | None:
        """What a line says; None while there is more to come, and for what is cut off."""
        if line.startswith(PART):
            self._parts.append(line.removeprefix(PART))
            return None
        before, self._parts = "".join(self._parts), []
        if line.startswith(EVENT):
            return parse_event(before + line.removeprefix(EVENT))
        if line.startswith(FILES):
            return _files(before + line.removeprefix(FILES))
        return Printed(line)


def _files(text: str) -> Files | None:
    try:
        return Files.model_validate_json(text)
    except ValidationError:
        return None


def key(event: Any) -> tuple[float, str]:
    """What tells events of one run apart, wherever they were told."""
    return event.time, event.type
