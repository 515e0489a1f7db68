"""What the Hub's client raises, as a HubError with what happened, why, and what to do. Asks nobody."""

from collections.abc import Generator
from contextlib import contextmanager

from evals.errors import one_line
from ftspace.disk import causes
from ftspace.errors import DiskError, FtspaceError, HubCause, HubError
from ftspace.workers import Stopped


@contextmanager
def explained(repo_id: str, smaller: str = "take fewer or smaller files") -> Generator[None]:
    """Turns what the Hub's client raises into a HubError that says what to do; `smaller`, where files are too large."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except (FtspaceError, Stopped):
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
            if isinstance(cause, FtspaceError | Stopped):
                raise cause from error
        if isinstance(error, OSError) and error.filename:
            raise DiskError(f"{error.filename} cannot be read: {error.strerror}; push again") from error
        raise _explanation(error, repo_id, smaller) from error


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
