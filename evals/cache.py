"""What was answered already, item by item, in one JSONL file that is only ever appended to.

An evaluation that was killed goes on from it. A line holds a hash of all that the answer depends on, and the answer;
a torn last line, or one that is no such thing, is passed over. Knows nothing of models or tasks.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evals.errors import LogError

ANSWERS_FILE = "answers.jsonl"
"""Its name in an evaluation's folder."""


class AnswerCache:
    """Answers by the hash of what they depend on; make one with `open_cache`."""

    def __init__(self, path: Path, weights: Mapping[str, str]) -> None:
        self._path = path
        self._weights = dict(weights)
        self._held: dict[str, Any] = {}

    def know(self, which: str, weights: str) -> None:
        """Keep answers of one more side; `weights` is as in `open_cache`."""
        self._weights[which] = weights

    def key(self, which: str, *depends: Any) -> str | None:
        """Return the hash of what an answer depends on, or None for a side whose weights are not known."""
        weights = self._weights.get(which)
        return None if weights is None else digest(weights, *depends)

    def get(self, key: str | None) -> Any:
        """Return what is held under a key, or None."""
        return None if key is None else self._held.get(key)

    def put(self, items: Mapping[str, Any]) -> None:
        """Hold values that JSON can write, on the disk before this returns. Raises LogError if the disk refuses."""
        if not items:
            return
        lines = "".join(json.dumps({"key": key, "value": value}) + "\n" for key, value in items.items())
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                size = os.fstat(descriptor).st_size
                torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                os.write(descriptor, (b"\n" if torn else b"") + lines.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise LogError(f"{self._path}: can't be written: {error.strerror or error}") from error
        self._held.update(items)

    def load(self) -> None:
        """Read what is on the disk. Raises LogError if it is there and can't be read."""
        try:
            with self._path.open("rb") as file:
                for line in file:
                    try:
                        row = json.loads(line)
                        self._held[str(row["key"])] = row["value"]
                    except (ValueError, KeyError, TypeError):
                        continue
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise LogError(f"{self._path}: can't be read: {error.strerror or error}") from error


def open_cache(path: Path, weights: Mapping[str, str] | None = None) -> AnswerCache:
    """Open the answers kept at `path`; the file is made when there is something to keep.

    Args:
        path: the file.
        weights: for each side by its name, a hash of all that its weights and how they compute depend on: base,
            adapter, dtype, quantization, kind of device, versions of the libraries. A side without is not kept.

    Raises:
        LogError: the file is there and can't be read.
    """
    cache = AnswerCache(path, weights or {})
    cache.load()
    return cache


def digest(*parts: Any) -> str:
    """Return a hash of values that JSON can write."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
