"""A repository on the Hub that something is to be pushed to: whether it may be, and making and removing it.

A repository that others made anything of is not overwritten, and one that everybody can read is not taken for a
private one. Knows nothing of what is pushed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ftspace.errors import HubError
from ftspace.hub.asker import hub_scopes, hub_token
from ftspace.hub.push.line import Ears, Patience, line
from ftspace.hub.push.target import GIVEN
from ftspace.hub.refusals import explained
from ftspace.hub.token import TokenRecord
from ftspace.workers import Stopped

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_THERE = "there"
"""Stands behind the name in `Target.made` once the Hub has said that it made it."""


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
    warns: Callable[[Mapping[str, str]], str] = lambda _: ""
    """What to tell of files that are replaced or removed, by what the Hub calls their content; "" for nothing."""
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


def ask() -> "HfApi":
    """The Hub's client, with the token of who asks."""
    from huggingface_hub import HfApi

    return HfApi(token=hub_token())


def look(api: "HfApi", target: Target) -> Found | None:
    """The repository, None when there is none yet, before a push to it.

    Raises HubError for a name that is none, for a token that cannot write there, and as `check`.
    """
    if target.repo_id.count("/") != 1:
        raise HubError(f"{target.repo_id} names no repository; give your user name and a name, such as me/talks")
    token = TokenRecord.of(api.whoami(), hub_scopes())
    found = check(api, target)
    if why := token.why_not_write(target.repo_id, there=found is not None, kind=target.kind):
        raise HubError(
            f"{why}; make one with the role write at {api.endpoint}/settings/tokens and set HF_TOKEN, or run: hf auth "
            "login",
            "rights",
        )
    return found


def check(api: "HfApi", target: Target) -> Found | None:
    """The repository, None when there is none yet. Raises HubError where a push would harm or show too much."""
    found = find(api, target)
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


def find(api: "HfApi", target: Target, revision: str | None = None) -> Found | None:
    """What the repository holds, now or at a commit; None when there is none."""
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


def make(api: "HfApi", target: Target) -> Found:
    """A new repository, remembered as this push's until there is something in it."""
    from huggingface_hub.errors import HfHubHTTPError

    taken = False
    if target.made is not None:
        target.made.write_text(target.repo_id, encoding="utf-8")
    try:
        api.create_repo(target.repo_id, repo_type=target.kind, private=not target.public)
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
        taken = True
    if target.made is not None and not taken:
        target.made.write_text(f"{target.repo_id}\n{_THERE}", encoding="utf-8")
    found = check(api, target)
    if found is None and taken:
        if target.made is not None:
            target.made.unlink(missing_ok=True)
        said = f"the name {target.repo_id} is taken by a repository that the token cannot read; choose another name"
        raise HubError(said, "taken")
    if found is None:
        raise HubError(f"the Hub made {target.repo_id} and does not find it; push again", "missing")
    return found


def tidy(target: Target, ears: Ears, patience: Patience) -> str:
    """Removes a repository that a push made and that holds nothing; what there is to be known if that cannot be."""
    told = target.made.read_text(encoding="utf-8").split() if target.made and target.made.exists() else []
    if target.made is None or told[:1] != [target.repo_id]:
        return ""
    api = ask()
    where = target.url(api.endpoint)
    left = f"{where} was made for it and may be there, still empty: the next push fills it, or delete it there"
    try:
        with line(replace(ears, should_stop=lambda: False), patience), explained(target.repo_id):
            found = find(api, target)
            if found is None and _THERE in told:  # the Hub said that it made it
                return left
            if found is not None and found.is_empty:
                api.delete_repo(target.repo_id, repo_type=target.kind, missing_ok=True)
    except (HubError, Stopped):
        return left
    target.made.unlink(missing_ok=True)
    return ""
