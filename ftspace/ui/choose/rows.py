"""A dataset's first rows, read once for the several screens that show them. Knows no gradio and no model.

A Hub dataset is asked again after some minutes, a local file when it has changed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ftspace.data.formats import Format
from ftspace.data.load import Rows, peek_rows
from ftspace.data.prepare import Preview, preview
from ftspace.data.sources import PEEK, first_usable
from ftspace.errors import DatasetError
from ftspace.hub.asker import asker
from ftspace.sections import DataConfig
from ftspace.settings import resolve_local

REVIEWED = 300
"""So many rows can be paged through."""
_MINUTES = 10
_IRRELEVANT = (
    "filters",
    "review",
    "fraction",
    "validation_split",
    "test_split",
    "validation_fraction",
    "test_fraction",
)


@dataclass(frozen=True)
class Seen:
    """A dataset's columns, and how its rows are recognized."""

    columns: list[str]
    format: Format | None
    trouble: str = ""
    """Why they are not recognized."""
    readings: Mapping[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    """Other readings that can be asked for, by name, each with its mapping."""

    @property
    def mapping(self) -> dict[str, str]:
        """Which column was recognized as what."""
        return self.format.mapping if self.format else {}


def first_rows(data: DataConfig, count: int = PEEK) -> Preview:
    """The first `count` usable conversations. Raises DatasetError, or HubError."""
    return _first(_key(data), _stamp(data), count)


def seen(data: DataConfig) -> Seen:
    """What can be told of the columns, also where the rows are not recognized. Raises DatasetError, or HubError."""
    return _seen(_key(data), _stamp(data))


@lru_cache(maxsize=12)
def _first(key: str, stamp: str, count: int) -> Preview:
    data = DataConfig.model_validate_json(key)
    return preview(data, count, _peek(stamp))


@lru_cache(maxsize=24)
def _seen(key: str, stamp: str) -> Seen:
    reading = first_usable(_source(DataConfig.model_validate_json(key)), peek=_peek(stamp))
    columns = list(dict.fromkeys([*reading.columns, *(str(name) for row in reading.first[:1] for name in row)]))
    try:
        found = reading.format()
    except DatasetError as error:
        return Seen(columns if reading.first else [], None, str(error))
    return Seen(columns, found, readings=dict(found.readings))


def _peek(stamp: str) -> Callable[[DataConfig, int], Rows]:
    return lambda data, count: _peeked(_key(_source(data)), stamp, count)


@lru_cache(maxsize=6)
def _peeked(key: str, stamp: str, count: int) -> Rows:
    """The rows themselves, however they are read: another mapping asks the Hub for nothing."""
    return peek_rows(DataConfig.model_validate_json(key), count)


def _source(data: DataConfig) -> DataConfig:
    """Only what says which rows they are."""
    otherwise = {"mapping": None, "prompt_template": None, "completion_template": None, "system": None}
    return data.model_copy(update=otherwise)


def _key(data: DataConfig) -> str:
    plain = DataConfig()
    return data.model_copy(update={name: getattr(plain, name) for name in _IRRELEVANT}).model_dump_json()


def _stamp(data: DataConfig) -> str:
    """Changes when what was read may be old, and with who may read it."""
    path = resolve_local(data.id)
    if path is None or path.is_dir():
        return f"{time.time() // (60 * _MINUTES)} {asker()}"
    found = path.stat()
    return f"{found.st_mtime_ns} {found.st_size}"
