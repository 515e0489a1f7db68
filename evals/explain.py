"""What loading a model raises, as one line that says what to do. Knows libraries' errors, loads nothing."""

from collections.abc import Generator
from contextlib import contextmanager

import httpx2
import torch
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError

from evals.errors import ModelError, one_line

_KNOWN = {
    "instantiate the backend tokenizer": "it has no tokenizer files",
    "custom code": "it wants to run code of its own, which is done only for a Hub model at the commit that is trusted",
    "Unrecognized configuration class": "it is not a causal language model",
    "no file named model.safetensors": "it has no safetensors; other weight files are not loaded",
}
_LOAD_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    ImportError,
    SafetensorError,
    HfHubHTTPError,
    httpx2.HTTPError,
)


@contextmanager
def explained(where: str, what: str) -> Generator[None]:
    """Turn what loading raises into one line that says what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(f"{what} {where}: not enough memory; use a smaller model or another device") from error
    except _LOAD_ERRORS as error:
        raise ModelError(f"{what} {where}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    reasons: list[tuple[type[BaseException] | tuple[type[BaseException], ...], str]] = [
        (GatedRepoError, "its owner asks you to accept terms: do so on its page, and log in with `hf auth login`"),
        (RevisionNotFoundError, "the Hub has no such revision of it"),
        (RepositoryNotFoundError, "no such folder here, and no such repository on the Hub (or it is private: log in)"),
        (
            (LocalEntryNotFoundError, OfflineModeIsEnabled, httpx2.TransportError),
            "no such folder here, and the Hub can't be reached",
        ),
        (HFValidationError, "no such folder here, and not a Hub id like owner/name"),
        (EntryNotFoundError, "a file that it needs is missing; models must have safetensors"),
        (SafetensorError, "a safetensors file is damaged: fetch or save it again"),
    ]
    for kind, words in reasons:
        if any(isinstance(one, kind) for one in chain):
            return words
    text = str(error)
    return next((words for part, words in _KNOWN.items() if part in text), one_line(error))
