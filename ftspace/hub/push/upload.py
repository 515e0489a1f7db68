"""A folder made the content of a repository on the Hub, in one commit that is downloaded again and compared.

The same for datasets and models, and the same however often it is done: what the Hub holds already is not sent again,
and equal content makes no commit. Nothing local is changed. Every way to fail is a HubError that says what to do.
"""

import hashlib
import tempfile
import threading
import warnings
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ftspace.errors import DiskError, FtspaceError, HubError
from ftspace.hub.asker import hub_token
from ftspace.hub.push import repository
from ftspace.hub.push.line import PATIENCE, Ears, Patience, line
from ftspace.hub.push.repository import Target
from ftspace.hub.push.target import GIVEN
from ftspace.hub.refusals import explained
from ftspace.workers import Stopped

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PIECE = 8 * 1024 * 1024
"""Bytes that are read back at a time."""
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Pushed:
    """What a push left on the Hub, as it was read back."""

    url: str
    commit: str
    private: bool
    files: Mapping[str, str]
    """SHA-256 of each file, by its path."""
    new: bool
    """Whether a commit was made."""


@dataclass(frozen=True)
class Progress:
    """Who hears how far a push is, in bytes: done and all. Called from several threads."""

    sent: Callable[[int, int], object] = lambda _done, _total: None
    compared: Callable[[int, int], object] = lambda _done, _total: None


class _Tally:
    """Adds up what several threads send."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._lock = threading.Lock()
        self._done = self._total = 0

    def expect(self, total: int) -> None:
        """So much is to be sent."""
        self._total = total
        self.add(0)

    def add(self, count: int) -> None:
        """So many bytes more were sent, or fewer."""
        with self._lock:
            self._done += count
            self.progress.sent(min(self._done, self._total), self._total)

    def all(self) -> None:
        """The Hub has them all."""
        self.progress.sent(self._total, self._total)


@dataclass(frozen=True)
class _Local:
    path: Path
    size: int
    sha256: str
    git: str


def check(target: Target, patience: Patience = PATIENCE) -> None:
    """Asks before any work whether a push could be done. Raises HubError with what to do."""
    with line(Ears(), patience), explained(target.repo_id, target.smaller):
        repository.look(repository.ask(), target)


def push(
    folder: Path,
    target: Target,
    ears: Ears = Ears(),  # noqa: B008  (frozen)
    progress: Progress = Progress(),
    patience: Patience = PATIENCE,
) -> Pushed:
    """Makes the files below `folder` the repository's, and compares what the Hub then holds. Raises HubError, Stopped.

    A repository that was made for it and got no content is removed again where that can be done, else told of.
    """
    with tempfile.TemporaryDirectory() as beside:
        target = replace(target, made=target.made or Path(beside) / "made")
        tally = _Tally(progress)
        try:
            with line(replace(ears, sent=tally.add), patience), explained(target.repo_id, target.smaller):
                return _push(folder, target, ears, tally)
        except (FtspaceError, Stopped) as error:
            left = repository.tidy(target, ears, patience.hasty())
            if left and isinstance(error, HubError):
                raise HubError(f"{error}. {left}", error.cause) from error
            if left:
                ears.warn(left)
            raise


def _push(folder: Path, target: Target, ears: Ears, tally: _Tally) -> Pushed:
    api = repository.ask()
    found = repository.look(api, target)
    local = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {name: _read(path, ears) for name, path in local.items()}
    if found is None:
        found = repository.make(api, target)
    kept = {name for name in found.files if name not in files and not target.is_ours(name)} | {GIVEN}
    if strangers := sorted(kept - {GIVEN}):
        ears.warn(f"{target.repo_id} also holds {', '.join(strangers[:5])}, which no push made: left as they are")
    replaced = {
        name: held
        for name, held in found.files.items()
        if name not in kept and (name not in files or held not in (files[name].git, files[name].sha256))
    }
    if said := target.warns(replaced):
        ears.warn(said)
    new = not _holds(found, files, kept)
    commit = _commit(api, target, found, files, kept, tally) if new else found.commit
    if commit is None:
        raise HubError(f"the Hub does not say which commit {target.repo_id} has; push again", "content")
    _verify(api, target, commit, files, kept, tally.progress)
    if target.made is not None:
        target.made.unlink(missing_ok=True)
    sums = {name: one.sha256 for name, one in files.items()}
    return Pushed(target.url(api.endpoint), commit, found.private, sums, new)


# What is sent.


def _holds(found: repository.Found, files: Mapping[str, _Local], kept: set[str]) -> bool:
    """Whether the repository has all the files, and no others but those that are kept."""
    same = all(found.files.get(name) in (one.git, one.sha256) for name, one in files.items())
    return same and set(found.files) - kept <= set(files)


def _commit(
    api: "HfApi", target: Target, found: repository.Found, files: Mapping[str, _Local], kept: set[str], tally: _Tally
) -> str:
    """Makes the one commit on top of what was found; which it is."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.errors import HfHubHTTPError

    sent = {name: one for name, one in files.items() if found.files.get(name) not in (one.git, one.sha256)}
    tally.expect(sum(one.size for one in sent.values()))
    operations = [
        *(CommitOperationAdd(path_in_repo=name, path_or_fileobj=one.path) for name, one in sent.items()),
        *(CommitOperationDelete(path_in_repo=name) for name in found.files if name not in files and name not in kept),
    ]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
            warnings.filterwarnings("ignore", "Use 'content=<...>'", DeprecationWarning)  # the client's own affair
            commit = api.create_commit(
                target.repo_id,
                operations,
                commit_message=target.message,
                repo_type=target.kind,
                parent_commit=found.commit,
            ).oid
    except HfHubHTTPError as error:
        if error.response.status_code != 412:
            raise
        now = repository.find(api, target)  # the answer to the commit may have been lost, and the commit not
        if now is None or now.commit is None or not _holds(now, files, kept):
            raise
        commit = now.commit
    tally.all()
    return commit


# What is read back.


def _verify(
    api: "HfApi", target: Target, commit: str, files: Mapping[str, _Local], kept: set[str], progress: Progress
) -> None:
    """Downloads every file of the commit and compares. Raises HubError."""
    found = repository.find(api, target, commit)
    there = set(found.files) - kept if found else set[str]()
    unlike = there ^ set(files)
    done, total = 0, sum(one.size for one in files.values())
    progress.compared(0, total)
    for name in sorted(there & set(files)):
        one, back = files[name], hashlib.sha256()
        for piece in _pieces(api, target, commit, name, one.size):
            back.update(piece)
            done += len(piece)
            progress.compared(min(done, total), total)
        if back.hexdigest() != one.sha256:
            unlike.add(name)
    if unlike:
        said = f"{target.repo_id} does not hold what was pushed: {', '.join(sorted(unlike)[:5])} differ; push again"
        raise HubError(said, "content")


def _pieces(api: "HfApi", target: Target, commit: str, name: str, size: int) -> Generator[bytes]:
    """The bytes of a file of a commit, as they are downloaded."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    url = f"{target.url(api.endpoint)}/resolve/{commit}/{quote(name)}"
    for start in range(0, max(size, 1), PIECE):
        headers = {**build_hf_headers(token=hub_token()), "Accept-Encoding": "identity"}
        if size > PIECE:
            headers["Range"] = f"bytes={start}-{min(start + PIECE, size) - 1}"
        response = get_session().get(url, headers=headers)
        hf_raise_for_status(response)
        yield response.content
        if response.status_code == 200:
            return


def _read(path: Path, ears: Ears) -> _Local:
    """The names of a file's content. Raises DiskError."""
    git, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    try:
        size = path.stat().st_size
        git.update(b"blob %d\0" % size)
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                if ears.should_stop():
                    raise Stopped
                git.update(block)
                sha256.update(block)
    except OSError as error:
        raise DiskError(f"{path} cannot be read: {error.strerror}; push again") from error
    return _Local(path, size, sha256.hexdigest(), git.hexdigest())
