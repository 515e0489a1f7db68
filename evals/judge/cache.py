"""Replies that judges gave, kept in SQLite: judging that was stopped goes on where it was, and nothing is paid twice.

Knows keys and replies; knows nothing of judges. A cache can be thrown away: one that is damaged is begun anew.
"""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evals.errors import LogError

_PATIENCE = 30.0
_MANY = 500


@dataclass(frozen=True)
class Kept:
    """A reply as it came."""

    text: str
    finish: Literal["end", "length"]
    tokens: int


class Cache:
    """An open cache; see `opened`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, keys: Sequence[str]) -> dict[str, Kept]:
        """The replies that are known."""
        found: dict[str, Kept] = {}
        for start in range(0, len(keys), _MANY):
            some = keys[start : start + _MANY]
            marks = ", ".join("?" * len(some))
            rows = self._connection.execute(
                f"SELECT key, text, finish, tokens FROM replies WHERE key IN ({marks})",
                list(some),
            )
            found |= {key: Kept(text, finish, tokens) for key, text, finish, tokens in rows}
        return found

    def put(self, key: str, kept: Kept) -> None:
        """Keep a reply; when this returns, it outlives the process."""
        with self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)", (key, kept.text, kept.finish, kept.tokens)
            )


@contextmanager
def opened(path: Path) -> Generator[Cache]:
    """The cache at `path` for as long as the context lasts, made where there is none. Raises LogError."""
    try:
        with closing(_begun(path)) as connection:
            yield Cache(connection)
    except sqlite3.Error as error:
        raise LogError(f"{path}: judges' replies can't be kept there: {error}; free the disk, or delete it") from error


def _begun(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _connect(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # not a database, or a damaged one
            path.unlink()
            return _connect(path)
    except OSError as error:
        raise LogError(f"{path}: can't be written: {error.strerror or error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE)
    try:
        connection.execute("PRAGMA synchronous = OFF")  # a machine that crashes may cost the cache, not a wrong reply
        connection.execute(
            "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, text TEXT, finish TEXT, tokens INTEGER)"
        )
    except sqlite3.Error:
        connection.close()
        raise
    return connection
