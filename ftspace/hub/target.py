"""Whether a repository of the Hub may be pushed to: free, ours, or taken. Asks, and changes nothing."""

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
    ours: bool = False
    """Whether it is as good as empty, or holds an earlier push of ours."""
    holds: str = ""
    """A file that no push of ours made, for example."""


def look_at_target(repo_id: str) -> Target:
    """The repository that a push would go to, as the asker's token sees it. Raises HubError."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    api = HfApi(token=hub_token())
    try:
        info = api.model_info(repo_id, timeout=TIMEOUT_SECONDS)
    except GatedRepoError:
        return Target(repo_id, there=True, public=True, holds="what its owner lets people see one by one")
    except RepositoryNotFoundError:
        return Target(repo_id, there=False)
    except HFValidationError as error:
        raise HubError(f"{repo_id} is no name that the Hub takes; use letters, digits, - _ and .") from error
    except (HfHubHTTPError, HTTPError, OSError) as error:
        raise HubError(
            f"the Hub does not say whether {repo_id} is free: {one_line(error)}; look again later"
        ) from error
    files = [one.rfilename for one in info.siblings or []]
    others = sorted(set(files) - {GIVEN})
    ours = SIGN in files or not others
    return Target(repo_id, there=True, public=not info.private, ours=ours, holds="" if ours else others[0])
