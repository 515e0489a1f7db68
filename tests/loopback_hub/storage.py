"""Repositories on disk: the files of `main` as plain files, and beside them every commit that led there.

ROOT/models/OWNER/NAME/...      the files of main, as they can also be put there by hand; so for datasets and spaces
ROOT/state/KIND/OWNER/NAME/     history.json (the commits, oldest first) and facts.json (likes, who may read, ...)
ROOT/blobs/OID, ROOT/lfs/OID    the contents that commits hold, small ones by git's name, large ones by their SHA-256

A folder that was changed by hand is a history of one commit, as after a force push: its name is a hash of its files.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

KINDS = {"models": "", "datasets": "datasets/", "spaces": "spaces/"}
"""The kinds of repositories, and what their addresses begin with."""
PRIVATE, GATED = ".private", ".gated"
"""Empty files that say so of the repository they lie in; where `.gated` says `manual`, its owner lets readers in."""
LFS_SUFFIXES = (".parquet", ".safetensors", ".arrow", ".bin", ".gguf")
LFS_SIZE = 1_000_000
"""Files of more bytes go through LFS, whatever they are called."""
GIVEN = ".gitattributes"
LAID = "Laid here by hand"


@dataclass(frozen=True)
class File:
    """A file's content: what it is called by, and whether it went through LFS."""

    oid: str
    size: int
    large: bool

    @property
    def blob(self) -> str:
        """Git's name for what git holds: the content, or the pointer to it."""
        return git_name(self.pointer) if self.large else self.oid

    @property
    def pointer(self) -> bytes:
        """What git holds in place of a large file."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.oid}\nsize {self.size}\n".encode()


@dataclass(frozen=True)
class Commit:
    """All files at one time."""

    id: str
    parent: str | None
    title: str
    message: str
    author: str
    date: str
    files: Mapping[str, File]


def is_large(name: str, size: int) -> bool:
    """Whether a file goes through LFS; an empty one never does."""
    return size > 0 and (name.endswith(LFS_SUFFIXES) or size > LFS_SIZE)


def git_name(content: bytes) -> str:
    """What git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def now() -> str:
    """The time as the Hub writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """All repositories and contents below one folder."""

    def __init__(self, root: Path) -> None:
        """Nothing is made here."""
        self.root = root
        self._known: dict[tuple[str | int, ...], File] = {}

    def repo(self, kind: str, owner: str, name: str) -> "Repo":
        """A repository, there or not."""
        return Repo(self, kind, owner, name)

    def repos(self, kind: str) -> list["Repo"]:
        """All that are there."""
        folders = sorted(path for path in (self.root / kind).glob("*/*") if path.is_dir())
        return [self.repo(kind, path.parent.name, path.name) for path in folders]

    def content(self, file: File) -> Path:
        """Where a content is kept once it was committed."""
        return self.root / ("lfs" if file.large else "blobs") / file.oid

    def keep(self, content: bytes, file: File) -> None:
        """Keeps a content."""
        self.put(self.content(file), content)

    def put(self, path: Path, content: bytes) -> None:
        """Writes a file whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.part")
        beside.write_bytes(content)
        beside.replace(path)

    def file(self, path: Path, known: File | None = None) -> File:
        """What a file on disk is called; read again only after it was changed. It stays large or small as known."""
        stat = path.stat()
        large = known.large if known else is_large(path.name, stat.st_size)
        key = (str(path), stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, large)
        if key not in self._known:
            settled = time.time() - stat.st_mtime > 0.1
            with path.open("rb") as opened:
                oid = hashlib.file_digest(opened, "sha256").hexdigest() if large else git_name(opened.read())
            found = File(oid, stat.st_size, large)
            if not settled:  # it may be changed once more within one tick of the disk's clock
                return found
            self._known[key] = found
        return self._known[key]


@dataclass(frozen=True)
class Repo:
    """One repository."""

    store: Store
    kind: str
    owner: str
    name: str

    @property
    def id(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"

    @property
    def folder(self) -> Path:
        """The files of main."""
        return self.store.root / self.kind / self.owner / self.name

    @property
    def state(self) -> Path:
        """What else is known of it."""
        return self.store.root / "state" / self.kind / self.owner / self.name

    @property
    def private(self) -> bool:
        """Whether only its owner can see it."""
        return (self.folder / PRIVATE).exists()

    @property
    def gated(self) -> str | bool:
        """`auto` or `manual` where readers must have been let in."""
        mark = self.folder / GATED
        return (mark.read_text().strip() or "auto") if mark.exists() else False

    def mark(self, name: str, said: str | None) -> None:
        """Sets or takes away a mark."""
        if said is None:
            (self.folder / name).unlink(missing_ok=True)
        else:
            (self.folder / name).write_text(said)

    def facts(self) -> dict[str, Any]:
        """What cannot be seen in its files: likes, downloads, when it was made, who asked to read it."""
        path = self.state / "facts.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def tell(self, **facts: Any) -> None:
        """Sets some of its facts."""
        self.store.put(self.state / "facts.json", json.dumps(self.facts() | facts, indent=1).encode())

    def access(self) -> dict[str, str]:
        """Who asked to read it, and what came of it: accepted, pending or rejected."""
        return self.facts().get("access", {})

    def let_in(self, user: str, state: str = "accepted") -> None:
        """Says what comes of a user's wish to read it."""
        self.tell(access=self.access() | {user: state})

    def used(self, more: Iterable[File | None] = ()) -> int:
        """Bytes that its commits hold, and these would hold too, each content once."""
        held = [file for commit in self.history() for file in commit.files.values()]
        return sum({file.oid: file.size for file in (*held, *more) if file}.values())

    def create(self, author: str, files: Mapping[str, bytes], **facts: Any) -> None:
        """Makes the repository with its first commit."""
        self.folder.mkdir(parents=True)
        self.tell(createdAt=now(), **facts)
        self.commit({name: self._kept(name, content) for name, content in files.items()}, "initial commit", "", author)

    def delete(self) -> None:
        """Removes it; contents stay, as other repositories may hold the same."""
        shutil.rmtree(self.folder)
        shutil.rmtree(self.state, ignore_errors=True)

    def history(self) -> list[Commit]:
        """The commits of main, the newest first."""
        path = self.state / "history.json"
        commits = [_commit(one) for one in json.loads(path.read_text())] if path.exists() else []
        files = self._laid(commits[-1].files if commits else {})
        if commits and commits[-1].files == files:
            return commits[::-1]
        names = "\n".join(f"{name} {file.oid}" for name, file in files.items())
        changed = max((path.stat().st_mtime for path in self.folder.rglob("*")), default=0.0)
        date = datetime.fromtimestamp(changed, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return [Commit(git_name(names.encode()), None, LAID, "", self.owner, date, files)]

    @property
    def head(self) -> Commit:
        """The newest commit of main."""
        return self.history()[0]

    def at(self, revision: str) -> Commit | None:
        """The commit that a revision names."""
        commits = self.history()
        return commits[0] if revision == "main" else next((one for one in commits if one.id == revision), None)

    def path(self, name: str, file: File) -> Path:
        """Where the content of a file of one of its commits lies."""
        kept = self.store.content(file)
        return kept if kept.exists() else self.folder / name

    def commit(self, changes: Mapping[str, File | None], title: str, message: str, author: str) -> Commit:
        """Moves main: files by their names, None for one that goes. Their contents are kept already.

        Where nothing changes there is no new commit.
        """
        commits = self.history()
        before = commits[0].files
        changed = {name: file for name, file in changes.items() if before.get(name) != file}
        files = {name: file for name, file in sorted({**before, **changed}.items()) if file is not None}
        if before and files == before:
            return commits[0]
        for name, file in before.items():  # what was laid by hand becomes history
            if not self.store.content(file).exists():
                self.store.keep((self.folder / name).read_bytes(), file)
        first = not before and len(commits) == 1
        parent = None if first else commits[0].id
        words = [parent or "", title, message, author, *(f"{name} {file.oid}" for name, file in files.items())]
        made = Commit(git_name("\n".join(words).encode()), parent, title, message, author, now(), files)
        for name, file in changed.items():
            self._lay(name, file)
        told = [asdict(one) for one in [made, *([] if first else commits)][::-1]]
        self.store.put(self.state / "history.json", json.dumps(told).encode())
        return made

    def _kept(self, name: str, content: bytes) -> File:
        large = is_large(name, len(content))
        file = File(hashlib.sha256(content).hexdigest() if large else git_name(content), len(content), large)
        self.store.keep(content, file)
        return file

    def _lay(self, name: str, file: File | None) -> None:
        """Puts one file of main into the folder, or takes it away with the folders that are empty then."""
        target = self.folder / name
        if file is not None:
            beside = self.state / "laying"
            beside.parent.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.store.content(file), beside)
            beside.replace(target)
            return
        target.unlink()
        for parent in target.relative_to(self.folder).parents[:-1]:
            if any((self.folder / parent).iterdir()):
                break
            (self.folder / parent).rmdir()

    def _laid(self, known: Mapping[str, File]) -> dict[str, File]:
        """The files in the folder."""
        found: dict[str, File] = {}
        for top, _, names in os.walk(self.folder):
            for name in names:
                path = Path(top) / name
                if name not in (PRIVATE, GATED) and path.is_file():
                    inside = path.relative_to(self.folder).as_posix()
                    found[inside] = self.store.file(path, known.get(inside))
        return dict(sorted(found.items()))


def _commit(told: dict[str, Any]) -> Commit:
    files = {name: File(**file) for name, file in told.pop("files").items()}
    return Commit(**told, files=files)
