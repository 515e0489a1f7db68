"""What a person calls a run: a title of their own, tags and notes; `label.json` in its folder. Plain text, no secrets.

It is no part of the config: it may change while the run is at work, and nothing that is computed depends on it.
"""

import os
import re
import secrets
import unicodedata
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from ftspace.errors import ConfigError, DiskError
from ftspace.redact import redact
from ftspace.runs import Run
from ftspace.words import title

LABEL = "label.json"
TITLE, TAGS, TAG, NOTE = 120, 10, 30, 5000
"""The most characters of a title, tags of a run, characters of a tag and characters of a note."""
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Label(BaseModel):
    """What was written on a run."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    title: str = ""
    """Instead of "model on dataset"; empty: that."""
    tags: tuple[str, ...] = ()
    """In the order in which they were given; none twice, whatever its case."""
    note: str = ""
    """As many lines as one likes."""


def read_label(run: Run) -> Label:
    """The run's label; an empty one where there is none, or none that can be read."""
    try:
        return Label.model_validate_json((run.path / LABEL).read_bytes())
    except (OSError, ValueError):
        return Label()


def write_label(run: Run, label: Label) -> Label:
    """Writes a label, whole or not at all, and gives it as it was written. Raises ConfigError, DiskError."""
    kept = checked(label)
    beside = run.path / f".{LABEL}.{secrets.token_hex(4)}"
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(kept.model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(run.path / LABEL)
    except OSError as error:
        raise DiskError(f"the label of run {run.id} cannot be written: {error.strerror}; free some space") from error
    return kept


def checked(label: Label) -> Label:
    """A label as it may be kept: in plain text, its spaces tidied. Raises ConfigError for what is too long."""
    name, note = _line(label.title), redact(_plain(label.note).strip())
    once: dict[str, str] = {}
    for tag in filter(None, map(_tag, label.tags)):
        once.setdefault(tag.casefold(), tag)
    tags = tuple(once.values())
    if len(name) > TITLE:
        raise ConfigError(f"the title has {len(name):,} characters and may have {TITLE}; shorten it")
    if len(tags) > TAGS:
        raise ConfigError(f"there are {len(tags)} tags and there may be {TAGS}; take some away")
    if long := next((tag for tag in tags if len(tag) > TAG), None):
        raise ConfigError(f"the tag {long[:TAG]}… has {len(long):,} characters and may have {TAG}; shorten it")
    if len(note) > NOTE:
        raise ConfigError(f"the note has {len(note):,} characters and may have {NOTE:,}; shorten it")
    return Label(title=name, tags=tags, note=note)


def split_tags(text: str) -> tuple[str, ...]:
    """The tags that a person typed into one line, with commas between them."""
    return tuple(tag for tag in map(_tag, re.split(r"[,;\n]", text)) if tag)


def retagged(label: Label, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Label:
    """A label with some tags more and some less."""
    gone = {_tag(one).casefold() for one in remove}
    kept = [tag for tag in label.tags if tag.casefold() not in gone]
    return label.model_copy(update={"tags": (*kept, *add)})


def name_of(run: Run) -> str:
    """What a run is called: by its owner, else by its model and its dataset. Raises JobError."""
    return read_label(run).title or title(run.config)


def _tag(text: str) -> str:
    return _line(text.replace(",", " ")).lstrip("#").strip()


def _line(text: str) -> str:
    return redact(" ".join(_plain(text).split()))


def _plain(text: str) -> str:
    """Without characters that are none to read: controls, and marks that turn the direction of what follows."""
    return "".join(one for one in text.replace("\r\n", "\n") if one in "\n\t" or not _is_unread(one))


def _is_unread(one: str) -> bool:
    return one in _TURNING or unicodedata.category(one) in ("Cc", "Cs")
