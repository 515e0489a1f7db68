"""A prepared dataset on the Hub: where its rows come from, and the push. Knows no models and no screens.

Rows are pushed to a private repository unless a person says otherwise, in one commit that is read back and compared.
The token is the environment's or that of `hf auth login`; it is never an argument.
"""

import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evals.errors import one_line
from ftspace.data.prepare import SPLITS
from ftspace.errors import HubError
from ftspace.hub.card import Source
from ftspace.hub.find import TERMS, commit_of
from ftspace.sections import DataConfig
from ftspace.settings import resolve_local

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import DatasetInfo

OURS = frozenset({"README.md", "manifest.json", *(f"{s}.{kind}" for s in SPLITS for kind in ("jsonl", "parquet"))})
"""The files of a prepared dataset: a repository that holds others is somebody's own work."""
GIVEN = ".gitattributes"
"""The file that the Hub itself puts into a new repository."""
MESSAGE = "Upload a dataset prepared with ftspace"


@dataclass(frozen=True)
class Target:
    """A dataset repository that was found fit to be pushed to."""

    repo_id: str
    public: bool


@dataclass(frozen=True)
class Pushed:
    """What a push left on the Hub."""

    url: str
    commit: str
    private: bool


def source_of(config: DataConfig) -> Source:
    """Where the config's rows come from; of a Hub dataset its commit, license and who may read it.

    Raises DatasetError for one that is not there, HubError when the Hub cannot be asked.
    """
    path = resolve_local(config.id)
    if path is not None:
        return Source(path.name, terms=_terms(_front_matter(path / "README.md")))
    from huggingface_hub import HfApi

    commit = commit_of("dataset", config.id, config.revision)
    if commit is None:
        return Source(config.id, config.revision)
    api = HfApi()
    with _explained(config.id):
        info = api.dataset_info(config.id, revision=commit)
    card = info.card_data.to_dict() if info.card_data else {}
    restricted = "private" if info.private else "gated" if info.gated else None
    return Source(config.id, commit, f"{api.endpoint}/datasets/{config.id}", _terms(card), restricted)


def check_target(repo_id: str, source: Source, *, public: bool) -> Target:
    """Asks before any work whether the push could be done. Raises HubError with what to do."""
    from huggingface_hub import HfApi

    if public and source.restricted:
        raise HubError(
            f"{source.name} is a {source.restricted} dataset, so its rows are not pushed where everybody can read "
            "them; leave --public out"
        )
    if repo_id.count("/") != 1:
        raise HubError(f"{repo_id} names no repository; give your user name and a name, such as me/talks")
    api, target = HfApi(), Target(repo_id, public)
    with _explained(repo_id):
        role = api.whoami().get("auth", {}).get("accessToken", {}).get("role")
        if role == "read":
            raise HubError(
                f"the token can only read; make one with the role write at {api.endpoint}/settings/tokens and set "
                "HF_TOKEN, or run: hf auth login"
            )
        _find(api, target)
    return target


def push(folder: Path, target: Target) -> Pushed:
    """Makes the files of `folder` the repository's files, in one commit, and compares what the Hub then holds.

    Raises HubError with what to do; nothing local is changed by it.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.hf_api import RepoFile

    repo_id, api = target.repo_id, HfApi()
    files = {path.name: path for path in sorted(folder.iterdir())}
    with _explained(repo_id):
        api.create_repo(repo_id, repo_type="dataset", private=not target.public, exist_ok=True)
        info = _find(api, target)
        if info is None:
            raise HubError(
                f"the name {repo_id} is taken by a repository that the token cannot read; choose another name"
            )
        stale = [name for name in _names(info) if name not in files and name != GIVEN]
        operations = [
            *(CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()),
            *(CommitOperationDelete(path_in_repo=name) for name in stale),
        ]
        done = api.create_commit(
            repo_id, operations, commit_message=MESSAGE, repo_type="dataset", parent_commit=info.sha
        )
        there = {
            one.path: one.lfs.sha256 if one.lfs else one.blob_id
            for one in api.get_paths_info(repo_id, list(files), repo_type="dataset", revision=done.oid)
            if isinstance(one, RepoFile)
        }
    unlike = [name for name, path in files.items() if there.get(name) not in _digests(path)]
    if unlike:
        raise HubError(f"{repo_id} does not hold what was pushed: {', '.join(unlike)} differ; push again")
    return Pushed(f"{api.endpoint}/datasets/{repo_id}", done.oid, bool(info.private))


def _terms(card: Mapping[str, Any]) -> dict[str, Any]:
    return {name: card[name] for name in TERMS if card.get(name)} if card.get("license") else {}


def _front_matter(card: Path) -> Mapping[str, Any]:
    """The metadata of a local card; nothing for one that is missing or malformed."""
    from huggingface_hub import metadata_load

    try:
        found: Any = metadata_load(card) if card.is_file() else None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _find(api: "HfApi", target: Target) -> "DatasetInfo | None":
    """The repository, None when there is none yet. Raises HubError where a push would harm or show too much."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        info = api.dataset_info(target.repo_id)
    except GatedRepoError:
        raise
    except RepositoryNotFoundError:
        return None
    if not info.private and not target.public:
        raise HubError(
            f"{target.repo_id} is there already and everybody can read it; say --public, or choose another name"
        )
    names = set(_names(info)) - {GIVEN}
    if names and ("manifest.json" not in names or names - OURS):
        example = sorted(names - OURS or names)[0]
        raise HubError(
            f"the name {target.repo_id} is taken: it holds {example}, which no push of ours made; choose another"
        )
    return info


def _names(info: "DatasetInfo") -> list[str]:
    return [one.rfilename for one in info.siblings or []]


def _digests(path: Path) -> set[str]:
    """What the Hub calls a file: git's name for it, or its SHA-256 when it is a large one."""
    size, git, sha256 = path.stat().st_size, hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    git.update(b"blob %d\0" % size)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            git.update(block)
            sha256.update(block)
    return {git.hexdigest(), sha256.hexdigest()}


@contextmanager
def _explained(repo_id: str) -> Generator[None]:
    """Turns what the Hub's client raises into a HubError that says what to do."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise HubError("there is no token to push with; set HF_TOKEN, or run: hf auth login") from error
    except OfflineModeIsEnabled as error:
        raise HubError(
            "the Hub is not asked while offline; leave hub.offline and HF_HUB_OFFLINE out to push"
        ) from error
    except HFValidationError as error:
        raise HubError(f"{repo_id} is no name that the Hub takes; use letters, digits, - _ and .") from error
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise HubError(_advice(error, repo_id)) from error


def _advice(error: Exception, repo_id: str) -> str:
    """What to do about a refusal, by its status; the client wraps some in errors of its own."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HfHubHTTPError):
        cause = cause.__cause__
    status = cause.response.status_code if isinstance(cause, HfHubHTTPError) else None
    said = {
        401: "the Hub refuses the token; make a new one with the role write, and set HF_TOKEN or run: hf auth login",
        403: f"the token may not write {repo_id}; it needs the role write, and a right to that name",
        409: f"{repo_id} is being changed by somebody else; push again",
        412: f"{repo_id} was changed while it was pushed to; push again",
        413: f"{repo_id}: the Hub finds the files too large; use --format parquet, or fewer rows (data.max_samples)",
        429: "the Hub has had too many requests from you; wait some minutes and push again",
    }.get(status or 0)
    if said is None and status is not None and status >= 500:
        said = f"the Hub is in trouble (status {status}); push again later"
    if said is None and status is not None:
        said = f"the Hub refuses {repo_id} (status {status}): {one_line(error)}"
    if said is None and isinstance(error, HTTPError | OSError):
        said = f"the Hub cannot be reached, or broke off: {one_line(error)}; check the network and push again"
    return said or f"the push to {repo_id} broke off: {one_line(error)}; push again"
