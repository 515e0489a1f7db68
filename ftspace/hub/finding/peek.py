"""Small files of a model on the Hub and the headers of its weights, read where they lie. Knows not what they mean.

People wait for these: each is asked for once, and given up after some seconds. The client's own download tries again
and again, for a minute and more.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from evals.errors import one_line
from ftspace.errors import HubError
from ftspace.hub.asker import hub_token

TIMEOUT_SECONDS = 5.0


class Closed(HubError):
    """A file that the asker may not read."""


def read_json(repo_id: str, name: str, revision: str | None) -> dict[str, Any]:
    """What a JSON file of a model says. Raises Closed, or HubError where it cannot be had or is no JSON object."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    with _explained(f"{name} of {repo_id}"):
        headers = build_hf_headers(token=hub_token())
        address = hf_hub_url(repo_id, name, revision=revision)
        answer = get_session().get(address, headers=headers, timeout=TIMEOUT_SECONDS)
        hf_raise_for_status(answer)
        found: Any = json.loads(answer.content)
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
    return cast("dict[str, Any]", found)


def read_headers(repo_id: str, names: Sequence[str], revision: str | None) -> dict[str, tuple[str, Sequence[int]]]:
    """Dtype and size of each tensor in files of weights. Raises Closed, or HubError where one cannot be had."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import SafetensorsParsingError

    api = HfApi(token=hub_token())
    found: dict[str, tuple[str, Sequence[int]]] = {}
    for name in names:
        with _explained(f"{name} of {repo_id}"):
            try:
                told = api.parse_safetensors_file_metadata(repo_id, name, revision=revision, timeout=TIMEOUT_SECONDS)
            except SafetensorsParsingError as error:
                raise ValueError("its header is damaged") from error
        found |= {tensor: (one.dtype, one.shape) for tensor, one in told.tensors.items()}
    return found


@contextmanager
def _explained(what: str) -> Generator[None]:
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except (HfHubHTTPError, HTTPError, OSError, ValueError) as error:
        closed = isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403)
        said = f"{what} cannot be read: {one_line(error)}; look again later"
        raise (Closed if closed else HubError)(said) from error
