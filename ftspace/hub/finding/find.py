"""Looks a model or dataset up on the Hub, once and without retries. Knows nothing of what is done with it."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from evals.errors import one_line
from ftspace.errors import DatasetError, FtspaceError, HubError, ModelError
from ftspace.hub.asker import hub_token
from ftspace.hub.finding.names import Kind

TIMEOUT_SECONDS = 10.0
TERMS = ("license", "license_name", "license_link")
"""What a card says of a license."""


@dataclass(frozen=True)
class Repository:
    """What the Hub has under an id."""

    commit: str | None
    files: tuple[str, ...]
    terms: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Its own words on its license; empty when it has none."""
    restricted: Literal["private", "gated"] | None = None
    """Why not everybody may read it."""


def commit_of(kind: Kind, repo_id: str, revision: str | None = None) -> str | None:
    """The commit that a Hub id stands for now; None offline. Raises ModelError or DatasetError, or HubError."""
    found = look_up(kind, repo_id, revision)
    return found.commit if found else None


def look_up(kind: Kind, repo_id: str, revision: str | None = None) -> Repository | None:
    """The repository that a Hub id stands for now, to be read; None offline.

    Raises ModelError or DatasetError, also where its files are closed to who asks; HubError.
    """
    found = look_over(kind, repo_id, revision)
    with _worded(kind, repo_id, revision):
        if found and found.restricted == "gated" and not _may_read(kind, repo_id):
            raise _wrong(kind)(gated_words(kind, repo_id))
    return found


def look_over(kind: Kind, repo_id: str, revision: str | None = None) -> Repository | None:
    """What everybody is told of it, also where its files are closed; None offline. Raises as `info_of`."""
    info = info_of(kind, repo_id, revision)
    return _repository(info) if info else None


def info_of(kind: Kind, repo_id: str, revision: str | None = None, *, sizes: bool = False) -> Any:
    """The client's ModelInfo or DatasetInfo, with the sizes of its files if asked; None offline.

    Raises ModelError or DatasetError, or HubError.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import OfflineModeIsEnabled

    api = HfApi(token=hub_token())
    ask = api.model_info if kind == "model" else api.dataset_info
    with _worded(kind, repo_id, revision):
        try:
            return ask(repo_id, revision=revision, timeout=TIMEOUT_SECONDS, files_metadata=sizes)
        except OfflineModeIsEnabled:
            return None


def _wrong(kind: Kind) -> type[FtspaceError]:
    return ModelError if kind == "model" else DatasetError


@contextmanager
def _worded(kind: Kind, repo_id: str, revision: str | None) -> Generator[None]:
    """Turns what the Hub's client raises into an error that says what to do."""
    from httpx2 import HTTPError
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wrong = _wrong(kind)
    try:
        yield
    except HFValidationError as error:
        raise wrong(
            f"there is no file or folder {repo_id}, and it is no Hub id either; check the {kind}'s name"
        ) from error
    except GatedRepoError as error:
        raise wrong(gated_words(kind, repo_id)) from error
    except RevisionNotFoundError as error:
        raise wrong(f"the {kind} {repo_id} has no revision {revision}; check {kind}'s revision") from error
    except RepositoryNotFoundError as error:
        raise wrong(
            f"there is no {kind} {repo_id}, neither here nor on the Hub; check the name (private: set HF_TOKEN)"
        ) from error
    except (HfHubHTTPError, HTTPError, OSError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code == 401:
            raise HubError(
                f"the Hub refuses the token, which is wrong or has expired; make a new one at {constants.ENDPOINT}"
                "/settings/tokens and set HF_TOKEN, or run: hf auth login"
            ) from error
        raise HubError(
            f"there is no file or folder {repo_id} here, and the Hub ({constants.ENDPOINT}) cannot be asked: "
            f"{one_line(error)}; check the {kind}'s name and the network, or set hub.offline to use what is in the "
            "cache"
        ) from error


def gated_words(kind: Kind, repo_id: str) -> str:
    """What to do about a repository that its owner lets people into one by one."""
    return f"the {kind} {repo_id} is gated: ask for access at {address_of(kind, repo_id)} and set HF_TOKEN"


def address_of(kind: Kind, repo_id: str) -> str:
    """A repository's page."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"


def _may_read(kind: Kind, repo_id: str) -> bool:
    """Whether the asker was let into a gated repository: everybody may know of it, only its files are closed."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    address = f"{constants.ENDPOINT}/api/{kind}s/{repo_id}/auth-check"
    try:  # HfApi.auth_check would wait without end
        asked = get_session().get(address, headers=build_hf_headers(token=hub_token()), timeout=TIMEOUT_SECONDS)
        hf_raise_for_status(asked)
    except HfHubHTTPError as error:
        if error.response.status_code not in (401, 403, 404):
            raise
        return False
    return True


def _repository(info: Any) -> Repository:
    card: dict[str, Any] = info.card_data.to_dict() if info.card_data else {}
    tagged = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    return Repository(
        info.sha,
        tuple(one.rfilename for one in info.siblings or []),
        terms_of(card) or ({"license": tagged[0]} if tagged else {}),
        "private" if info.private else "gated" if info.gated else None,
    )


def terms_of(card: Mapping[str, Any]) -> dict[str, Any]:
    """What a card's metadata say of the license; nothing when they name none."""
    return {name: card[name] for name in TERMS if card.get(name)} if card.get("license") else {}
