"""Files of a model's repository on the Hub, one by one. Knows nothing of what is in them."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evals.errors import one_line
from ftspace.errors import HubError
from ftspace.hub.asker import hub_token

_SECONDS = 30.0


@dataclass(frozen=True)
class Held:
    """What the Hub says of a file."""

    size: int
    sha256: str | None
    """Of a large file; None of one that lies in git."""


def held_files(repo_id: str, revision: str | None) -> dict[str, Held]:
    """All files of a model by name. Raises HubError."""
    from huggingface_hub import HfApi

    with _explained(repo_id):
        info = HfApi(token=hub_token()).model_info(repo_id, revision=revision, files_metadata=True, timeout=_SECONDS)
    return {one.rfilename: Held(one.size or 0, one.lfs.sha256 if one.lfs else None) for one in info.siblings or []}


def fetch(repo_id: str, name: str, revision: str | None) -> Path | None:
    """A file of a model in the client's cache, downloaded if need be; None where the repository has none such.

    Raises HubError with what to do.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    with _explained(f"{name} of {repo_id}"):
        try:
            return Path(HfApi(token=hub_token()).hf_hub_download(repo_id, name, revision=revision))
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            return None


@contextmanager
def _explained(what: str) -> Generator[None]:
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except (HfHubHTTPError, HTTPError, OSError) as error:
        raise HubError(f"{what} cannot be fetched: {one_line(error)}; check the network and try again") from error
