"""Whether a repository of the Hub may be pushed to: free, ours, or taken. Asks, and changes nothing."""

from collections.abc import Collection
from dataclasses import dataclass

from evals.errors import one_line
from ftspace.errors import HubError
from ftspace.hub.asker import hub_token

SIGN = "ftspace.yaml"
"""The file that every push of a run leaves: its config."""
GIVEN = ".gitattributes"
"""The file that the Hub itself puts into a new repository."""
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """A model repository as it is before a push."""

    repo_id: str
    there: bool
    public: bool = False
    taken: str = ""
    """Why it may not be pushed to; "" where it is as good as empty, or holds an earlier push of that kind."""


def why_taken(there: Collection[str], *, whole: bool) -> str:
    """Why an adapter, or a `whole` model, must not be put where these files are; "" when it may."""
    others = set(there) - {GIVEN}
    if not others:
        return ""
    if SIGN not in others:
        return f"it holds {min(others)}, which no push of ours made"
    if whole and "adapter_config.json" in others:
        return "it holds an adapter"
    if not whole and "config.json" in others:
        return "it holds a whole model"
    return ""


def look_at_target(repo_id: str, *, whole: bool = False) -> Target:
    """The repository that an adapter, or a `whole` model, would go to, as the token sees it. Raises HubError."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    api = HfApi(token=hub_token())
    try:
        info = api.model_info(repo_id, timeout=TIMEOUT_SECONDS)
    except GatedRepoError:
        return Target(repo_id, there=True, public=True, taken="its owner lets people in one by one, and this token not")
    except RepositoryNotFoundError:
        return Target(repo_id, there=False)
    except HFValidationError as error:
        raise HubError(f"{repo_id} is no name that the Hub takes; use letters, digits, - _ and .") from error
    except (HfHubHTTPError, HTTPError, OSError) as error:
        raise HubError(
            f"the Hub does not say whether {repo_id} is free: {one_line(error)}; look again later"
        ) from error
    taken = why_taken([one.rfilename for one in info.siblings or []], whole=whole)
    return Target(repo_id, there=True, public=not info.private, taken=taken)
