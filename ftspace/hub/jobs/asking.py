"""How the Hub is asked for a job: with a time limit, again where that may help, and refusals in words. Knows no run."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from evals.errors import one_line
from ftspace.errors import HubCause, HubError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TRIES, PAUSE_SECONDS = 5, 1.0
"""How often something is asked that meets a server in trouble, or none; the pause doubles each time."""
SILENCE_SECONDS = 60.0
_AGAIN = frozenset({408, 409, 412, 429, 500, 502, 503, 504})
"""409 and 412: the commit of another run came in between."""

log = logging.getLogger(__name__)
_T = TypeVar("_T")


def client() -> "HfApi":
    """The Hub's client, with this process's token; from now on no request waits without an end."""
    import httpx2
    from huggingface_hub import HfApi, get_session, set_client_factory
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    hooks = get_session().event_hooks
    set_client_factory(lambda: httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=SILENCE_SECONDS))
    return HfApi()


def patiently(ask: Callable[[], _T], failed: str, tries: int = TRIES) -> _T:
    """What the Hub answers, asked again where it is in trouble. Raises HubError, which begins with `failed`."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    for number in range(1, tries + 1):
        try:
            return ask()
        except HfHubHTTPError as error:
            trouble: HubError = refused(error, failed)
            if error.response.status_code not in _AGAIN or number == tries:
                raise trouble from error
        except HTTPError as error:
            why = one_line(error) or type(error).__name__
            trouble = HubError(f"{failed}: the Hub cannot be reached ({why}); check the network", "network")
            if number == tries:
                raise trouble from error
        except (OSError, RuntimeError) as error:  # as the client says that some bytes lack, or Xet is in trouble
            if isinstance(error, OSError) and error.errno is not None:
                raise
            trouble = HubError(f"{failed}: {one_line(error)}", "content")
            if number == tries:
                raise trouble from error
        log.warning("%s; trying again", trouble)
        time.sleep(PAUSE_SECONDS * 2 ** (number - 1))
    raise AssertionError


def refused(error: Exception, failed: str) -> HubError:
    """A refusal of the Hub in words."""
    from huggingface_hub.errors import HfHubHTTPError

    assert isinstance(error, HfHubHTTPError)
    status = error.response.status_code
    text = " ".join((error.server_message or "").split())[:300] or "no more is said"
    known: dict[int, tuple[HubCause, str]] = {
        401: (
            "token",
            "the Hub refuses the token; make a new one with the role write, set HF_TOKEN or run: hf auth login",
        ),
        402: (
            "quota",
            "the account is out of credit, which jobs need; add some at its settings on the Hub, under billing, then "
            "resume the run",
        ),
        403: (
            "rights",
            "the token may not run jobs there: it needs the role write, or as a fine-grained one the right to start "
            "jobs and to write repositories; a sign-in needs the scopes jobs and contribute-repos",
        ),
        404: ("missing", "the Hub does not find it any more"),
        429: ("rate", "the Hub has had too many requests; resume the run in some minutes"),
    }
    if status in known:
        cause, said = known[status]
        return HubError(f"{failed}: {said} ({text})", cause)
    if status in _AGAIN:
        return HubError(f"{failed}: the Hub is in trouble (status {status}); resume the run later", "server")
    return HubError(f"{failed}: the Hub refuses it (status {status}): {text}")
