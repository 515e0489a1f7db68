"""Looks a model or dataset up on the Hub, once and without retries. Knows nothing of what is done with it."""

from dataclasses import dataclass
from typing import Any

from ftspace.errors import DatasetError, FtspaceError, HubError, ModelError
from ftspace.hub.asker import hub_token
from ftspace.hub.names import Kind

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Repository:
    """What the Hub has under an id."""

    commit: str | None
    files: tuple[str, ...]


def commit_of(kind: Kind, repo_id: str, revision: str | None = None) -> str | None:
    """The commit that a Hub id stands for now; None offline. Raises ModelError or DatasetError, or HubError."""
    found = look_up(kind, repo_id, revision)
    return found.commit if found else None


def look_up(kind: Kind, repo_id: str, revision: str | None = None) -> Repository | None:
    """The repository that a Hub id stands for now; None offline. Raises ModelError or DatasetError, or HubError."""
    info = info_of(kind, repo_id, revision, to_read=True)
    return info and Repository(info.sha, tuple(one.rfilename for one in info.siblings or []))


def page_of(kind: Kind, repo_id: str) -> str:
    """The address of a repository's page, where access is asked for."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"


def info_of(
    kind: Kind, repo_id: str, revision: str | None = None, *, sizes: bool = False, to_read: bool = False
) -> Any:
    """The client's ModelInfo or DatasetInfo, with the sizes of its files if asked; None offline.

    Raises as `look_up` does; for a gated one whose files the asker may not have only where they are `to_read`.
    """
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wrong: type[FtspaceError] = ModelError if kind == "model" else DatasetError
    api = HfApi(token=hub_token())
    ask = api.model_info if kind == "model" else api.dataset_info
    try:
        info = ask(repo_id, revision=revision, timeout=TIMEOUT_SECONDS, files_metadata=sizes)
        if info.gated and to_read:  # everybody may know of it; only its files are closed
            api.auth_check(repo_id, repo_type=kind)
        return info
    except HFValidationError as error:
        raise wrong(
            f"there is no file or folder {repo_id}, and it is no Hub id either; check the {kind}'s name"
        ) from error
    except GatedRepoError as error:
        page = page_of(kind, repo_id)
        raise wrong(f"the {kind} {repo_id} is gated: ask for access at {page} and set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise wrong(f"the {kind} {repo_id} has no revision {revision}; check {kind}'s revision") from error
    except RepositoryNotFoundError as error:
        raise wrong(
            f"there is no {kind} {repo_id}, neither here nor on the Hub; check the name (private: set HF_TOKEN)"
        ) from error
    except OfflineModeIsEnabled:
        return None
    except (HfHubHTTPError, HTTPError, OSError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code == 401:
            raise HubError(
                f"the Hub refuses the token, which is wrong or has expired; make a new one at {api.endpoint}"
                "/settings/tokens and set HF_TOKEN, or run: hf auth login"
            ) from error
        raise HubError(
            f"there is no file or folder {repo_id} here, and the Hub ({api.endpoint}) cannot be asked: {error}; "
            f"check the {kind}'s name and the network, or set hub.offline to use what is in the cache"
        ) from error
