"""A folder made the content of a repository on the Hub, in one commit that is downloaded again and compared.

The same for datasets and models, and the same however often it is done: what the Hub holds already is not sent again,
and equal content makes no commit. Nothing local is changed. Every way to fail is a HubError that says what to do.
"""

import hashlib
import tempfile
import threading
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from evals.errors import one_line
from ftspace.disk import causes
from ftspace.errors import HubCause, HubError
from ftspace.hub.asker import hub_token
from ftspace.hub.line import PATIENCE, Ears, Patience, line
from ftspace.workers import Stopped

if TYPE_CHECKING:
    from huggingface_hub import HfApi

GIVEN = ".gitattributes"
"""The file that the Hub itself puts into a new repository."""
PIECE = 8 * 1024 * 1024
"""Bytes that are read back at a time."""
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Target:
    """A repository that something is to be pushed to."""

    kind: Literal["model", "dataset"]
    repo_id: str
    public: bool
    message: str
    """Of the commit."""
    refuses: Callable[[set[str]], str]
    """Why a repository that holds these files must not be overwritten; "" when it may."""
    is_ours: Callable[[str], bool]
    """Whether a file that is there may be removed, for an earlier push made it."""
    smaller: str
    """What to do where the Hub finds the files too large."""
    made: Path | None = None
    """Holds the name of a repository that a push made and has not filled yet, for the case that it is cut off."""

    def url(self, endpoint: str) -> str:
        """Where a person sees it."""
        return f"{endpoint}/{'datasets/' if self.kind == 'dataset' else ''}{self.repo_id}"


@dataclass(frozen=True)
class Found:
    """What a repository holds."""

    commit: str | None
    private: bool
    files: Mapping[str, str]
    """What the Hub calls the content of each file: git's name for it, or its SHA-256 when it is a large one."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody has put anything there."""
        return not set(self.files) - {GIVEN}


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
    with line(Ears(), patience), explained(target):
        _check_asker(_api(), target)
        _check(_api(), target)


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
            with line(replace(ears, sent=tally.add), patience), explained(target):
                return _push(folder, target, ears, tally)
        except (HubError, Stopped) as error:
            left = _tidy(target, ears, patience.hasty())
            if left and isinstance(error, HubError):
                raise HubError(f"{error}. {left}", error.cause) from error
            if left:
                ears.warn(left)
            raise


def _api() -> "HfApi":
    from huggingface_hub import HfApi

    return HfApi(token=hub_token())


def _push(folder: Path, target: Target, ears: Ears, tally: _Tally) -> Pushed:
    api = _api()
    _check_asker(api, target)
    found = _check(api, target)
    local = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {name: _read(path, ears) for name, path in local.items()}
    if found is None:
        found = _make(api, target)
    kept = {name for name in found.files if name not in files and not target.is_ours(name)} | {GIVEN}
    if strangers := sorted(kept - {GIVEN}):
        ears.warn(f"{target.repo_id} also holds {', '.join(strangers[:5])}, which no push made: left as they are")
    new = not _holds(found, files, kept)
    commit = _commit(api, target, found, files, kept, tally) if new else found.commit
    if commit is None:
        raise HubError(f"the Hub does not say which commit {target.repo_id} has; push again", "content")
    _verify(api, target, commit, files, kept, tally.progress)
    if target.made is not None:
        target.made.unlink(missing_ok=True)
    sums = {name: one.sha256 for name, one in files.items()}
    return Pushed(target.url(api.endpoint), commit, found.private, sums, new)


# What is there.


def _check_asker(api: "HfApi", target: Target) -> None:
    """Raises HubError for a name that is none, and a token that cannot write."""
    if target.repo_id.count("/") != 1:
        raise HubError(f"{target.repo_id} names no repository; give your user name and a name, such as me/talks")
    role = api.whoami().get("auth", {}).get("accessToken", {}).get("role")
    if role == "read":
        raise HubError(
            f"the token can only read; make one with the role write at {api.endpoint}/settings/tokens and set "
            "HF_TOKEN, or run: hf auth login",
            "rights",
        )


def _check(api: "HfApi", target: Target) -> Found | None:
    """The repository, None when there is none yet. Raises HubError where a push would harm or show too much."""
    found = _find(api, target)
    if found is None:
        return None
    if not found.private and not target.public:
        raise HubError(
            f"{target.repo_id} is there already and everybody can read it; say --public, or choose another name",
            "taken",
        )
    names = set(found.files) - {GIVEN}
    if names and (why := target.refuses(names)):
        raise HubError(f"the name {target.repo_id} is taken: {why}; choose another", "taken")
    return found


def _find(api: "HfApi", target: Target, revision: str | None = None) -> Found | None:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        info = api.repo_info(target.repo_id, repo_type=target.kind, revision=revision)
    except GatedRepoError:
        raise
    except RepositoryNotFoundError as error:
        if error.response.status_code != 404:
            raise
        return None
    tree = api.list_repo_tree(target.repo_id, recursive=True, revision=info.sha, repo_type=target.kind)
    files = {one.path: one.lfs.sha256 if one.lfs else one.blob_id for one in tree if isinstance(one, RepoFile)}
    return Found(info.sha, bool(info.private), files)


def _make(api: "HfApi", target: Target) -> Found:
    """A new repository, remembered as this push's until there is something in it."""
    from huggingface_hub.errors import HfHubHTTPError

    if target.made is not None:
        target.made.write_text(target.repo_id, encoding="utf-8")
    try:
        api.create_repo(target.repo_id, repo_type=target.kind, private=not target.public)
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
    found = _check(api, target)
    if found is None:
        if target.made is not None:
            target.made.unlink(missing_ok=True)
        said = f"the name {target.repo_id} is taken by a repository that the token cannot read; choose another name"
        raise HubError(said, "taken")
    return found


def _tidy(target: Target, ears: Ears, patience: Patience) -> str:
    """Removes a repository that a push made and that holds nothing; what there is to be known if that cannot be."""
    if target.made is None or not target.made.exists() or target.made.read_text(encoding="utf-8") != target.repo_id:
        return ""
    api = _api()
    try:
        with line(replace(ears, should_stop=lambda: False), patience), explained(target):
            found = _find(api, target)
            if found is not None and found.is_empty:
                api.delete_repo(target.repo_id, repo_type=target.kind, missing_ok=True)
    except (HubError, Stopped):
        where = target.url(api.endpoint)
        return f"{where} was made for it and may be there, still empty: the next push fills it, or delete it there"
    target.made.unlink(missing_ok=True)
    return ""


# What is sent.


def _holds(found: Found, files: Mapping[str, _Local], kept: set[str]) -> bool:
    """Whether the repository has all the files, and no others but those that are kept."""
    same = all(found.files.get(name) in (one.git, one.sha256) for name, one in files.items())
    return same and set(found.files) - kept <= set(files)


def _commit(
    api: "HfApi", target: Target, found: Found, files: Mapping[str, _Local], kept: set[str], tally: _Tally
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
        now = _find(api, target)  # the answer to the commit may have been lost, and the commit not
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
    found = _find(api, target, commit)
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
    """The names of a file's content."""
    size, git, sha256 = path.stat().st_size, hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    git.update(b"blob %d\0" % size)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if ears.should_stop():
                raise Stopped
            git.update(block)
            sha256.update(block)
    return _Local(path, size, sha256.hexdigest(), git.hexdigest())


# What went wrong.


@contextmanager
def explained(target: "Target | str") -> Generator[None]:
    """Turns what the Hub's client raises into a HubError that says what to do."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

    repo_id = target if isinstance(target, str) else target.repo_id
    try:
        yield
    except (HubError, Stopped):
        raise
    except LocalTokenNotFoundError as error:
        raise HubError("there is no token to push with; set HF_TOKEN, or run: hf auth login", "token") from error
    except OfflineModeIsEnabled as error:
        said = "the Hub is not asked while offline; leave hub.offline and HF_HUB_OFFLINE out to push"
        raise HubError(said, "offline") from error
    except HFValidationError as error:
        raise HubError(f"{repo_id} is no name that the Hub takes; use letters, digits, - _ and .") from error
    except (HTTPError, OSError, RuntimeError, ValueError, LookupError) as error:
        for cause in causes(error):
            if isinstance(cause, HubError | Stopped):
                raise cause from error
        raise _explanation(error, repo_id, "" if isinstance(target, str) else target.smaller) from error


def _explanation(error: Exception, repo_id: str, smaller: str) -> HubError:
    """What to do about a refusal, by its status; the client wraps some in errors of its own."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    refusal = next((one for one in causes(error) if isinstance(one, HfHubHTTPError)), None)
    status = refusal.response.status_code if refusal else None
    text = " ".join(((refusal.server_message if refusal else None) or str(refusal or error)).split())[:300]
    if _is_quota(status, text):
        said = f"the Hub has no room left for {repo_id} ({text}); free some of your storage there, then push again"
        return HubError(said, "quota")
    known: dict[int, tuple[HubCause, str]] = {
        401: (
            "token",
            "the Hub refuses the token; make a new one with the role write, and set HF_TOKEN or run: hf auth login",
        ),
        403: ("rights", f"the token may not write {repo_id}; it needs the role write, and a right to that name"),
        404: ("missing", f"the Hub does not find {repo_id}, or a part of it, any more; push again, or check its name"),
        409: ("conflict", f"{repo_id} is being changed by somebody else; push again"),
        412: ("changed", f"{repo_id} was changed while it was pushed to; push again"),
        413: ("too_large", f"{repo_id}: the Hub finds the files too large; {smaller}"),
    }
    if status in known:
        cause, said = known[status]
        return HubError(said, cause)
    if status is not None:
        return HubError(f"the Hub refuses {repo_id} (status {status}): {text}; push again", "refused")
    if isinstance(error, HTTPError | OSError):
        said = f"the Hub cannot be reached, or broke off: {one_line(error)}; check the network and push again"
        return HubError(said, "network")
    return HubError(f"the push to {repo_id} broke off: {text}; push again", "refused")


def _is_quota(status: int | None, text: str) -> bool:
    words = text.casefold()
    return status in (402, 507) or (
        status in (None, 403, 413) and ("quota" in words or ("storage" in words and "limit" in words))
    )
