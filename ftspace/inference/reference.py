"""A model elsewhere, for scale: behind any address that speaks OpenAI's protocol, or at the Hub's providers.

Its key goes to its own address only, and is written nowhere.
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from evals.errors import EvalError
from evals.judge.judges import RemoteJudge, parse_judge
from evals.providers import Endpoint
from ftspace.errors import ModelError
from ftspace.redact import keep_secret
from ftspace.settings import stored_token

SIDE = "reference"
"""The name of its side."""


@dataclass(frozen=True)
class Reference:
    """A model behind an address. Raises ModelError for an address that is none."""

    base_url: str
    """Such as http://127.0.0.1:8000/v1."""
    model: str
    """Its name there."""
    key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        keep_secret(self.key, typed=True)
        try:
            Endpoint(self.base_url, self.model, self.key)
        except EvalError as error:
            raise ModelError(f"the reference model: {error}") from error

    @property
    def place(self) -> str:
        """Host and port, to be shown."""
        return urlsplit(self.base_url).netloc


def reference_named(text: str, key: str | None = None) -> Reference:
    """The model that a person named: `http://host:8000/v1#model`, or `hub:owner/model` at the Hub's providers.

    For the Hub `key` is a token; where none is given, the one that is logged in on this machine. Raises ModelError.
    """
    try:
        named = parse_judge(text, key)
    except EvalError as error:
        raise ModelError(f"the reference model: {error}") from error
    if not isinstance(named, RemoteJudge):
        raise ModelError(f"{text!r} is no reference model; write http://host:8000/v1#model or hub:owner/model")
    target = named.target
    return Reference(target.url or _router(), target.model, key if target.url else key or stored_token())


def _router() -> str:
    """Where the Hub's own client asks its providers."""
    from huggingface_hub.inference._providers import CONVERSATIONAL_AUTO_ROUTER

    return f"{CONVERSATIONAL_AUTO_ROUTER.base_url}/v1"
