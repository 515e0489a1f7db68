"""Where the decisions made in the review screen lie: one file a choice. Pages know an id, never a path. No gradio here.

An open file is written by the page that made it. A run gets a closed copy, which nobody writes any more, so that a
decision made later never changes what a run was made from; who goes on from a closed one writes a copy of it.
"""

import hashlib
import re
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ftspace.data.review import Decision, decide, read_review
from ftspace.errors import DiskError

_ID = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?")
"""32 digits are an open file, 64 a closed one: the SHA-256 of what is in it, so that no two are the same."""
_OPEN = 32
_MOST = 20_000_000
"""Bytes of one file."""
_FILES = 1000
"""Files of one folder."""


class Reviews:
    """The folder of decisions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, review: str) -> Path | None:
        """The file of an id that a page sent; None when there is none."""
        if not _ID.fullmatch(review):
            return None
        path = self.folder / f"{review}.jsonl"
        return path if path.is_file() else None

    def decisions(self, review: str) -> dict[str, Decision]:
        """The decisions of an id, by conversation. Raises DatasetError."""
        path = self.path(review)
        return read_review(path) if path else {}

    def decide(self, review: str, decision: Decision) -> str:
        """Keeps a decision; the id of the file that it is in now. Raises DatasetError, or DiskError."""
        path = self.path(review)
        if path is None or len(review) != _OPEN:
            review = self._open(path)
            path = self.folder / f"{review}.jsonl"
        elif path.stat().st_size > _MOST:
            raise DiskError(f"{path} is full: it holds more decisions than a person makes")
        decide(path, decision)
        return review

    def close(self, review: str) -> Path | None:
        """A closed copy of the decisions, for a run; None when there are none. Raises DiskError."""
        path = self.path(review)
        if path is None or len(review) != _OPEN:
            return path
        return self.folder / f"{self._closed(path)}.jsonl"

    def id_of(self, named: str | None) -> str:
        """The id of a file that a config names; one from elsewhere is taken in as a closed copy. Raises DiskError."""
        path = Path(named) if named else None
        if path is None or not path.is_file():
            return ""
        ours = path.parent.resolve() == self.folder.resolve() and self.path(path.stem) is not None
        return path.stem if ours else self._closed(path)

    def _open(self, path: Path | None) -> str:
        """A file that can be written, with what is in `path`."""
        made = secrets.token_hex(_OPEN // 2)
        with self._kept():
            self._check_room()
            if path is not None:
                shutil.copyfile(path, self.folder / f"{made}.jsonl")
        return made

    def _closed(self, path: Path) -> str:
        """A file that nobody writes any more, with what is in `path`: the same one each time."""
        with self._kept():
            content = path.read_bytes()
            made = hashlib.sha256(content).hexdigest()
            if self.path(made) is None:
                self._check_room()
                beside = self.folder / f"{secrets.token_hex(_OPEN // 2)}.new"
                beside.write_bytes(content)
                beside.rename(self.folder / f"{made}.jsonl")
        return made

    def _check_room(self) -> None:
        """Raises DiskError when there are as many files as there may be."""
        if sum(1 for _ in self.folder.iterdir()) >= _FILES:
            raise DiskError(f"{_FILES:,} files of decisions are kept in {self.folder}, and no more; remove some")

    @contextmanager
    def _kept(self) -> Generator[None]:
        try:
            for folder in (self.folder.parent, self.folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise DiskError(f"decisions cannot be kept in {self.folder}: {error.strerror}") from error
